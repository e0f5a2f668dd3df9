"""Loudness: speech of any level comes out at one, and peaks stay where G.711 can carry them."""

from __future__ import annotations

import numpy as np
import pytest

from ivr.media.convert import PEAK_DBFS, SPEECH_DBFS, normalise, speech_level
from ivr.media.g711 import Pcm

RATE = 8000


def tone(seconds: float, *, level: float = 0.1) -> Pcm:
    time = np.arange(int(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * 500 * time) * level * 32767).astype(np.int16)


def dbfs(amplitude: float) -> float:
    return float(20 * np.log10(amplitude))


@pytest.mark.parametrize("level", [0.02, 0.05, 0.3, 0.9])
def test_every_level_becomes_one_loudness(level: float) -> None:
    speech = tone(3, level=level)
    speech[RATE : 2 * RATE] = 0  # a pause does not count
    level_out = speech_level(normalise(speech) / np.float32(32768))
    assert dbfs(level_out) == pytest.approx(SPEECH_DBFS, abs=0.3)


def test_peaks_are_limited() -> None:
    clicks = tone(2, level=0.02)
    clicks[::400] = 30000
    assert dbfs(np.abs(normalise(clicks).astype(float)).max() / 32768) <= PEAK_DBFS + 0.01


def test_silence_and_hiss_are_not_blown_up() -> None:
    assert not normalise(np.zeros(8000, np.int16)).any()
    hiss = np.random.default_rng(1).integers(-8, 9, 8000).astype(np.int16)
    assert np.abs(normalise(hiss)).max() < 200


def test_a_constant_offset_is_taken_away() -> None:
    assert abs(float(normalise((tone(1, level=0.05) + 3000).astype(np.int16)).mean())) < 5


def test_a_sound_shorter_than_a_frame() -> None:
    assert len(normalise(tone(0.005))) == 40
