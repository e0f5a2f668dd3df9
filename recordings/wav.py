"""How long a recording is, read from its WAV header."""

from __future__ import annotations

import wave
from pathlib import Path

from recordings.errors import WavError


def measure(path: Path) -> tuple[int, int]:
    """The milliseconds of sound in a WAV file, and its size in bytes.

    Raises WavError, as a sentence, where the file is missing, empty or not WAV.
    """
    try:
        size = path.stat().st_size
        with wave.open(str(path), "rb") as file:
            frames, rate = file.getnframes(), file.getframerate()
    except FileNotFoundError:
        raise WavError(f"There is no file {path.name}.") from None
    except (wave.Error, EOFError) as error:
        raise WavError(f"{path.name} is not a WAV file ({error}).") from error
    if not frames:
        raise WavError(f"{path.name} has no sound in it.")
    return round(frames * 1000 / rate), size
