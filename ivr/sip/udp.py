"""SIP over UDP: one non-blocking socket, drained a batch at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from ivr.sip.errors import TransportError
from ivr.sip.peer import Peer, parse_bind

log = logging.getLogger(__name__)

BATCH = 64  # datagrams read before the loop may turn to something else
RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes asked of the kernel: a second of bursts
MAX_DATAGRAM = 65_535


class UdpSocket:
    """A bound socket; `received(data, peer)` gets each datagram."""

    def __init__(self, bind: str, received: Callable[[bytes, Peer], None]) -> None:
        host, port = parse_bind(bind)
        self._received = received
        self._socket = socket.socket(
            socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM
        )
        self._socket.setblocking(False)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            if ":" in host:  # IPv4 peers under names like ::ffff:192.0.2.1 would match no trunk
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise TransportError(f"SIP cannot listen on udp {bind}: {error.strerror}.") from error
        self.local = Peer("udp", *self._socket.getsockname()[:2])

    def start(self) -> None:
        """Read from now on, in the running loop."""
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        for _ in range(BATCH):
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                log.debug("Reading SIP from %s failed: %s", self.local, error)
                continue
            self._received(data, Peer("udp", address[0], address[1]))
            if self._socket.fileno() < 0:
                return  # what was received closed us

    def send(self, data: bytes, peer: Peer) -> None:
        """Send one datagram. Raises OSError where the network refuses it at once."""
        # A full send buffer loses the datagram, as any router on the way might.
        with contextlib.suppress(BlockingIOError):
            self._socket.sendto(data, (peer.host, peer.port))

    def close(self) -> None:
        """Read no more, and give up the port."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()


def route_to(peer: Peer) -> str:
    """The local address from which the kernel would send to `peer`; no packet leaves."""
    family = socket.AF_INET6 if ":" in peer.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        probe.connect((peer.host, peer.port or 9))
        return str(probe.getsockname()[0])
