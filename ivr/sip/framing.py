"""Messages in a byte stream (RFC 3261 §18.3): cut by Content-Length, kept alive by CRLF."""

from __future__ import annotations

import re

from ivr.sip.errors import TransportError

MAX_MESSAGE = 65_535  # bytes, what a datagram could hold
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(
    rb"^(?:content-length|l)[ \t]*:(?:[ \t]|\r?\n[ \t])*(\d{1,10})[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)


class StreamFramer:
    """Feed bytes as they come, get whole messages; `pings` counts the keep-alives to answer."""

    __slots__ = ("_blank", "_buffer", "_missing", "_searched", "pings")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # no head ends before here
        self._blank = 0  # bytes of CRLF since the last message
        self._missing = 0  # bytes to wait for before looking again
        self.pings = 0

    @property
    def partial(self) -> bool:
        """Whether the stream stopped inside a message."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes off the stream; returns the messages they complete.

        Raises TransportError when the stream can no longer be cut into messages, because one has
        no Content-Length or is too big: the connection is of no more use.
        """
        self._buffer += data
        messages: list[bytes] = []
        while len(self._buffer) >= self._missing and (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> bytes | None:
        self._skip_blank_lines()
        end = _HEAD_END.search(self._buffer, self._searched)
        if end is None:
            self._searched = max(0, len(self._buffer) - 3)  # all but the beginning of an end
            self._missing = len(self._buffer) + 1
            self._bound(len(self._buffer))
            return None
        length = _CONTENT_LENGTH.search(self._buffer, 0, end.start() + 1)
        if length is None:
            raise TransportError("A message on a TCP connection has no Content-Length.")
        size = end.end() + int(length[1])
        self._bound(size)
        if len(self._buffer) < size:
            self._searched, self._missing = end.start(), size
            return None
        message = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._searched = self._missing = 0
        return message

    def _skip_blank_lines(self) -> None:
        """Between messages, CRLF CRLF asks for a CRLF back (RFC 5626 §4.4.1)."""
        if self._buffer and self._buffer[0] in b"\r\n":
            blank = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
            del self._buffer[:blank]
            self.pings += (self._blank + blank) // 4 - self._blank // 4
            self._blank += blank
            self._searched = 0
        if self._buffer:
            self._blank = 0

    def _bound(self, size: int) -> None:
        if size > MAX_MESSAGE:
            raise TransportError(f"A message on a TCP connection is over {MAX_MESSAGE} bytes.")
