"""Two calls joined: each passes what it receives on to the other.

Within a worker the packet goes straight to the other call's sending half. Between workers it
crosses the loopback in a datagram: this is a worker's rim, one UDP socket for all its bridges.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Final

from ivr.media.outgoing import EVENT, Encoding, Outgoing
from ivr.media.rtp import RtpPacket, pack_rtp, parse_rtp

_LOOPBACK: Final = "127.0.0.1"
_FRAME = struct.Struct("!IIB")  # to session, from session, encoding
_ENCODINGS: Final[tuple[Encoding, ...]] = ("PCMA", "PCMU", EVENT)
_BUFFER: Final = 1 << 20  # bytes: a bridge of 500 calls for 25 ms
_BATCH: Final = 256  # datagrams taken at once, so that the pump's own calls stay on time
_DATAGRAM: Final = 4096

Deliver = Callable[[int, int, RtpPacket, Encoding, float], None]


class NearEnd:
    """The other call is in this worker."""

    __slots__ = ("_other", "_session")

    def __init__(self, session: int, other: Outgoing) -> None:
        self._session = session
        self._other = other

    def relay(self, packet: RtpPacket, encoding: Encoding, now: float) -> None:
        """Hand the packet to the other call."""
        self._other.relay(self._session, packet, encoding, now)


class FarEnd:
    """The other call is in another worker."""

    __slots__ = ("_head", "_peer", "_rim")

    def __init__(self, session: int, far_session: int, peer: tuple[str, int], rim: Rim) -> None:
        self._head = (far_session, session)
        self._peer = peer
        self._rim = rim

    def relay(
        self,
        packet: RtpPacket,
        encoding: Encoding,
        now: float,  # noqa: ARG002 - the other worker goes by when it gets the packet
    ) -> None:
        """Send the packet to the other worker."""
        frame = _FRAME.pack(*self._head, _ENCODINGS.index(encoding)) + pack_rtp(packet)
        self._rim.send(frame, self._peer)


class Rim:
    """A worker's door to the bridges of other workers."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._peers: set[tuple[str, int]] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind((_LOOPBACK, 0))
        self.port: int = self._socket.getsockname()[1]

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def reach(self, session: int, far_session: int, port: int) -> FarEnd:
        """Return the way to a session of the worker whose rim has this port; hear that rim."""
        peer = (_LOOPBACK, port)
        self._peers.add(peer)
        return FarEnd(session, far_session, peer, self)

    def send(self, frame: bytes, peer: tuple[str, int]) -> None:
        """Send or lose a datagram: audio that cannot leave at once is late anyway."""
        try:
            self._socket.sendto(frame, peer)
        except OSError:
            return

    def receive(self, now: float) -> None:
        """Deliver what other workers have sent; anybody else on this machine is ignored."""
        for _ in range(_BATCH):
            try:
                data, source = self._socket.recvfrom(_DATAGRAM)
            except OSError:
                return
            if source in self._peers:
                self._take(data, now)

    def close(self) -> None:
        """Shut the door."""
        self._socket.close()

    def _take(self, data: bytes, now: float) -> None:
        session, far_session, encoding = _FRAME.unpack_from(data)
        packet = parse_rtp(data[_FRAME.size :])
        if packet:
            self._deliver(session, far_session, packet, _ENCODINGS[encoding], now)
