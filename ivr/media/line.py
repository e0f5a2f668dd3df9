"""One UDP socket of one call: bound, aimed at a peer, and in the end connected to it."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable, Container
from functools import partial
from typing import Final

from ivr.media.latch import Endpoint, Latch, Verdict
from ivr.media.rtp import RtpPacket, parse_rtp

_DATAGRAM: Final = 2048  # longer than any datagram that Ethernet carries whole
_EXPEDITED: Final = 0xB8  # DSCP 46, the class of voice: RFC 3246, RFC 4594 §4.1
_UNSPECIFIED: Final = bytes(16)  # a sockaddr of family AF_UNSPEC

_libc = ctypes.CDLL(None, use_errno=True)


class Line:
    """Where the packets of a call go out and come in. Not ready to send before `aim`."""

    __slots__ = ("_aim", "_latch", "_socket", "_strict", "dropped", "peer", "port", "transmit")

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
        self._strict = False  # packets of others may still be in the socket's buffer

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
        self._follow(self._latch.target)

    def read(self, wanted: Container[int]) -> RtpPacket | None:
        """Return the next packet of this call's peer, or None: there is none, or it is not his.

        `wanted` are the payload types that make a packet valid enough to latch on. Raises OSError
        when nothing is there or the peer's host has refused a packet of ours.
        """
        if self._latch is None and not self._strict:
            packet = parse_rtp(self._socket.recv(_DATAGRAM))
        else:
            packet = self._read_open(wanted)
        if packet is None:
            self.dropped += 1
        return packet

    def close(self) -> None:
        """Free the port."""
        self._socket.close()
        self.transmit = _nowhere

    def _read_open(self, wanted: Container[int]) -> RtpPacket | None:
        """Read while anybody can send."""
        try:
            data, source = self._socket.recvfrom(_DATAGRAM)
        except BlockingIOError:
            self._strict = False  # the buffer is empty: from here on the kernel sorts
            raise
        packet = parse_rtp(data)
        if packet is None:
            return None
        if self._latch is None:
            return packet if source == self.peer else None
        if packet.payload_type not in wanted:
            return None
        verdict = self._latch.offer(source, packet.ssrc, packet.sequence)
        if verdict is Verdict.DROP:
            return None
        if verdict is Verdict.FOLLOW:
            self._follow(source)
        elif verdict is Verdict.LOCK:
            self._lock(source)
        return packet

    def _follow(self, target: Endpoint) -> None:
        self.peer = target
        self.transmit = partial(_send_to, self._socket, target)

    def _lock(self, source: Endpoint) -> None:
        self._socket.connect(source)
        self.peer = source
        self.transmit = self._socket.send
        self._latch = None
        self._strict = True

    def _disconnect(self) -> None:
        """Let anybody send again: connect(2) to AF_UNSPEC, which Python's sockets cannot say."""
        if _libc.connect(self._socket.fileno(), _UNSPECIFIED, len(_UNSPECIFIED)) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _send_to(line: socket.socket, target: Endpoint, data: bytes) -> int:
    return line.sendto(data, target)


def _nowhere(data: bytes) -> int:
    raise OSError(f"{len(data)} bytes have nowhere to go: no peer is known, or the line is closed")
