"""What one call hears: prompts one after the other, cut short by a key where they allow it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ivr.media.clips import Clip, ClipLibrary
from ivr.media.events import PlayEnded, PlayReason
from ivr.media.g711 import Law


@dataclass(slots=True)
class _Item:
    """A prompt that plays or waits."""

    id: int
    files: dict[Law, str]
    loop: bool
    barge_in: bool


class Player:
    """The prompts of one call. A looping prompt gives way to the next at the end of a round."""

    __slots__ = ("_clip", "_codec", "_items", "_library", "_on_ended", "_position")

    def __init__(self, library: ClipLibrary, on_ended: Callable[[PlayEnded], None]) -> None:
        self._library = library
        self._on_ended = on_ended
        self._items: deque[_Item] = deque()
        self._codec: Law | None = None
        self._clip: Clip | None = None  # that of the first item
        self._position = 0  # of the next frame

    @property
    def playing(self) -> bool:
        """Whether a prompt plays or waits."""
        return bool(self._items)

    def use(self, codec: Law) -> None:
        """Play in this codec from now on; a prompt goes on where it is."""
        self._codec = codec
        self._load()

    def play(self, id: int, files: dict[Law, str], *, loop: bool, barge_in: bool) -> None:
        """Play a prompt when those before it have ended; `files` are by codec."""
        self._items.append(_Item(id, files, loop, barge_in))
        if len(self._items) == 1:
            self._position = 0
            self._load()

    def stop(self) -> None:
        """End every prompt."""
        while self._items:
            self._end("stopped")

    def barge(self) -> None:
        """End the prompts that a key press may end, up to the first that it may not."""
        while self._items and self._items[0].barge_in:
            self._end("barged")

    def next_frame(self) -> bytes | None:
        """Return the frame of this period, or None when there is none to play."""
        clip = self._clip
        if clip is None:
            return None
        frames = clip.frames
        if frames is None:
            if clip.failed:
                self._end("failed")
            return None
        position = self._position
        if position >= len(frames):
            return self._turn_over()
        self._position = position + 1
        return frames[position]

    def _turn_over(self) -> bytes | None:
        """Begin another round or the next prompt; the last frame has been heard by now."""
        if self._items[0].loop and len(self._items) == 1 and self._clip and self._clip.frames:
            self._position = 0
        else:
            self._end("stopped" if self._items[0].loop else "completed")
        return self.next_frame()

    def _end(self, reason: PlayReason) -> None:
        item = self._items.popleft()
        self._position = 0
        self._load()
        self._on_ended(PlayEnded(item.id, reason))

    def _load(self) -> None:
        """Have the clip of the first item ready."""
        if self._items and self._codec:
            self._clip = self._library.get(self._items[0].files[self._codec])
        else:
            self._clip = None
