"""One recording as the pump sees it: packets go in, batches go to the disk thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ivr.media.disk import Disk
from ivr.media.errors import RecordingError
from ivr.media.g711 import Law
from ivr.media.rtp import CLOCK_RATE
from ivr.media.tape import Tape
from ivr.media.wav import WavWriter

MAX_BACKLOG: Final = 30  # batches of a second that may wait for a slow disk
_SYNC_SECONDS: Final = 60.0  # what a power cut may cost; a killed process costs a second


class Recorder:
    """Records until `finish`, or until the disk fails: then `on_failed` is told why, once."""

    def __init__(
        self, path: Path, law: Law, now: float, disk: Disk, on_failed: Callable[[str], None]
    ) -> None:
        self.tape = Tape(law, samples(now))
        self._disk = disk
        self._on_failed = on_failed
        self._writer: WavWriter | None = None  # belongs to the disk thread
        self._backlog = 0
        self._failed = False
        self._path = path
        disk.submit(self._open, _nothing, self._fail)

    def flush(self, now: float) -> None:
        """Hand over what has settled. Call it about once a second."""
        if self._failed:
            return
        if self._backlog >= MAX_BACKLOG:
            self._fail(
                TimeoutError(
                    f"recording {self._path} stopped: the disk is {self._backlog} s behind; "
                    "record fewer calls at once or to a quicker disk"
                )
            )
            return
        self._append(*self.tape.cut(samples(now)))

    def finish(self, now: float, done: Callable[[], None]) -> None:
        """Write the rest, close the file, then call `done`; the file may be used from then on."""
        if not self._failed:
            self._append(*self.tape.end(samples(now)))
        self._disk.submit(self._close, lambda _: done(), lambda error: self._end(error, done))

    def _append(self, sent: bytes, heard: bytes) -> None:
        if sent:
            self._backlog += 1
            self._disk.submit(lambda: self._write(sent, heard), self._written, self._fail)

    def _open(self) -> None:
        """On the disk thread."""
        self._writer = WavWriter(self._path, sync_seconds=_SYNC_SECONDS)

    def _write(self, sent: bytes, heard: bytes) -> None:
        """On the disk thread."""
        if self._writer:
            try:
                self._writer.append_g711(sent, heard, law=self.tape.law)
            except RecordingError:
                self._close()  # what would come after a gap is worth nothing
                raise

    def _close(self) -> None:
        """On the disk thread."""
        writer, self._writer = self._writer, None
        if writer:
            writer.finish()

    def _written(self, _: None) -> None:
        self._backlog -= 1

    def _fail(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            self._on_failed(str(error))

    def _end(self, error: Exception, done: Callable[[], None]) -> None:
        self._fail(error)
        done()


def _nothing(_: None) -> None:
    """Take note of a job that only had to be done."""


def samples(seconds: float) -> int:
    """Return a time as a position on a tape."""
    return int(seconds * CLOCK_RATE)
