"""Text to speech: the small protocol a voice fulfils, and the voice that every Debian has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from ivr.media.errors import SpeechError

MAX_CHARACTERS: Final = 5000  # some six minutes of speech

_VOICES: Final[Mapping[str, str]] = MappingProxyType({"vi": "vi", "en": "en-us"})


class Voice(Protocol):
    """Speaks text into a sound file."""

    @property
    def identity(self) -> str:
        """What makes it sound as it does; another identity means other sound for a text."""

    async def speak(self, text: str, language: str, out: Path) -> None:
        """Write `text`, in the language of an ISO 639-1 code, as a sound file ffmpeg can read.

        Raises SpeechError.
        """


class EspeakVoice:
    """The formant voice of espeak-ng: robotic, small, and there in Vietnamese and English.

    `words_per_minute` is a little below espeak's 175, for a line that carries only 300–3400 Hz;
    `pitch` is espeak's 0–99.
    """

    def __init__(
        self,
        *,
        words_per_minute: int = 150,
        pitch: int = 50,
        program: str = "espeak-ng",
        timeout: float = 60.0,
    ) -> None:
        self._speed = words_per_minute
        self._pitch = pitch
        self._program = program
        self._timeout = timeout

    @property
    def identity(self) -> str:
        """Name the synthesiser and what it was told."""
        return f"{self._program} speed {self._speed} pitch {self._pitch}"

    async def speak(self, text: str, language: str, out: Path) -> None:
        """Write the text as a WAV file; see `Voice.speak`."""
        _check_text(text)
        voice = _VOICES.get(language)
        if voice is None:
            known = ", ".join(_VOICES)
            raise SpeechError(f"no voice speaks {language!r}; the languages are: {known}")
        options = ["-v", voice, "-s", str(self._speed), "-p", str(self._pitch), "-b", "1"]
        await self._run([*options, "--stdin", "-w", str(out)], text)

    async def _run(self, options: list[str], text: str) -> None:
        """Run the program with the text on its standard input, where no shell can see it."""
        try:
            process = await asyncio.create_subprocess_exec(
                self._program,
                *options,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except FileNotFoundError as error:
            raise SpeechError(
                f"{self._program} is not installed, so text cannot be spoken; "
                "install it (apt install espeak-ng) or give a sound file instead"
            ) from error
        try:
            async with asyncio.timeout(self._timeout):
                _, complaint = await process.communicate(text.encode())
        except TimeoutError as error:
            raise SpeechError(
                f"{self._program} did not finish speaking {_shorten(text)} in {self._timeout:g} s"
            ) from error
        finally:
            await _end(process)
        if process.returncode != 0:
            reason = complaint.decode(errors="replace").strip() or f"exit {process.returncode}"
            raise SpeechError(f"{self._program} could not speak {_shorten(text)}: {reason}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave no process behind, whether it ended, was cancelled or took too long."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _check_text(text: str) -> None:
    if not text.strip():
        raise SpeechError("there is nothing to speak: the text is empty")
    if len(text) > MAX_CHARACTERS:
        raise SpeechError(
            f"a text of {len(text)} characters is too long to speak: {MAX_CHARACTERS} at most"
        )


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
