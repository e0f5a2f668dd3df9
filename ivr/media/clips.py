"""Prompts as a worker plays them: G.711 frames in memory, one copy for all calls.

They are read, not mapped: a mapped file that somebody truncates kills the process that reads it,
and a page that is not in memory stalls every call of the pump.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path
from typing import Final

from ivr.media.disk import Disk
from ivr.media.rtp import FRAME_SAMPLES

log = logging.getLogger(__name__)

KEPT: Final = 128  # files kept in memory; the one longest unused goes first


class Clip:
    """The frames of one file, cut apart beforehand; None until they are there."""

    __slots__ = ("failed", "frames")

    def __init__(self) -> None:
        self.frames: tuple[bytes, ...] | None = None
        self.failed = False

    def fill(self, frames: tuple[bytes, ...]) -> None:
        """Take the frames."""
        self.frames = frames


class ClipLibrary:
    """Reads each file once."""

    def __init__(self, disk: Disk, kept: int = KEPT) -> None:
        self._disk = disk
        self._kept = kept
        self._clips: OrderedDict[str, Clip] = OrderedDict()

    def get(self, path: str) -> Clip:
        """Return the clip of a file, soon to be filled if it is new."""
        clip = self._clips.get(path)
        if clip is None:
            clip = self._clips[path] = self._load(path)
            if len(self._clips) > self._kept:
                self._clips.popitem(last=False)  # calls that play it keep it alive
        else:
            self._clips.move_to_end(path)
        return clip

    def _load(self, path: str) -> Clip:
        clip = Clip()

        def failed(error: Exception) -> None:
            log.error("The prompt %s cannot be played: %s", path, error)
            clip.failed = True
            self._clips.pop(path, None)  # the next call may be luckier

        self._disk.submit(lambda: cut(Path(path).read_bytes()), clip.fill, failed)
        return clip


def cut(data: bytes) -> tuple[bytes, ...]:
    """Return G.711 as frames; what does not fill a last frame is left out."""
    end = len(data) - len(data) % FRAME_SAMPLES
    return tuple(data[at : at + FRAME_SAMPLES] for at in range(0, end, FRAME_SAMPLES))
