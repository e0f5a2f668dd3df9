"""Recordings: a 16-bit, 8000 Hz WAV file that is valid at every instant.

Samples are written first, behind the end that the header knows; then the header is rewritten with
the new sizes in a single write. Whenever the process is killed, the file on disk plays up to the
last append that was completed. (RIFF permits bytes after the last chunk; players ignore them.)
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ivr.media import g711
from ivr.media.errors import RecordingError
from ivr.media.g711 import Law, Pcm
from ivr.media.rtp import CLOCK_RATE

SYNC_SECONDS: Final = 10.0  # of recorded sound that a power cut may cost
MAX_DATA_BYTES: Final = (1 << 32) - 256  # RIFF sizes have 32 bits: some 37 h of two channels

_SAMPLE_BYTES: Final = 2
_PCM_FORMAT: Final = 1  # WAVE_FORMAT_PCM
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording as it lies on disk."""

    path: Path
    seconds: float
    size: int  # bytes of the whole file


class WavWriter:
    """Writes one recording. Blocking: for a thread or process that may wait for the disk.

    The file is created anew, with its folders; an existing one is never overwritten. All methods
    raise RecordingError when the disk refuses; what was recorded until then stays playable.
    """

    def __init__(
        self, path: Path, *, channels: int = 2, sync_seconds: float | None = SYNC_SECONDS
    ) -> None:
        self._path = path
        self._channels = channels
        self._frame_bytes = channels * _SAMPLE_BYTES
        self._sync_bytes = _byte_interval(sync_seconds, self._frame_bytes)
        self._data_bytes = 0
        self._synced_bytes = 0
        self._recorded: Recorded | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._create()
        except OSError as error:
            raise self._failure("cannot be started", error) from error

    @property
    def seconds(self) -> float:
        """Return how much has been recorded."""
        return self._data_bytes / self._frame_bytes / CLOCK_RATE

    def append(self, *channels: Pcm) -> None:
        """Append as many samples to every channel; all arrays have one length."""
        if len(channels) != self._channels or len({len(channel) for channel in channels}) != 1:
            lengths = [len(channel) for channel in channels]
            raise ValueError(f"{self._channels} channels of one length wanted, not {lengths}")
        self._guarded_write(np.stack(channels, axis=1).astype("<i2", copy=False).tobytes())

    def append_g711(self, *channels: bytes, law: Law) -> None:
        """Append G.711 to every channel; all have one length."""
        self.append(*(g711.decode(channel, law) for channel in channels))

    def finish(self) -> Recorded:
        """Put everything on disk, close the file and say what there is. May be called again."""
        if self._recorded is None:
            size = _HEADER.size + self._data_bytes
            self._recorded = Recorded(self._path, self.seconds, size)
            try:
                os.fsync(self._file)
            except OSError as error:
                raise self._failure("may not be whole on disk", error) from error
            finally:
                os.close(self._file)
        return self._recorded

    def _create(self) -> int:
        """Give the file its name only once it has a header, so that it is never seen without."""
        if self._path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        unborn = self._path.with_name(f".{self._path.name}.new")
        file = os.open(unborn, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            _write_all(file, self._header(0), 0)
            unborn.rename(self._path)
        except OSError:
            os.close(file)
            raise
        return file

    def _guarded_write(self, data: bytes) -> None:
        """Write samples, then the header that includes them; undo what did not fit."""
        if self._recorded is not None:
            raise RecordingError(f"recording {self._path} is finished; start a new one")
        if self._data_bytes + len(data) > MAX_DATA_BYTES:
            raise RecordingError(
                f"recording {self._path} stopped after {self.seconds:.0f} s: "
                "a WAV file cannot exceed 4 GiB; start a new one"
            )
        end = _HEADER.size + self._data_bytes
        try:
            _write_all(self._file, data, end)
            self._sync_if_due(self._data_bytes + len(data))
            _write_all(self._file, self._header(self._data_bytes + len(data)), 0)
        except OSError as error:
            self._take_back(end)
            raise self._failure(f"stopped after {self.seconds:.1f} s", error) from error
        self._data_bytes += len(data)

    def _sync_if_due(self, data_bytes: int) -> None:
        """Let samples reach the disk before the header that counts them."""
        if self._sync_bytes is not None and data_bytes - self._synced_bytes >= self._sync_bytes:
            os.fdatasync(self._file)
            self._synced_bytes = data_bytes

    def _take_back(self, end: int) -> None:
        """Cut off samples that were written in part; if even that fails they do no harm."""
        try:
            os.ftruncate(self._file, end)
        except OSError:
            return

    def _header(self, data_bytes: int) -> bytes:
        return _HEADER.pack(
            b"RIFF",
            _HEADER.size - 8 + data_bytes,
            b"WAVE",
            b"fmt ",
            16,  # bytes in this chunk
            _PCM_FORMAT,
            self._channels,
            CLOCK_RATE,
            CLOCK_RATE * self._frame_bytes,
            self._frame_bytes,
            8 * _SAMPLE_BYTES,
            b"data",
            data_bytes,
        )

    def _failure(self, what: str, error: OSError) -> RecordingError:
        return RecordingError(
            f"recording {self._path} {what}: {error.strerror}; "
            "make room or permit writing there, then record again"
        )


def _byte_interval(seconds: float | None, frame_bytes: int) -> int | None:
    return None if seconds is None else int(seconds * CLOCK_RATE) * frame_bytes


def _write_all(file: int, data: bytes, offset: int) -> None:
    """Write all of the bytes at the offset; a short write is tried again to learn why."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
