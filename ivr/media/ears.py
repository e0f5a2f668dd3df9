"""Listening to what a call says: its audio cut into the frames that the detectors take."""

from __future__ import annotations

from collections.abc import Iterator

from ivr.media.amd import MachineDetector
from ivr.media.events import Amd, Digit
from ivr.media.g711 import Law, Pcm, decode
from ivr.media.rtp import FRAME_SAMPLES
from ivr.media.tones import DtmfDetector


class Framer:
    """Cuts packets of any length into frames of 20 ms. One law at a time."""

    __slots__ = ("_law", "_rest")

    def __init__(self) -> None:
        self._law: Law = "PCMA"
        self._rest = b""

    def frames(self, payload: bytes, law: Law) -> Iterator[Pcm]:
        """Yield the frames that this packet completes."""
        if law != self._law:
            self._law, self._rest = law, b""
        if self._rest:
            payload = self._rest + payload
        end = len(payload) - len(payload) % FRAME_SAMPLES
        self._rest = payload[end:]
        for at in range(0, end, FRAME_SAMPLES):
            yield decode(payload[at : at + FRAME_SAMPLES], law)


class InbandEar:
    """Hears keys in the audio."""

    __slots__ = ("_detector", "_framer")

    def __init__(self) -> None:
        self._framer = Framer()
        self._detector = DtmfDetector()

    def hear(self, payload: bytes, law: Law) -> Iterator[Digit]:
        """Yield the keys that became certain in this packet; how long they last is not known."""
        for frame in self._framer.frames(payload, law):
            key = self._detector.feed(frame)
            if key:
                yield Digit(key, 0, "inband")


class MachineEar:
    """Hears who has answered."""

    __slots__ = ("_detector", "_framer")

    def __init__(self) -> None:
        self._framer = Framer()
        self._detector = MachineDetector()

    def hear(self, payload: bytes, law: Law) -> Amd | None:
        """Take in a packet; return the verdict when it has fallen."""
        for frame in self._framer.frames(payload, law):
            finding = self._detector.feed(frame)
            if finding:
                return Amd(finding.verdict.value, finding.reason)
        return None
