"""Prompts: sound prepared once, as raw G.711 in both laws, for the workers to map and send.

The cache is keyed by content: a file's bytes, or the text and the voice that speaks it. A changed
file is therefore prepared anew, a renamed one is not, and several processes may share a cache:
files appear whole, by rename, and never change.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ivr.media import g711
from ivr.media.convert import check_file, normalise, read_sound
from ivr.media.errors import PromptError
from ivr.media.g711 import Law, Pcm
from ivr.media.rtp import FRAME_MS, FRAME_SAMPLES
from ivr.media.speech import EspeakVoice, Voice

MAX_SECONDS: Final = 600.0  # the longest prompt

_RECIPE: Final = b"1"  # change it when preparation changes, and old cache files are left alone
_SUFFIXES: Final[Mapping[Law, str]] = {"PCMA": ".alaw", "PCMU": ".ulaw"}
_HASH_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prepared prompt: raw G.711 files of whole 160-byte frames, padded with silence."""

    name: str  # for people: the file's name, or the text
    files: Mapping[Law, Path]  # by law, "PCMA" and "PCMU"
    frames: int  # of 20 ms

    @property
    def seconds(self) -> float:
        """Return how long it plays."""
        return self.frames * FRAME_MS / 1000


class PromptStore:
    """Prepares prompts off the event loop and keeps them in a folder.

    All methods raise PromptError (or SpeechError) with one sentence. Requests for the same
    prompt at the same time prepare it once.
    """

    def __init__(
        self, cache: Path, *, voice: Voice | None = None, max_seconds: float = MAX_SECONDS
    ) -> None:
        self._cache = cache
        self._voice: Voice = voice or EspeakVoice()
        self._max_seconds = max_seconds
        self._jobs: dict[str, asyncio.Task[int]] = {}

    async def load(self, path: Path) -> Prompt:
        """Prepare a sound file of any format that ffmpeg reads."""
        key = await asyncio.to_thread(_key_of_file, path)
        return await self._prepare(
            path.name, key, lambda: asyncio.to_thread(self._sound_of_file, path)
        )

    async def say(self, text: str, language: str = "vi") -> Prompt:
        """Prepare a spoken text; `language` is an ISO 639-1 code."""
        key = _key(b"text", f"{self._voice.identity}\0{language}\0{text}".encode())
        return await self._prepare(text, key, lambda: self._spoken(text, language))

    async def from_pcm(self, name: str, pcm: Pcm) -> Prompt:
        """Prepare 8000 Hz samples exactly as they are, level included."""

        async def sound() -> Pcm:
            return pcm

        return await self._prepare(name, _key(b"pcm", pcm.tobytes()), sound)

    async def _prepare(self, name: str, key: str, sound: Callable[[], Awaitable[Pcm]]) -> Prompt:
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = asyncio.create_task(self._frames(name, key, sound))
            job.add_done_callback(lambda done: self._forget(key, done))
        frames = await asyncio.shield(job)  # others may be waiting for it too
        return Prompt(name, self._files(key), frames)

    def _forget(self, key: str, job: asyncio.Task[int]) -> None:
        del self._jobs[key]
        if not job.cancelled():
            job.exception()  # if every waiter was cancelled, nobody else will look at it

    async def _frames(self, name: str, key: str, sound: Callable[[], Awaitable[Pcm]]) -> int:
        """Return the prompt's length, after making its files if they are not there."""
        frames = await asyncio.to_thread(self._cached_frames, key)
        if frames:
            return frames
        pcm = await sound()
        if len(pcm) == 0:
            raise PromptError(f"prompt {name!r} has no sound in it")
        try:
            return await asyncio.to_thread(self._write, key, pcm)
        except OSError as error:
            raise PromptError(
                f"the prompt cache {self._cache} cannot be written: {error.strerror}; "
                "make room or permit writing there"
            ) from error

    def _files(self, key: str) -> dict[Law, Path]:
        return {law: self._cache / f"{key}{suffix}" for law, suffix in _SUFFIXES.items()}

    def _cached_frames(self, key: str) -> int:
        """Return the length of a prompt whose two files are there and whole, else 0."""
        try:
            sizes = {path.stat().st_size for path in self._files(key).values()}
        except OSError:
            return 0
        frames, rest = divmod(min(sizes), FRAME_SAMPLES)
        return frames if len(sizes) == 1 and rest == 0 else 0

    def _write(self, key: str, pcm: Pcm) -> int:
        self._cache.mkdir(parents=True, exist_ok=True)
        padded = np.concatenate([pcm, np.zeros(-len(pcm) % FRAME_SAMPLES, np.int16)])
        for law, path in self._files(key).items():
            _write_whole(path, g711.encode(padded, law))
        return len(padded) // FRAME_SAMPLES

    def _sound_of_file(self, path: Path) -> Pcm:
        return normalise(read_sound(path, self._max_seconds))

    async def _spoken(self, text: str, language: str) -> Pcm:
        folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="tongdai-speech-")
        try:
            out = Path(folder.name) / "speech.wav"
            await self._voice.speak(text, language, out)
            return await asyncio.to_thread(self._sound_of_file, out)
        finally:
            await asyncio.to_thread(folder.cleanup)


def _key(kind: bytes, content: bytes) -> str:
    digest = _digest(kind)
    digest.update(content)
    return digest.hexdigest()


def _key_of_file(path: Path) -> str:
    check_file(path)
    digest = _digest(b"file")
    try:
        with path.open("rb") as file:
            while block := file.read(_HASH_BLOCK):
                digest.update(block)
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _digest(kind: bytes) -> hashlib._Hash:
    return hashlib.sha256(_RECIPE + b"\0" + kind + b"\0")


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either whole or not there."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        unborn = Path(file.name)
        try:
            file.write(data)
            file.flush()
            unborn.rename(path)
        except OSError:
            unborn.unlink(missing_ok=True)
            raise
