"""The wire: UDP and TCP on one address, and what that address is called towards whom."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable

from ivr.sip.errors import TransportError
from ivr.sip.peer import Peer, is_address, parse_bind
from ivr.sip.tcp import TcpHub
from ivr.sip.udp import UdpSocket, route_to

__all__ = ["Peer", "Transport", "is_address"]

log = logging.getLogger(__name__)

PORT_TRIES = 16  # when any port will do, but TCP does not get the one UDP got
MAX_ROUTES = 1024
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, as the kernel writes them
_EXTERNAL = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-]+)(?::(\d{1,5}))?")


class Transport:
    """The sockets of one endpoint. Owns no protocol: bytes in, bytes out.

    `received(data, peer)` gets every datagram and every message of a connection;
    `lost(peer)` is told when a TCP connection ended.
    """

    def __init__(
        self,
        received: Callable[[bytes, Peer], None],
        lost: Callable[[Peer], None],
        counters: Counter[str],
    ) -> None:
        self._received = received
        self._counters = counters
        self._hub = TcpHub(received, lost, counters)
        self._udp: UdpSocket | None = None
        self._external: tuple[str, int] | None = None
        self._routes: dict[str, str] = {}

    @property
    def local(self) -> Peer:
        """The bound UDP address. Raises TransportError before `listen`."""
        if self._udp is None:
            raise TransportError("The SIP endpoint is not listening.")
        return self._udp.local

    async def listen(self, bind: str, external_address: str, tcp: bool) -> None:
        """Open the sockets. Raises TransportError, with nothing left open."""
        if external_address:
            self._external = _parse_external(external_address)
        host, port = parse_bind(bind)
        for attempt in range(PORT_TRIES):
            udp = UdpSocket(bind, self._received)
            try:
                if tcp:
                    await self._hub.listen(host, udp.local.port)
                break
            except TransportError:
                udp.close()
                if port or attempt == PORT_TRIES - 1:
                    raise
        self._udp = udp
        udp.start()

    def advertised(self, to: Peer) -> tuple[str, int]:
        """Host and port by which `to` reaches us: external, bound, or routed (wildcard)."""
        host, port = self.local.host, self.local.port
        if self._external is not None:
            return self._external[0], self._external[1] or port
        if host in _WILDCARDS:
            return self._route(to), port
        return host, port

    def _route(self, to: Peer) -> str:
        known = self._routes.get(to.host)
        if known is None:
            try:
                known = route_to(to)
            except OSError:
                return self.local.host  # no route: sending will say so
            if len(self._routes) >= MAX_ROUTES:
                self._routes.clear()
            self._routes[to.host] = known
        return known

    def send(
        self, data: bytes, to: Peer, failed: Callable[[], None], fallback: Peer | None = None
    ) -> None:
        """Send; `failed` is called later, never from within, when the network refuses.

        A response over TCP goes to `fallback` when the connection it belongs to is gone
        (§18.2.2).
        """
        if to.transport == "tcp":
            gone = fallback is not None and not self._hub.connected(to)
            self._hub.send(data, fallback if gone and fallback is not None else to, failed)
            return
        try:
            if self._udp is not None:
                self._udp.send(data, to)
        except OSError as error:
            self._counters["send_errors"] += 1
            self._routes.pop(to.host, None)
            log.info("SIP to %s failed: %s", to, error)
            asyncio.get_running_loop().call_soon(failed)

    async def close(self) -> None:
        """Close every socket."""
        if self._udp is not None:
            self._udp.close()
        await self._hub.close()


def _parse_external(text: str) -> tuple[str, int]:
    """Host and port ("host", "host:port", "[v6]:port"); port 0 where none is given."""
    if is_address(text):
        return text, 0
    matched = _EXTERNAL.fullmatch(text)
    if matched is None or int(matched[2] or 0) > 65535:
        raise TransportError(
            f"The external SIP address {text!r} is not of the form host or host:port."
        )
    return matched[1].strip("[]"), int(matched[2] or 0)
