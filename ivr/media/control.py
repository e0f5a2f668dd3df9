"""The worker's end of the control socket: commands in by the line, notices out, never blocking."""

from __future__ import annotations

import socket
from collections import deque
from typing import Final

from ivr.media.protocol import Command, Notice, decode, encode

_CHUNK: Final = 65536


class Control:
    """A queue of commands and a backlog of notices on one non-blocking stream socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._commands: deque[bytes] = deque()
        self._partial = b""
        self._backlog = bytearray()
        self.gone = False  # the server has closed its end, or is dead

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    @property
    def waiting(self) -> bool:
        """Whether there is a command to take, or a notice that still has to leave."""
        return bool(self._commands or self._backlog)

    def receive(self, now: float) -> None:  # noqa: ARG002 - every source is told the time
        """Read what the server has sent."""
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.gone = True
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._commands.extend(lines)

    def next_command(self) -> Command | None:
        """Take the oldest command."""
        command: Command | None = decode(self._commands.popleft()) if self._commands else None
        return command

    def notify(self, notice: Notice) -> None:
        """Queue a notice for `flush`."""
        self._backlog += encode(notice)

    def flush(self) -> None:
        """Send as much of the backlog as the socket takes."""
        if not self._backlog:
            return
        try:
            sent = self._socket.send(self._backlog)
        except BlockingIOError:
            return
        except OSError:
            self.gone = True
            return
        del self._backlog[:sent]
