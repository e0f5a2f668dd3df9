"""What a phone heard: the G.711 of one call, in order, and how much of it was speech."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from ivr.media.g711 import LAWS, PAYLOAD_TYPES, Law, Pcm, decode
from ivr.media.rtp import CLOCK_RATE, FRAME_SAMPLES, parse_rtp, timestamp_delta

SPEECH_RMS = 300.0  # of 32768, −41 dB: above the silence of any line, below speech
FRAME_BYTES = 2 * FRAME_SAMPLES
LONGEST_GAP = 25  # frames that may be missing or late between two that were heard
_LAW_OF: dict[int, Law] = {PAYLOAD_TYPES[law]: law for law in LAWS}


class Ear:
    """Listens to the RTP packets of one call."""

    def __init__(self) -> None:
        self._first: int | None = None  # timestamp
        self._frames: dict[int, Pcm] = {}  # by samples from the first packet
        self.speech_seconds = 0.0

    def hear(self, packet: bytes) -> None:
        """Take one packet in; what is not G.711 passes unheard."""
        rtp = parse_rtp(packet)
        law = _LAW_OF.get(rtp.payload_type) if rtp else None
        if rtp is None or law is None or not rtp.payload:
            return
        if self._first is None:
            self._first = rtp.timestamp
        frame = decode(rtp.payload, law)
        self._frames[timestamp_delta(rtp.timestamp, self._first)] = frame
        if loudness(frame) > SPEECH_RMS:
            self.speech_seconds += len(frame) / CLOCK_RATE

    @property
    def heard_anything(self) -> bool:
        """Whether any audio came at all."""
        return bool(self._frames)

    def sound(self) -> Pcm:
        """Return all of it, silence where packets are missing."""
        frames = sorted(item for item in self._frames.items() if item[0] >= 0)
        if not frames:
            return np.zeros(0, np.int16)
        sound = np.zeros(frames[-1][0] + len(frames[-1][1]), np.int16)
        for start, frame in frames:
            sound[start : start + len(frame)] = frame
        return sound

    def save(self, path: Path) -> None:
        """Write it as a WAV file."""
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(CLOCK_RATE)
            file.writeframes(self.sound().astype("<i2").tobytes())


def loudness(frame: Pcm) -> float:
    """Return the root mean square, of 32768."""
    return float(np.sqrt(np.mean(np.square(frame.astype(np.float64))))) if len(frame) else 0.0


def load(path: Path) -> Pcm:
    """Read a WAV file that `Ear.save` wrote."""
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def share_heard(heard: Pcm, message: Pcm) -> float:
    """Return how much of the speech in `message` (0 to 1) is in `heard`, in order.

    G.711 travels unchanged, so whoever heard the message has its very samples: every audible
    frame of it is looked for where it must follow the one before, or after a short gap, as a late
    packet leaves one.
    """
    count = len(message) // FRAME_SAMPLES
    frames = message[: count * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).astype("<i2")
    audible = [n for n in range(count) if loudness(frames[n]) > SPEECH_RMS]
    sound = heard.astype("<i2").tobytes()
    at, found, last = 0, 0, -1
    for n in audible:
        expected = at + (n - last) * FRAME_BYTES if found else 0
        start = _find(sound, frames[n].tobytes(), expected, anywhere=not found)
        if start >= 0:
            at, last, found = start, n, found + 1
    return found / len(audible) if audible else 0.0


def _find(sound: bytes, frame: bytes, start: int, *, anywhere: bool) -> int:
    """Return where a frame begins, from `start` on or a little later; -1 if it does not."""
    end = len(sound) if anywhere else start + LONGEST_GAP * FRAME_BYTES + len(frame)
    at = sound.find(frame, start, end)
    while at >= 0 and at % 2:  # between two samples
        at = sound.find(frame, at + 1, end)
    return at
