"""In-band DTMF by the tests of ITU-T Q.24, deaf to speech; and the tones we make."""

from __future__ import annotations

import numpy as np
import pytest

from ivr.media import g711, tones
from ivr.media.g711 import Pcm
from ivr.media.tones import COLUMNS, KEYPAD, ROWS, DtmfDetector

from .sounds import RATE, Samples, amplitude, chord, frames, noise, pcm, silence, spoken

KEYS = [
    (key, low, high)
    for low, keys in zip(ROWS, KEYPAD, strict=True)
    for key, high in zip(keys, COLUMNS, strict=True)
]
ALL_DIGITS = "".join(key for key, _, _ in KEYS)
VIETNAMESE = (
    "Xin chào quý khách, chúng tôi gọi đến từ trung tâm chăm sóc khách hàng. Quý khách vui lòng "
    "nhấn phím một để nghe thông tin khuyến mãi, phím hai để gặp tổng đài viên. A lô, ai đấy ạ, "
    "tôi không nghe rõ, anh nói lại đi."
)
ENGLISH = (
    "Hello, you have reached the voicemail of Peter. Please leave a message after the tone and I "
    "will get back to you. We are seeing increasing interest in easy cheese pieces. The quick "
    "brown fox jumps over the lazy dog."
)


def heard(sound: Pcm) -> str:
    detector = DtmfDetector()
    return "".join(detector.feed(frame) or "" for frame in frames(sound))


def presses(
    *,
    ms: float = 50,
    gap: float = 50,
    low: float = -10,
    high: float = -10,
    detune: float = 0,
    count: int = 2,
    lead: float = 37.25,
) -> Samples:
    """Every key `count` times; the lead keeps the tones from lining up with the frames."""
    parts = [silence(lead)]
    for _, row, column in KEYS:
        tones_of_key = [(row * (1 + detune), low), (column * (1 + detune), high)]
        parts += [chord(tones_of_key, ms), silence(gap)] * count
    return np.concatenate([*parts, silence(60)])


TWICE = "".join(2 * key for key in ALL_DIGITS)


@pytest.mark.parametrize("lead", [0, 2.5, 5, 9, 12.5, 17.125, 19.875])
def test_forty_milliseconds_on_and_off_wherever_the_frames_begin(lead: float) -> None:
    assert heard(pcm(presses(ms=40, gap=40, lead=lead))) == TWICE


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"low": -3, "high": -3}, id="loudest"),
        pytest.param({"low": -25, "high": -25}, id="the quietest Q.24 asks for"),
        pytest.param({"low": -10, "high": -18}, id="normal twist of 8 dB"),
        pytest.param({"low": -14, "high": -10}, id="reverse twist of 4 dB"),
        pytest.param({"detune": 0.015}, id="1.5 % sharp"),
        pytest.param({"detune": -0.015}, id="1.5 % flat"),
        pytest.param({"low": -10, "high": -18, "detune": 0.015}, id="twisted and sharp"),
        pytest.param({"low": -14, "high": -10, "detune": -0.015}, id="twisted the other way, flat"),
        pytest.param({"ms": 1000, "count": 2}, id="a second long"),
    ],
)
def test_every_key_within_the_limits(how: dict[str, float]) -> None:
    assert heard(pcm(presses(**how))) == TWICE  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"ms": 23}, id="too short"),
        pytest.param({"low": -55, "high": -55}, id="too quiet"),
        pytest.param({"detune": 0.035}, id="3.5 % sharp"),
        pytest.param({"detune": -0.035}, id="3.5 % flat"),
        pytest.param({"low": -10, "high": -22}, id="too much normal twist"),
        pytest.param({"low": -18, "high": -10}, id="too much reverse twist"),
        pytest.param({"low": -10, "high": -90}, id="one tone only"),
    ],
)
def test_nothing_beyond_the_limits(how: dict[str, float]) -> None:
    assert heard(pcm(presses(**how))) == ""


@pytest.mark.parametrize(("snr", "ms"), [(15, 50), (10, 60), (7, 100)])
def test_every_key_in_noise(snr: float, ms: float) -> None:
    signal = presses(ms=ms)
    rms = amplitude(-10) / 10 ** (snr / 20)  # two tones have the power of one peak squared
    assert heard(pcm(signal + noise(len(signal) / 8, rms))) == TWICE


@pytest.mark.parametrize("law", g711.LAWS)
def test_every_key_through_g711(law: g711.Law) -> None:
    sound = pcm(presses(low=-22, high=-22))
    assert heard(g711.decode(g711.encode(sound, law), law)) == TWICE


def test_a_drop_out_of_20_ms_does_not_split_a_key_and_a_gap_of_40_does() -> None:
    five = chord([(770, -10), (1336, -10)], 100)
    for lead in range(0, 20, 3):
        assert heard(pcm(silence(lead), five, silence(20), five, silence(60))) == "5"
        assert heard(pcm(silence(lead), five, silence(40), five, silence(60))) == "55"


def test_one_key_straight_after_another() -> None:
    one, nine = chord([(697, -10), (1209, -10)], 60), chord([(852, -10), (1477, -10)], 60)
    assert heard(pcm(one, nine, one, silence(60))) == "191"


def test_a_key_is_known_to_sound_until_it_is_let_go() -> None:
    detector = DtmfDetector()
    states = []
    for frame in frames(tones.dtmf("7", tone_ms=100, gap_ms=100)):
        detector.feed(frame)
        states.append(detector.pressed)
    assert states[:2] == [None, "7"] or states[:2] == ["7", "7"]
    assert states[4] == "7"
    assert states[-1] is None


@pytest.mark.peer
@pytest.mark.parametrize("pitch", [20, 50, 99])
@pytest.mark.parametrize("variant", ["", "+m3", "+f2", "+f4", "+croak"])
@pytest.mark.parametrize(("voice", "text"), [("vi", VIETNAMESE), ("en-us", ENGLISH)])
def test_no_key_in_speech(voice: str, text: str, variant: str, pitch: int) -> None:
    assert heard(spoken(voice + variant, text, pitch=pitch)) == ""


@pytest.mark.peer
def test_keys_are_heard_over_the_callers_own_prompt() -> None:
    """Echo of the prompt 20 dB under the tones."""
    prompt = spoken("vi", VIETNAMESE).astype(float)[: 3 * RATE]
    prompt *= amplitude(-33) / np.sqrt(np.mean(prompt**2))
    assert heard(pcm(prompt + presses(ms=100)[: len(prompt)])).startswith("112233AA445566BB")


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(pcm(noise(5000, 3000)), id="noise"),
        pytest.param(np.tile(tones.busy(), 5), id="busy tone"),
        pytest.param(pcm(chord([(440, -10), (480, -10)], 3000)), id="American ringing"),
        pytest.param(pcm(chord([(2100, -10)], 3000)), id="fax answer"),
        pytest.param(pcm(chord([(697, -10), (1209, -10), (1477, -10)], 1000)), id="three tones"),
        pytest.param(np.zeros(8000, np.int16), id="silence"),
    ],
)
def test_no_key_in_other_sounds(sound: Pcm) -> None:
    assert heard(sound) == ""


def test_what_we_make_we_hear() -> None:
    assert heard(tones.dtmf("0123456789*#abcd", tone_ms=60, gap_ms=60)) == "0123456789*#ABCD"


def test_only_keys_can_be_made() -> None:
    with pytest.raises(ValueError, match="'X' in '12x' is not a key"):
        tones.dtmf("12x")


def hertz(sound: Pcm) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(sound.astype(float)))) * RATE / len(sound))


@pytest.mark.parametrize(
    ("sound", "seconds", "sounding", "pitch"),
    [
        (tones.ringback(), 5.0, 1.0, 425),
        (tones.busy(), 1.0, 0.5, 425),
        (tones.beep(), 0.2, 0.2, 1000),
    ],
    ids=["ringback", "busy", "beep"],
)
def test_the_tones_we_make(sound: Pcm, seconds: float, sounding: float, pitch: float) -> None:
    on = sound[: int(sounding * RATE)]
    assert len(sound) == seconds * RATE
    assert hertz(on) == pytest.approx(pitch, abs=1)
    assert not sound[int(sounding * RATE) :].any()
    assert np.abs(on).max() == pytest.approx(amplitude(-10), rel=0.02)


def test_the_level_of_a_tone() -> None:
    sound = tones.tone(1000, ms=1000, level_dbm0=0).astype(float)
    assert 10 * np.log10(np.mean(sound**2) / (32768**2 / 2)) == pytest.approx(-3.14, abs=0.05)
