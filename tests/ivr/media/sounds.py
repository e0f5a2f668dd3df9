"""Sounds to test with: speech by espeak-ng, noise, chords."""

from __future__ import annotations

import subprocess
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ivr.media.g711 import Pcm

RATE = 8000
FRAME = 160
Samples = NDArray[np.float64]


def amplitude(dbm0: float) -> float:
    """The peak of a sine of that level; one of full scale has +3.14 dBm0."""
    return float(32768 * 10 ** ((dbm0 - 3.14) / 20))


def chord(tones: list[tuple[float, float]], ms: float, *, phase: float = 0.3) -> Samples:
    """Sines, each of (hertz, dBm0)."""
    time = np.arange(round(ms * 8)) / RATE
    waves = [
        amplitude(level) * np.sin(2 * np.pi * hertz * time + phase * n)
        for n, (hertz, level) in enumerate(tones, 1)
    ]
    return np.sum(waves, axis=0)


def silence(ms: float) -> Samples:
    return np.zeros(round(ms * 8))


def noise(ms: float, rms: float, *, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).normal(0, rms, round(ms * 8))


def pcm(*parts: Samples) -> Pcm:
    """The parts in a row, as samples."""
    return np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)


def frames(sound: Pcm) -> list[Pcm]:
    """The sound in frames of 20 ms, the last one padded."""
    padded = np.concatenate([sound, np.zeros(-len(sound) % FRAME, np.int16)])
    return list(padded.reshape(-1, FRAME))


@cache
def spoken(voice: str, text: str, *, speed: int = 160, pitch: int = 50) -> Pcm:
    """Speech as espeak-ng makes it, at 8000 Hz, without the silence around it."""
    options = ["-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    speech = subprocess.run(["espeak-ng", *options], capture_output=True, check=True)
    to_raw = ["sox", "-t", "wav", "-", "-r", "8000", "-t", "raw", "-e", "signed", "-b", "16", "-"]
    raw = subprocess.run(to_raw, input=speech.stdout, capture_output=True, check=True)
    sound = np.frombuffer(raw.stdout, "<i2").astype(np.int16)
    loud = np.flatnonzero(np.abs(sound) > 200)
    return sound[loud[0] : loud[-1] + 1]
