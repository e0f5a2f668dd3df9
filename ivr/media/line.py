"""One UDP socket of one call: bound, aimed at a peer, and in the end connected to it."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable, Container
from functools import partial
from typing import Final

from ivr.media.latch import Endpoint, Latch, Verdict
from ivr.media.rtp import parse_rtp

_DATAGRAM: Final = 2048  # longer than any datagram that Ethernet carries whole
_EXPEDITED: Final = 0xB8  # DSCP 46, the class of voice: RFC 3246, RFC 4594 §4.1
_UNSPECIFIED: Final = bytes(16)  # a sockaddr of family AF_UNSPEC

_libc = ctypes.CDLL(None, use_errno=True)


class Line:
    """Where the packets of a call go out and come in. Not ready to send before `aim`."""

    __slots__ = ("_aim", "_latch", "_sealed", "_socket", "dropped", "peer", "port", "transmit")

    def __init__(self, host: str, port: int) -> None:
        """Bind; port 0 lets the system choose. Raises OSError."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED)
            self._socket.bind((host, port))
        except BaseException:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.peer: Endpoint | None = None  # where packets go
        self.transmit: Callable[[bytes], int] = _nowhere
        self.dropped = 0
        self._aim: Endpoint | None = None  # what the SDP said last
        self._latch: Latch | None = None  # while the peer's address is open
        # Connected, and what others sent before has been read: from here on the kernel sorts.
        self._sealed = False

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def aim(self, host: str, port: int) -> None:
        """Send to the address of an SDP and wait for RTP; the same address again changes nothing.

        Raises OSError.
        """
        if self._aim == (host, port):
            return
        self._aim = (host, port)
        former = self.peer
        if former and self._latch is None:
            self._disconnect()
        self._latch = Latch(host, port, former)
        self._sealed = False
        self._follow(self._latch.target)

    def read(self, wanted: Container[int]) -> bytes | None:
        """Return the next datagram of this call's peer, or None: it is not his.

        `wanted` are the payload types that make a packet valid enough to latch on. Raises OSError
        when nothing is there or the peer's host has refused a packet of ours.
        """
        if self._sealed:
            return self._socket.recv(_DATAGRAM)
        data, source = self._socket.recvfrom(_DATAGRAM)
        if self._latch:
            ours = self._offer(self._latch, data, source, wanted)
        else:
            ours = source == self.peer
            self._sealed = self._is_empty()
        if ours:
            return data
        self.dropped += 1
        return None

    def close(self) -> None:
        """Free the port."""
        self._socket.close()
        self.transmit = _nowhere

    def _offer(self, latch: Latch, data: bytes, source: Endpoint, wanted: Container[int]) -> bool:
        """Let the latch decide about what anybody can have sent; return whether to hear it."""
        packet = parse_rtp(data)
        if packet is None or packet.payload_type not in wanted:
            return False
        verdict = latch.offer(source, packet.ssrc, packet.sequence)
        if verdict is Verdict.FOLLOW:
            self._follow(source)
        elif verdict is Verdict.LOCK:
            self._lock(source)
        return verdict is not Verdict.DROP

    def _is_empty(self) -> bool:
        """Tell whether certainly nothing waits to be read."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:  # an ICMP error, told before what waits
            return False
        return False

    def _follow(self, target: Endpoint) -> None:
        self.peer = target
        self.transmit = partial(_send_to, self._socket, target)

    def _lock(self, source: Endpoint) -> None:
        self._socket.connect(source)
        self.peer = source
        self.transmit = self._socket.send
        self._latch = None
        self._sealed = self._is_empty()

    def _disconnect(self) -> None:
        """Let anybody send again: connect(2) to AF_UNSPEC, which Python's sockets cannot say."""
        if _libc.connect(self._socket.fileno(), _UNSPECIFIED, len(_UNSPECIFIED)) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _send_to(line: socket.socket, target: Endpoint, data: bytes) -> int:
    return line.sendto(data, target)


def _nowhere(data: bytes) -> int:
    raise OSError(f"{len(data)} bytes have nowhere to go: no peer is known, or the line is closed")
