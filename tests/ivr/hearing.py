"""Tones, and finding out which one is in a recording: audio is proved by its frequency."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.waiting import until

RATE = 8000


def tone(hertz: float, seconds: float = 1.0) -> NDArray[np.int16]:
    """A sine at a quarter of full scale."""
    time = np.arange(int(RATE * seconds)) / RATE
    return (8192 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


def channel_of(path: Path, channel: int) -> NDArray[np.int16]:
    """One channel of a two-channel WAV: 0 what we sent, 1 what we received."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE)
        frames = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return frames.reshape(-1, 2)[:, channel]


def loudest(path: Path, channel: int) -> float:
    """The strongest frequency of a channel, in Hz."""
    samples = channel_of(path, channel).astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / RATE)[int(np.argmax(spectrum))])


async def recorded(*paths: Path, seconds: float = 1.5) -> None:
    """Wait until each of these recordings holds so much sound (two channels of 16 bits)."""

    def long_enough() -> bool:
        sizes = (path.stat().st_size if path.exists() else 0 for path in paths)
        return all(size >= seconds * RATE * 4 for size in sizes)

    await until(lambda: asyncio.to_thread(long_enough), seconds=seconds + 10)


async def recorded_more(path: Path, *, seconds: float) -> None:
    """Wait until a recording holds so much more sound than now: the disk gets it in lumps."""
    size = (await asyncio.to_thread(path.stat)).st_size
    await recorded(path, seconds=size / (RATE * 4) + seconds)
