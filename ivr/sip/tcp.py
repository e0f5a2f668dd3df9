"""SIP over TCP: a listener, and connections used in both directions (RFC 3261 §18)."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from ivr.sip.errors import TransportError
from ivr.sip.framing import StreamFramer
from ivr.sip.peer import Peer

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 1024
MAX_PER_HOST = 128  # of those, opened by one address: nobody may use them all up alone
MAX_UNSENT = 1024 * 1024  # bytes a peer may leave unread before it is taken for dead
MAX_WAITING = 64  # messages waiting for one connection to open
CONNECT_TIMEOUT = 10.0  # seconds
IDLE_TIMEOUT = 900.0  # seconds without a byte; phones send a keep-alive every two minutes
PARTIAL_TIMEOUT = 32.0  # seconds for the rest of a message to come
SWEEP = 15.0  # seconds between looks at the idle ones

Failed = Callable[[], None]


class Connection(asyncio.Protocol):
    """One TCP connection, whoever opened it."""

    def __init__(self, hub: TcpHub, peer: Peer | None = None) -> None:
        self._hub = hub
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self.accepted = peer is None
        self.peer = peer or Peer("tcp", "", 0)
        self.heard_at = 0.0
        self.partial_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the hub."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.accepted:
            self.peer = Peer("tcp", *transport.get_extra_info("peername")[:2])
        self.heard_at = asyncio.get_running_loop().time()
        self._hub.joined(self)

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages; a stream that cannot be cut is closed."""
        self.heard_at = asyncio.get_running_loop().time()
        try:
            messages = self._framer.feed(data)
        except TransportError as error:
            self._hub.counters["tcp_unframeable"] += 1
            log.debug("Closing the SIP connection with %s: %s", self.peer, error)
            self.abort()
            return
        if not self._framer.partial:
            self.partial_since = None
        elif messages or self.partial_since is None:
            self.partial_since = self.heard_at
        self._answer_pings()
        for message in messages:
            self._hub.received(message, self.peer)

    def _answer_pings(self) -> None:
        if self._framer.pings:
            self.send(b"\r\n" * self._framer.pings)
            self._framer.pings = 0

    def send(self, data: bytes) -> bool:
        """Write; False when the connection is of no more use."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self.abort()
            return False
        self._transport.write(data)
        return True

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the hub."""
        log.debug("The SIP connection with %s ended: %s", self.peer, exc or "closed")
        self._hub.left(self)


class TcpHub:
    """The connections by peer. `received(data, peer)` gets each message, `lost(peer)` each end."""

    def __init__(
        self,
        received: Callable[[bytes, Peer], None],
        lost: Callable[[Peer], None],
        counters: Counter[str],
    ) -> None:
        self.received = received
        self.counters = counters
        self._lost = lost
        self._connections: dict[Peer, Connection] = {}
        self._opening: dict[Peer, list[tuple[bytes, Failed]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    async def listen(self, host: str, port: int) -> None:
        """Accept connections. Raises TransportError when the port cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: Connection(self), host, port)
        except OSError as error:
            raise TransportError(
                f"SIP cannot listen on tcp {host}:{port}: {error.strerror}."
            ) from error

    def joined(self, connection: Connection) -> None:
        """Keep the connection, unless there are too many."""
        if len(self._connections) >= MAX_CONNECTIONS or (
            connection.accepted and self._accepted_from(connection.peer.host) >= MAX_PER_HOST
        ):
            self.counters["tcp_refused"] += 1
            connection.abort()
            return
        self._connections[connection.peer] = connection
        self._empty.clear()
        if self._sweep is None:
            self._sweep_later()

    def _accepted_from(self, host: str) -> int:
        return sum(one.accepted and one.peer.host == host for one in self._connections.values())

    def left(self, connection: Connection) -> None:
        """Drop the connection and tell."""
        if self._connections.get(connection.peer) is connection:
            del self._connections[connection.peer]
            self._lost(connection.peer)
        if not self._connections:
            self._empty.set()

    def connected(self, peer: Peer) -> bool:
        """Whether there is, or is about to be, a connection to send on."""
        return peer in self._connections or peer in self._opening

    def send(self, data: bytes, peer: Peer, failed: Failed) -> None:
        """Send on the connection with `peer`, opening it if need be; `failed` is called later."""
        connection = self._connections.get(peer)
        if connection is not None and connection.send(data):
            return
        waiting = self._opening.get(peer)
        if waiting is None:
            waiting = self._opening[peer] = []
            self._open_soon(peer)
        if len(waiting) < MAX_WAITING:
            waiting.append((data, failed))
        else:
            asyncio.get_running_loop().call_soon(failed)

    def _open_soon(self, peer: Peer) -> None:
        task = asyncio.get_running_loop().create_task(self._open(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, peer: Peer) -> None:
        connection: Connection | None = None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self, peer), peer.host, peer.port
                )
        except OSError as error:
            log.info("No SIP connection to %s: %s", peer, error or "time-out")
        for data, failed in self._opening.pop(peer, ()):
            if connection is None or not connection.send(data):
                failed()

    def _sweep_later(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(SWEEP, self._close_idle)

    def _close_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections.values()):
            partial = connection.partial_since
            if now - connection.heard_at > IDLE_TIMEOUT or (
                partial is not None and now - partial > PARTIAL_TIMEOUT
            ):
                self.counters["tcp_idle_closed"] += 1
                connection.abort()
        self._sweep_later()

    async def close(self) -> None:
        """Close the listener and every connection."""
        for task in self._tasks:
            task.cancel()
        if self._sweep is not None:
            self._sweep.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections.values()):
            connection.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._connections:
            await self._empty.wait()
        if self._server is not None:
            await self._server.wait_closed()
