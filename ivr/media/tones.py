"""Tones in the sound itself: hearing DTMF keys, and making DTMF, ringing, busy and beep.

The detector looks at windows of 20 ms every 10 ms. In each it measures the eight DTMF frequencies,
and a little above and below each, and compares them with the whole energy: two tones and nothing
else is a key, two tones among other sound is somebody talking. Limits follow ITU-T Q.24 (1988) as
AT&T sets them, with the margins that so short a window needs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ivr.media.g711 import Pcm
from ivr.media.rtp import CLOCK_RATE, FRAME_SAMPLES

ROWS: Final = (697, 770, 852, 941)  # Hz: ITU-T Q.23
COLUMNS: Final = (1209, 1336, 1477, 1633)
KEYPAD: Final = ("123A", "456B", "789C", "*0#D")

MIN_LEVEL_DBM0: Final = -33.0  # of each tone; Q.24 asks for −25
MAX_HIGH_OVER_LOW_DB: Final = 5.5  # reverse twist; Q.24 asks for 4
MAX_LOW_OVER_HIGH_DB: Final = 10.0  # normal twist; Q.24 asks for 8
MIN_PURITY: Final = 0.75  # share of the energy that is in the two tones
CLEAN_PURITY: Final = 0.85  # where a window counts for more
MIN_SELECTIVITY_DB: Final = 7.0  # of a tone over the others of its group
# Two clean windows convince, or three of any kind: 30 or 40 ms. Q.24 asks to hear 40 ms and to be
# deaf to 23 ms.
CLEAN_EVIDENCE: Final = 3
IMPURE_EVIDENCE: Final = 2
ENOUGH_EVIDENCE: Final = 6
RELEASE_WINDOWS: Final = 4  # Q.24: a gap of 20 ms does not split a key, one of 40 ms does

_DETUNING: Final = (0.988, 1.0, 1.012)  # Q.24: hear a sender 1.5 % off, be deaf to one 3.5 % off
_HOP: Final = FRAME_SAMPLES // 2
_FULL_SINE_DBM0: Final = 3.14  # level of a sine that just reaches full scale: G.711 table 5
_FULL_SCALE: Final = 32768.0


def _power_ratio(decibels: float) -> float:
    return float(10.0 ** (decibels / 10))


def _sine_power(dbm0: float) -> float:
    """Return the mean square of a sine of that level, in squared 16-bit units."""
    return _FULL_SCALE**2 / 2 * _power_ratio(dbm0 - _FULL_SINE_DBM0)


def _basis() -> NDArray[np.float32]:
    """Return cosines, then sines, such that the squares of the products are the tones' powers."""
    hertz = np.outer(_DETUNING, ROWS + COLUMNS).ravel()
    angles = 2 * np.pi / CLOCK_RATE * np.outer(np.arange(FRAME_SAMPLES), hertz)
    scale = np.sqrt(2) / FRAME_SAMPLES
    return np.asarray(np.hstack([np.cos(angles), np.sin(angles)]) * scale, np.float32)


_BASIS: Final = _basis()
_MIN_POWER: Final = _sine_power(MIN_LEVEL_DBM0)
_MAX_HIGH_OVER_LOW: Final = _power_ratio(MAX_HIGH_OVER_LOW_DB)
_MAX_LOW_OVER_HIGH: Final = _power_ratio(MAX_LOW_OVER_HIGH_DB)
_MIN_SELECTIVITY: Final = _power_ratio(MIN_SELECTIVITY_DB)


class DtmfDetector:
    """Finds DTMF keys in the sound of one direction; feed it every 20 ms frame in order."""

    __slots__ = ("_buffer", "_candidate", "_evidence", "_misses", "_pressed", "_windows")

    def __init__(self) -> None:
        self._buffer = np.zeros(_HOP + FRAME_SAMPLES, np.float32)
        every_window = np.lib.stride_tricks.sliding_window_view(self._buffer, FRAME_SAMPLES)
        self._windows = every_window[::_HOP]  # views: they follow the buffer
        self._candidate: str | None = None
        self._evidence = 0  # for the candidate
        self._misses = 0  # windows without the pressed key
        self._pressed: str | None = None

    @property
    def pressed(self) -> str | None:
        """The key that is sounding at this moment."""
        return self._pressed

    def feed(self, frame: Pcm) -> str | None:
        """Take 160 samples in; return a key once, some 30 ms after it was pressed."""
        self._buffer[:_HOP] = self._buffer[FRAME_SAMPLES:]
        self._buffer[_HOP:] = frame
        energies = np.einsum("ij,ij->i", self._windows, self._windows) / FRAME_SAMPLES
        found: str | None = None
        if max(energies.tolist()) < 2 * _MIN_POWER:
            for _ in energies:
                self._step(None, 0.0)
            return None
        products = np.square(self._windows @ _BASIS)
        powers = products.reshape(-1, 2, len(_DETUNING), 8).sum(axis=1).max(axis=1)
        for tones, energy in zip(powers.tolist(), energies.tolist(), strict=True):
            found = self._step(*_identify(tones, energy)) or found
        return found

    def _step(self, key: str | None, purity: float) -> str | None:
        """Follow the key through one window; return it when it has just become certain."""
        if key is not None and key == self._pressed:
            self._misses = 0
            self._candidate = None
            return None
        self._misses += 1
        if self._misses >= RELEASE_WINDOWS:
            self._pressed = None
        if key is None or key != self._candidate:
            self._candidate, self._evidence = key, 0
        self._evidence += CLEAN_EVIDENCE if purity >= CLEAN_PURITY else IMPURE_EVIDENCE
        if key is None or self._evidence < ENOUGH_EVIDENCE:
            return None
        self._pressed, self._candidate, self._misses = key, None, 0
        return key


def _identify(tones: list[float], energy: float) -> tuple[str | None, float]:
    """Return the key that a window holds, and how pure it is; `tones` are eight powers."""
    rows, columns = tones[:4], tones[4:]
    low, high = max(rows), max(columns)
    purity = (low + high) / energy if energy else 0.0
    if purity < MIN_PURITY or min(low, high) < _MIN_POWER:
        return None, purity
    if high > low * _MAX_HIGH_OVER_LOW or low > high * _MAX_LOW_OVER_HIGH:
        return None, purity
    if low < _MIN_SELECTIVITY * sorted(rows)[2] or high < _MIN_SELECTIVITY * sorted(columns)[2]:
        return None, purity
    return KEYPAD[rows.index(low)][columns.index(high)], purity


def tone(*hertz: float, ms: int, level_dbm0: float = -10.0) -> Pcm:
    """Return a chord, each tone at the level, with flanks of 2 ms so that it does not click."""
    count = ms * CLOCK_RATE // 1000
    time = np.arange(count) / CLOCK_RATE
    amplitude = np.sqrt(2 * _sine_power(level_dbm0))
    wave = amplitude * np.sum([np.sin(2 * np.pi * f * time) for f in hertz], axis=0)
    flank = np.minimum(np.arange(1, count + 1) / 16, 1)
    return np.asarray(np.clip(wave * np.minimum(flank, flank[::-1]), -32768, 32767), np.int16)


def pause(ms: int) -> Pcm:
    """Return silence."""
    return np.zeros(ms * CLOCK_RATE // 1000, np.int16)


def dtmf(digits: str, *, tone_ms: int = 100, gap_ms: int = 100, level_dbm0: float = -8.0) -> Pcm:
    """Return the keys one after the other, each followed by a gap.

    Raises ValueError for what is not a key.
    """
    parts = [pause(0)]
    for digit in digits.upper():
        row = next((n for n, keys in enumerate(KEYPAD) if digit in keys), None)
        if row is None:
            raise ValueError(f"{digit!r} in {digits!r} is not a key of a telephone")
        column = KEYPAD[row].index(digit)
        chord = tone(ROWS[row], COLUMNS[column], ms=tone_ms, level_dbm0=level_dbm0)
        parts += [chord, pause(gap_ms)]
    return np.concatenate(parts)


def ringback() -> Pcm:
    """Return one period of Vietnam's ringing tone: 425 Hz, 1 s on, 4 s off (ITU-T E.180)."""
    return np.concatenate([tone(425, ms=1000), pause(4000)])


def busy() -> Pcm:
    """Return one period of Vietnam's busy tone: 425 Hz, 0.5 s on, 0.5 s off (ITU-T E.180)."""
    return np.concatenate([tone(425, ms=500), pause(500)])


def beep() -> Pcm:
    """Return the short tone after which one is asked to speak."""
    return tone(1000, ms=200)
