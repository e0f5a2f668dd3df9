"""Many datagrams a system call: recvmmsg(2) and sendmmsg(2), which Python does not offer.

The kernel's structures are laid out as numpy arrays, so that a whole batch is read, changed and
sent without a Python loop. Linux on 64-bit machines only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from typing import Any, Final

import numpy as np
import numpy.typing as npt

SO_TIMESTAMPNS: Final = 35
SO_MEMINFO: Final = 55
_MEMINFO_DROPS: Final = 8  # the index of the count of datagrams dropped for want of buffer
_MEMINFO_SIZE: Final = 36
BUFFER: Final = 64 << 20  # bytes

ADDRESS = np.dtype([("family", "u2"), ("port", ">u2"), ("host", ">u4"), ("zero", "u8")])
VECTOR = np.dtype([("base", "u8"), ("length", "u8")])
STAMP = np.dtype([("length", "u8"), ("level", "i4"), ("type", "i4"), ("s", "i8"), ("ns", "i8")])
MESSAGE = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "len"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)

Array = npt.NDArray[Any]

_libc = ctypes.CDLL(None, use_errno=True)


def open_socket() -> socket.socket:
    """Return a bound UDP socket on loopback with a large buffer, stamped by the kernel."""
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (getattr(socket, "SO_RCVBUFFORCE", 33), socket.SO_RCVBUF):
        try:
            line.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            break
        except PermissionError:
            continue  # not root: as much as the system's limit allows
    line.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    line.setblocking(False)
    line.bind(("127.0.0.1", 0))
    return line


def dropped(line: socket.socket) -> int:
    """Return how many datagrams this socket had no room for."""
    info = line.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO_SIZE)
    return int(np.frombuffer(info, "u4")[_MEMINFO_DROPS])


class Receiver:
    """Reads batches of datagrams; after `read`, the first n rows of the arrays are theirs."""

    def __init__(self, line: socket.socket, *, batch: int = 512, size: int = 256) -> None:
        self._descriptor = line.fileno()
        self._batch = batch
        self.data = np.zeros((batch, size), np.uint8)
        self.sources = np.zeros(batch, ADDRESS)
        self.stamps = np.zeros(batch, STAMP)
        self._vectors = _vectors(self.data)
        self._messages = _messages(self.sources, self._vectors)
        self._messages["control"] = _rows(self.stamps)

    def read(self) -> int:
        """Read what is there, up to a batch, and return how many datagrams."""
        self._messages["namelen"] = ADDRESS.itemsize
        self._messages["controllen"] = STAMP.itemsize
        count: int = _libc.recvmmsg(
            self._descriptor, _pointer(self._messages), self._batch, socket.MSG_DONTWAIT, None
        )
        return _checked(count)

    def times(self, count: int) -> Array:
        """Return when the kernel took in the first `count` datagrams, in ns since 1970."""
        stamps = self.stamps[:count]
        times: Array = stamps["s"] * 1_000_000_000 + stamps["ns"]
        return times


class Sender:
    """Sends rows of `data`, each to its row of `targets`."""

    def __init__(self, line: socket.socket, data: Array) -> None:
        self._descriptor = line.fileno()
        self.targets = np.zeros(len(data), ADDRESS)
        self._vectors = _vectors(data)
        self._messages = _messages(self.targets, self._vectors)
        self._messages["namelen"] = ADDRESS.itemsize

    def send(self, first: int, count: int) -> int:
        """Send `count` rows from `first` on, and return how many the kernel took."""
        if not count:
            return 0
        start = _pointer(self._messages, first)
        sent: int = _libc.sendmmsg(self._descriptor, start, count, socket.MSG_DONTWAIT)
        return _checked(sent)


def _vectors(data: Array) -> Array:
    vectors = np.zeros(len(data), VECTOR)
    vectors["base"] = _rows(data)
    vectors["length"] = data.strides[0]
    return vectors


def _messages(addresses: Array, vectors: Array) -> Array:
    messages = np.zeros(len(vectors), MESSAGE)
    messages["name"] = _rows(addresses)
    messages["iov"] = _rows(vectors)
    messages["iovlen"] = 1
    return messages


def _rows(array: Array) -> Array:
    """Return the address of each row."""
    rows: Array = array.ctypes.data + np.arange(len(array), dtype=np.uint64) * array.strides[0]
    return rows


def _pointer(messages: Array, row: int = 0) -> ctypes.c_void_p:
    return ctypes.c_void_p(messages.ctypes.data + row * messages.strides[0])


def _checked(count: int) -> int:
    if count >= 0:
        return count
    number = ctypes.get_errno()
    if number == errno.EAGAIN:
        return 0
    raise OSError(number, os.strerror(number))
