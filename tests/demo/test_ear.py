"""What a phone says it has heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ivr.media.g711 import Pcm, decode, encode
from ivr.media.rtp import FRAME_SAMPLES, RtpPacket, pack_rtp
from server.demo.ear import Ear, load, loudness, share_heard


def speech(seconds: float, seed: int = 1) -> Pcm:
    """Something as irregular as speech, as G.711 carries it."""
    noise = np.random.default_rng(seed).normal(0, 3000, int(seconds * 8000))
    return decode(encode(noise.astype(np.int16), "PCMA"), "PCMA")


def silence(frames: int) -> Pcm:
    return np.full(frames * FRAME_SAMPLES, 8, np.int16)


def packets(sound: Pcm, *, first: int = 0) -> list[bytes]:
    """The sound as RTP, its timestamps from `first` on."""
    coded = encode(sound, "PCMA")
    return [
        pack_rtp(
            RtpPacket(8, n == 0, n, (first + n * 160) % 2**32, 7, coded[n * 160 : (n + 1) * 160])
        )
        for n in range(len(coded) // 160)
    ]


def test_sound_is_put_together_by_timestamp() -> None:
    sound = speech(0.2)
    ear = Ear()
    sent = packets(sound, first=2**32 - 320)  # across the wrap
    for packet in [sent[0], sent[2], sent[1], *sent[4:]]:  # one early, one lost
        ear.hear(packet)
    heard = ear.sound()
    assert (heard[:480] == sound[:480]).all()
    assert (heard[480:640] == 0).all()
    assert (heard[640:] == sound[640:]).all()
    assert ear.speech_seconds == pytest.approx(0.18)


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x65" + bytes(14), pack_rtp(RtpPacket(8, False, 1, 1, 1, b""))]
)
def test_what_is_no_audio_is_not_heard(data: bytes) -> None:
    ear = Ear()
    ear.hear(data)
    assert not ear.heard_anything
    assert len(ear.sound()) == 0


def test_silence_is_not_speech() -> None:
    ear = Ear()
    for packet in packets(silence(10)):
        ear.hear(packet)
    assert ear.heard_anything
    assert ear.speech_seconds == 0


def test_a_file_holds_what_was_heard(tmp_path: Path) -> None:
    ear = Ear()
    for packet in packets(speech(0.1)):
        ear.hear(packet)
    ear.save(tmp_path / "heard.wav")
    assert (load(tmp_path / "heard.wav") == ear.sound()).all()


class TestShareHeard:
    message = np.concatenate([silence(5), speech(1.0), silence(20), speech(0.5, seed=2)])

    def test_all_of_it_wherever_it_begins(self) -> None:
        heard = np.concatenate([speech(0.3, seed=9)[:-80], self.message, silence(3)])
        assert share_heard(heard, self.message) == 1.0

    def test_a_late_packet_leaves_a_gap_that_does_not_matter(self) -> None:
        heard = np.concatenate([self.message[:4000], silence(2)[:320], self.message[4000:]])
        assert share_heard(heard, self.message) == 1.0

    def test_a_lost_packet_costs_itself(self) -> None:
        heard = self.message.copy()
        heard[1600:1760] = 8
        assert share_heard(heard, self.message) == pytest.approx(74 / 75)

    def test_half_of_it(self) -> None:
        assert share_heard(self.message[: 55 * 160], self.message) == pytest.approx(50 / 75)

    @pytest.mark.parametrize(
        "heard", [silence(200), np.zeros(0, np.int16), speech(3.0, seed=5)], ids=str
    )
    def test_nothing_of_it(self, heard: Pcm) -> None:
        assert share_heard(heard, self.message) == 0.0

    def test_an_empty_message_was_not_heard(self) -> None:
        assert share_heard(self.message, silence(10)) == 0.0

    def test_the_wrong_order_is_not_the_message(self) -> None:
        heard = np.concatenate([self.message[6400:], self.message[:6400]])
        assert share_heard(heard, self.message) < 0.98


def test_loudness() -> None:
    assert loudness(np.full(160, -300, np.int16)) == pytest.approx(300)
    assert loudness(np.zeros(0, np.int16)) == 0.0
