"""Answering-machine detection on generated speech, noise, silence and tones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ivr.media import g711, tones
from ivr.media.amd import AmdConfig, Finding, MachineDetector, Verdict
from ivr.media.g711 import Pcm

from .sounds import RATE, Samples, chord, frames, noise, pcm, silence, spoken

LISTENING_MS = 7000

PEOPLE = [
    ("vi", "A lô"),
    ("vi", "A lô, ai đấy ạ"),
    ("vi", "A lô a lô a lô"),
    ("vi", "Vâng, tôi nghe"),
    ("vi", "Công ty Minh Anh xin nghe"),
    ("en-us", "Hello"),
    ("en-us", "Hello, who is this?"),
    ("en-us", "Good morning, Anderson and sons, how can I help you?"),
]
MACHINES = [
    (
        "vi",
        "Xin chào, đây là hộp thư thoại của Nguyễn Văn An. Hiện tại tôi không thể nghe máy. "
        "Xin để lại lời nhắn sau tiếng bíp.",
    ),
    (
        "vi",
        "Thuê bao quý khách vừa gọi tạm thời không liên lạc được, xin quý khách vui lòng gọi "
        "lại sau.",
    ),
    (
        "en-us",
        "Hello, you have reached the voicemail of Peter Anderson. I cannot take your call right "
        "now. Please leave a message after the tone.",
    ),
    (
        "en-us",
        "Thank you for calling Acme corporation, for sales press one, for support press two, or "
        "hold the line for an operator.",
    ),
]


def at_level(speech: Pcm, dbfs: float) -> Samples:
    """The speech with this RMS where somebody speaks."""
    samples = speech.astype(float)
    speaking = samples[np.abs(samples) > 300]
    return samples * 32768 * 10 ** (dbfs / 20) / np.sqrt(np.mean(speaking**2))


def answered(*parts: Samples, hiss_dbfs: float = -70, law: g711.Law = "PCMA") -> Pcm:
    """What is heard after an answer: the parts, then the line's hiss; through G.711."""
    sound = np.concatenate([*parts, silence(LISTENING_MS)])[: LISTENING_MS * 8]
    hiss = noise(LISTENING_MS, 32768 * 10 ** (hiss_dbfs / 20))
    return g711.decode(g711.encode(pcm(sound + hiss), law), law)


def judge(sound: Pcm, config: AmdConfig | None = None) -> Finding:
    detector = MachineDetector(config)
    findings = [finding for frame in frames(sound) if (finding := detector.feed(frame))]
    assert len(findings) == 1, "a verdict falls once"
    assert detector.finding == findings[0]
    return findings[0]


@pytest.mark.peer
@pytest.mark.parametrize("lead_ms", [0, 700])
@pytest.mark.parametrize(("level", "hiss"), [(-20, -70), (-35, -70), (-20, -35), (-20, -30)])
@pytest.mark.parametrize(("voice", "text"), PEOPLE)
def test_people(voice: str, text: str, level: float, hiss: float, lead_ms: int) -> None:
    greeting = at_level(spoken(voice, text), level)
    finding = judge(answered(silence(lead_ms), greeting, hiss_dbfs=hiss))
    assert finding.verdict is Verdict.HUMAN
    waited = finding.at - lead_ms / 1000 - len(greeting) / RATE
    assert waited <= 1.25


@pytest.mark.peer
@pytest.mark.parametrize("lead_ms", [0, 700])
@pytest.mark.parametrize(("level", "hiss"), [(-20, -70), (-35, -70), (-20, -35)])
@pytest.mark.parametrize(("voice", "text"), MACHINES)
def test_machines(voice: str, text: str, level: float, hiss: float, lead_ms: int) -> None:
    greeting = at_level(spoken(voice, text), level)
    finding = judge(answered(silence(lead_ms), greeting, hiss_dbfs=hiss))
    assert finding.verdict is Verdict.MACHINE
    assert finding.reason.startswith("spoke for ")
    assert finding.at <= 6.0


@pytest.mark.peer
def test_a_person_with_a_television_15_db_below() -> None:
    """The gate: sound that goes on, far below the speaker, does not keep the turn open."""
    hello = at_level(spoken("vi", "A lô, ai đấy ạ"), -20)
    television = np.tile(at_level(spoken("en-us", MACHINES[2][1]), -35), 2)
    television[: len(hello)] += hello
    assert judge(answered(television)).verdict is Verdict.HUMAN
    wide_open = dataclasses.replace(AmdConfig(), speaker_range=30)
    assert judge(answered(television), wide_open).verdict is Verdict.MACHINE


@pytest.mark.peer
def test_a_long_greeting_that_comes_late_is_left_open() -> None:
    greeting = at_level(spoken(*PEOPLE[-1]), -20)
    assert judge(answered(silence(2600), greeting)).verdict is Verdict.NOTSURE


@pytest.mark.peer
@pytest.mark.parametrize("law", g711.LAWS)
def test_a_person_through_either_law(law: g711.Law) -> None:
    hello = at_level(spoken("vi", "A lô"), -25)
    assert judge(answered(silence(300), hello, law=law)).verdict is Verdict.HUMAN


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        pytest.param(answered(), "spoke for 0.0 s", id="a quiet line"),
        pytest.param(np.zeros(LISTENING_MS * 8, np.int16), "spoke for 0.0 s", id="no sound at all"),
        pytest.param(answered(hiss_dbfs=-30), "spoke for 0.0 s", id="steady noise"),
        pytest.param(answered(hiss_dbfs=-15), "spoke for 0.0 s", id="loud steady noise"),
        pytest.param(
            pcm(silence(500), np.full(80, 20000.0), silence(7000)), "spoke for 0.0 s", id="a click"
        ),
        pytest.param(answered(chord([(50, -15)], LISTENING_MS)), "spoke for 0.0 s", id="mains hum"),
        pytest.param(np.tile(tones.ringback(), 2), "spoke for 0.0 s", id="an exchange rings on"),
        pytest.param(np.tile(tones.busy(), 8), "spoke for 0.0 s", id="busy tone after the answer"),
    ],
)
def test_nobody_speaks(sound: Pcm, reason: str) -> None:
    assert judge(sound) == Finding(Verdict.NOTSURE, reason, 6.0)


@pytest.mark.peer
def test_a_person_put_through_after_ringing() -> None:
    ringing = tones.tone(425, ms=1000).astype(float)
    hello = at_level(spoken("vi", "A lô"), -20)
    finding = judge(answered(ringing, silence(1000), hello))
    assert finding.verdict is Verdict.HUMAN


def fsk(bits: str) -> Samples:
    """V.21 channel 2 at 300 baud: 1 is 1650 Hz, 0 is 1850 Hz."""
    hertz = np.repeat([1650.0 if bit == "1" else 1850.0 for bit in bits], RATE // 300)
    return 4000 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)


@pytest.mark.parametrize(
    ("sound", "verdict", "reason"),
    [
        (chord([(2100, -12)], 1000), Verdict.FAX, "fax tone of 2100 Hz"),
        (chord([(1100, -12)], 500), Verdict.FAX, "fax tone of 1100 Hz"),
        (fsk("01111110" * 60), Verdict.FAX, "fax handshake"),
        (chord([(1000, -12)], 500), Verdict.TONE, "tone of 1000 Hz"),
        (
            np.concatenate([chord([(hz, -12)], 330) for hz in (950, 1400, 1800)]),
            Verdict.TONE,
            "tone of 950 Hz",
        ),
    ],
    ids=["CED", "CNG", "V.21", "beep", "SIT"],
)
def test_tones(sound: Samples, verdict: Verdict, reason: str) -> None:
    finding = judge(answered(silence(400), sound))
    assert (finding.verdict, finding.reason) == (verdict, reason)
    assert 0.55 <= finding.at <= 0.7


@pytest.mark.peer
def test_a_short_greeting_and_a_beep_is_a_machine() -> None:
    greeting = at_level(spoken("vi", "Xin để lại lời nhắn"), -20)
    finding = judge(answered(greeting, silence(500), chord([(1400, -12)], 400)))
    assert finding.verdict is Verdict.TONE


def bursts(*on_and_off: int) -> Pcm:
    """Bursts of noise loud as speech, and pauses, by turns, in milliseconds."""
    parts = [noise(ms, 2000) if n % 2 == 0 else silence(ms) for n, ms in enumerate(on_and_off)]
    return answered(*parts)


@pytest.mark.parametrize(
    ("sound", "config", "verdict", "at"),
    [
        pytest.param(bursts(600), AmdConfig(), Verdict.HUMAN, 1.68, id="short, then silence"),
        pytest.param(bursts(2800), AmdConfig(), Verdict.HUMAN, 3.90, id="just short of a machine"),
        pytest.param(bursts(600), AmdConfig(turn_end=2), Verdict.HUMAN, 2.64, id="longer turn end"),
        pytest.param(
            bursts(*[400, 300] * 10), AmdConfig(), Verdict.MACHINE, 5.34, id="much speech in all"
        ),
        pytest.param(
            bursts(*[300, 700] * 10), AmdConfig(), Verdict.MACHINE, 6.0, id="deadline, much speech"
        ),
        pytest.param(
            bursts(*[100, 700] * 10), AmdConfig(), Verdict.NOTSURE, 6.0, id="deadline, little"
        ),
        pytest.param(
            bursts(*[300, 700] * 10), AmdConfig(deadline=3), Verdict.NOTSURE, 3.0, id="early"
        ),
    ],
)
def test_the_rules(sound: Pcm, config: AmdConfig, verdict: Verdict, at: float) -> None:
    finding = judge(sound, config)
    assert finding.verdict is verdict
    assert finding.at == pytest.approx(at, abs=0.07)


def test_a_call_whose_sound_stops_coming() -> None:
    detector = MachineDetector()
    for frame in frames(answered())[:50]:
        assert detector.feed(frame) is None
    finding = detector.give_up()
    assert finding == Finding(Verdict.NOTSURE, "no more sound came", 1.0)
    assert detector.give_up() is finding
    assert detector.feed(np.zeros(160, np.int16)) is None
