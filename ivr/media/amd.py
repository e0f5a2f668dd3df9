"""Answering-machine detection: did a person answer, or a machine?

People say a short greeting and wait; machines go on talking. So the detector measures how long
the other side speaks before it falls silent. Three things make that work on real lines:

- the noise floor is learnt from the quietest moments of this call, never fixed;
- only sound nearly as loud as the loudest speech so far is the speaker: a television, a street
  or an echo further down does not keep a turn open;
- the whole call is judged afresh at every step, so a late insight (how loud the speaker really
  is, how quiet the line) corrects the reading of what came before.

Tones betray machines at once. A tone at the pitch of ringing and busy signals does not count
either way: exchanges put people through after they have answered.

The detector is a decision aid. NOTSURE is to be treated as a person.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ivr.media.g711 import Pcm
from ivr.media.rtp import CLOCK_RATE, FRAME_MS, FRAME_SAMPLES

_BIN_HZ: Final = CLOCK_RATE // FRAME_SAMPLES  # 50: between two lines of a frame's spectrum
_FIRST_BIN: Final = 200 // _BIN_HZ  # mains hum and the like is below
_TONE_HALF_WIDTH: Final = 2  # lines on each side that a windowed pure tone reaches
_WINDOW: Final = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)
_LEVEL_SCALE: Final = float(2 / np.sum(_WINDOW**2) / FRAME_SAMPLES / 32768**2)
_SILENCE_DBFS: Final = -96.0
_SPURT: Final = 3  # frames: shorter bursts are clicks
_TONE_FRAMES: Final = 5  # frames: what is pure for so long is a tone, not a hum of the voice
_JUDGE_EVERY: Final = 3  # frames: a verdict 40 ms late costs less than judging every time

_PROGRESS_HZ: Final = 650  # tones below belong to ringing, busy and the like, or to a voice
_CNG_HZ: Final = (1050, 1150)  # calling fax, 1100 Hz: ITU-T T.30
_CED_HZ: Final = (2050, 2150)  # answering fax or modem, 2100 Hz: ITU-T T.30
_V21_HZ: Final = (1500, 2000)  # fax handshake, 1650 and 1850 Hz: ITU-T V.21 channel 2
_V21_PURITY: Final = 0.9


class Verdict(enum.StrEnum):
    """Who answered."""

    HUMAN = "human"
    MACHINE = "machine"
    FAX = "fax"
    TONE = "tone"  # a beep or the three tones before an announcement: a machine of some kind
    NOTSURE = "notsure"  # treat as a person


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, why, and how many seconds into the answer it fell."""

    verdict: Verdict
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class AmdConfig:
    """The detector's figures. The defaults come from a study of 2,000 labelled clips."""

    deadline: float = 6.0  # seconds until a verdict falls in any case
    turn_end: float = 1.05  # seconds without speech that end a turn: a person waits for us
    machine_voice: float = 3.2  # seconds of speech in one turn that no person says
    deadline_voice: float = 1.5  # seconds of speech at the deadline that make a machine
    least_voice: float = 0.1  # seconds of speech without which nobody has spoken
    floor_span: float = 1.5  # the quietest seconds so far are the noise of the line
    floor_margin: float = 6.0  # dB above that noise where speech begins
    speaker_range: float = 12.0  # dB below the loudest speech that is still the speaker
    quietest: float = -50.0  # dBFS below which nothing is speech
    tone_span: float = 0.18  # seconds of a pure tone that are no voice
    tone_purity: float = 0.98  # share of the energy in one frequency


class MachineDetector:
    """Listens to one answered call; feed it every 20 ms frame from the answer on."""

    def __init__(self, config: AmdConfig | None = None) -> None:
        self._config = config or AmdConfig()
        self._deadline = _frames(self._config.deadline)
        self._levels = np.full(self._deadline, _SILENCE_DBFS, np.float32)  # dBFS, one a frame
        self._count = 0
        self._tone = _ToneRun(self._config)
        self._finding: Finding | None = None

    @property
    def finding(self) -> Finding | None:
        """The verdict, once it has fallen."""
        return self._finding

    def feed(self, frame: Pcm) -> Finding | None:
        """Take 160 samples in; return the finding once, with the frame that decides."""
        if self._finding is not None:
            return None
        power = _spectrum(frame)
        self._levels[self._count] = _level(power)
        self._count += 1
        decided = self._tone.feed(power)
        if self._tone.length >= _TONE_FRAMES:
            self._levels[self._count - self._tone.length : self._count] = _SILENCE_DBFS
        if self._count % _JUDGE_EVERY == 0 or self._count == self._deadline:
            decided = decided or self._judge()
        if decided:
            self._finding = Finding(*decided, at=self._count * FRAME_MS / 1000)
        return self._finding

    def give_up(self) -> Finding:
        """Return the finding so far, or NOTSURE; for a call whose sound stopped coming."""
        if self._finding is None:
            at = self._count * FRAME_MS / 1000
            self._finding = Finding(Verdict.NOTSURE, "no more sound came", at)
        return self._finding

    def _judge(self) -> tuple[Verdict, str] | None:
        """Judge all that has been heard."""
        config = self._config
        voiced = np.flatnonzero(self._voice())
        spoken = len(voiced) * FRAME_MS / 1000
        if spoken >= config.machine_voice:
            return Verdict.MACHINE, f"spoke for {spoken:.1f} s"
        if spoken >= config.least_voice:
            quiet = (self._count - 1 - int(voiced[-1])) * FRAME_MS / 1000
            if quiet >= config.turn_end:
                return Verdict.HUMAN, f"spoke for {spoken:.1f} s, then waited {quiet:.1f} s"
        if self._count < self._deadline:
            return None
        if spoken >= config.deadline_voice:
            return Verdict.MACHINE, f"spoke for {spoken:.1f} s and did not wait"
        return Verdict.NOTSURE, f"spoke for {spoken:.1f} s"

    def _voice(self) -> NDArray[np.bool_]:
        """Tell which of the frames so far are the speaker's voice."""
        levels = self._levels[: self._count]
        if self._count < _SPURT:
            return np.zeros(self._count, np.bool_)
        config = self._config
        sustained = np.minimum(np.minimum(levels[:-2], levels[1:-1]), levels[2:])
        loudest = float(sustained.max())
        threshold = max(
            self._noise(levels) + config.floor_margin,
            loudest - config.speaker_range,
            config.quietest,
        )
        spurts = sustained >= threshold
        voice = np.zeros(self._count, np.bool_)
        for shift in range(_SPURT):
            voice[shift : shift + len(spurts)] |= spurts
        return voice

    def _noise(self, levels: NDArray[np.float32]) -> float:
        """Return the mean level of the quietest moments so far."""
        span = min(_frames(self._config.floor_span), len(levels))
        return float(np.partition(levels, span - 1)[:span].mean())


class _ToneRun:
    """Follows a pure tone, and the band of the fax handshake, from frame to frame."""

    def __init__(self, config: AmdConfig) -> None:
        self._span = _frames(config.tone_span)
        self._purity = config.tone_purity
        self._least_power = 10 ** (config.quietest / 10) / _LEVEL_SCALE
        self._peak = 0
        self._v21_length = 0
        self.length = 0  # frames that one tone has lasted

    def feed(self, power: NDArray[np.float32]) -> tuple[Verdict, str] | None:
        total = float(power.sum())
        if total < self._least_power:
            self.length = self._v21_length = 0
            return None
        peak = int(power.argmax())
        near = power[max(peak - _TONE_HALF_WIDTH, 0) : peak + _TONE_HALF_WIDTH + 1]
        if float(near.sum()) < self._purity * total:
            self.length = 0
        else:
            self.length = self.length + 1 if abs(peak - self._peak) <= 1 else 1
        self._peak = peak
        in_v21 = _band(power, *_V21_HZ) >= _V21_PURITY * total
        self._v21_length = self._v21_length + 1 if in_v21 else 0
        return self._name()

    def _name(self) -> tuple[Verdict, str] | None:
        hertz = self._hertz()
        if self.length >= self._span and hertz >= _PROGRESS_HZ:
            if _CNG_HZ[0] <= hertz <= _CNG_HZ[1] or _CED_HZ[0] <= hertz <= _CED_HZ[1]:
                return Verdict.FAX, f"fax tone of {hertz} Hz"
            return Verdict.TONE, f"tone of {hertz} Hz"
        if self._v21_length >= self._span and self.length < self._span:
            return Verdict.FAX, "fax handshake"
        return None

    def _hertz(self) -> int:
        return (self._peak + _FIRST_BIN) * _BIN_HZ


def _frames(seconds: float) -> int:
    return round(seconds * 1000 / FRAME_MS)


def _spectrum(frame: Pcm) -> NDArray[np.float32]:
    """Return the power of each spectral line from 200 Hz up."""
    lines = np.fft.rfft(frame * _WINDOW)[_FIRST_BIN:]
    return np.asarray(lines.real**2 + lines.imag**2, np.float32)


def _level(power: NDArray[np.float32]) -> float:
    """Return the RMS of the frame in dBFS."""
    mean_square = float(power.sum()) * _LEVEL_SCALE
    return 10 * float(np.log10(mean_square)) if mean_square > 1e-9 else _SILENCE_DBFS


def _band(power: NDArray[np.float32], low: int, high: int) -> float:
    first = low // _BIN_HZ - _FIRST_BIN
    return float(power[first : high // _BIN_HZ - _FIRST_BIN + 1].sum())
