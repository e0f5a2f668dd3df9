"""From any sound file to telephone sound: 8000 Hz, one channel, one loudness.

Files come at every level, and a caller who must turn the volume up misses the first words. So
speech is brought to −18 dBFS (RMS while someone speaks): some 6 dB above the quiet side of what
networks carry, and far enough from the top that only stray peaks meet the limiter, which lets
nothing beyond −3 dBFS, below the overload point of both G.711 laws.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydub import AudioSegment
from pydub.exceptions import CouldntDecodeError

from ivr.media.errors import PromptError
from ivr.media.g711 import Pcm
from ivr.media.rtp import CLOCK_RATE, FRAME_SAMPLES

SPEECH_DBFS: Final = -18.0
PEAK_DBFS: Final = -3.0
MAX_GAIN_DB: Final = 24.0  # what is quieter than that is hiss, not speech
MAX_FILE_BYTES: Final = 256 << 20

_KNEE_DBFS: Final = -6.0  # where the limiter begins to bend
_PAUSE_DB: Final = 20.0  # a frame this far below the loud ones is a pause
_FULL_SCALE: Final = 32768.0

_Wave = NDArray[np.float32]


def read_sound(path: Path, max_seconds: float) -> Pcm:
    """Return a sound file of any format that ffmpeg reads as 8000 Hz mono samples.

    Raises PromptError with one sentence for whatever stands against it.
    """
    check_file(path)
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        raise PromptError(
            f"{path} cannot be converted because ffmpeg is not installed; "
            "install it (apt install ffmpeg)"
        )
    try:
        pcm = _decode(path, max_seconds)
    except (CouldntDecodeError, LookupError, TypeError, ValueError) as error:
        # pydub trips over its own feet, in several ways, when ffprobe finds no audio stream
        raise PromptError(
            f"{path} is not a sound file that ffmpeg can read; give a WAV, MP3, Ogg or the like"
        ) from error
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror}") from error
    if len(pcm) == 0:
        raise PromptError(f"{path} has no sound in it")
    if len(pcm) > max_seconds * CLOCK_RATE:
        raise PromptError(f"{path} is longer than {max_seconds:g} s, the most a prompt may be")
    return pcm


def check_file(path: Path) -> None:
    """Raise PromptError unless this is a file of a size that can be a prompt."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror}") from error
    if not path.is_file():
        raise PromptError(f"{path} is not a file")
    if size == 0:
        raise PromptError(f"{path} is empty")
    if size > MAX_FILE_BYTES:
        raise PromptError(
            f"{path} is {size >> 20} MiB large, and a prompt {MAX_FILE_BYTES >> 20} at most; "
            "give a shorter or a compressed file"
        )


def _decode(path: Path, max_seconds: float) -> Pcm:
    """Decode and resample by ffmpeg, which filters well; a second more shows what is too long."""
    with path.open("rb") as file:
        sound = AudioSegment.from_file(file, duration=max_seconds + 1)
    parameters = ["-ac", "1", "-ar", str(CLOCK_RATE)]
    raw = sound.export(io.BytesIO(), format="s16le", parameters=parameters).read()
    return np.frombuffer(raw, "<i2").astype(np.int16)


def normalise(pcm: Pcm) -> Pcm:
    """Return the sound at SPEECH_DBFS with its peaks below PEAK_DBFS; silence stays silence."""
    wave = pcm.astype(np.float32) / _FULL_SCALE
    wave -= wave.mean()
    level = speech_level(wave)
    if level == 0:
        return np.zeros_like(pcm)
    gain = min(_amplitude(SPEECH_DBFS) / level, _amplitude(MAX_GAIN_DB))
    return np.asarray(np.round(_limit(wave * np.float32(gain)) * _FULL_SCALE), np.int16)


def speech_level(wave: _Wave) -> float:
    """Return the RMS of the frames in which there is speech, pauses left out."""
    whole = len(wave) // FRAME_SAMPLES * FRAME_SAMPLES
    frames = wave[:whole].reshape(-1, FRAME_SAMPLES) if whole else wave.reshape(1, -1)
    powers = np.mean(np.square(frames), axis=1)
    speaking = powers >= np.percentile(powers, 95) * _amplitude(-_PAUSE_DB) ** 2
    return float(np.sqrt(powers[speaking].mean()))


def _limit(wave: _Wave) -> _Wave:
    """Bend what is over the knee so that nothing passes PEAK_DBFS."""
    knee, ceiling = _amplitude(_KNEE_DBFS), _amplitude(PEAK_DBFS)
    room = ceiling - knee
    excess = np.maximum(np.abs(wave) - knee, 0)
    bent = knee + room * np.tanh(excess / room)
    return np.where(excess > 0, np.sign(wave) * bent, wave)


def _amplitude(decibels: float) -> float:
    return float(10.0 ** (decibels / 20))
