"""A UDP relay that loses, doubles and reorders, between a caller and one far address.

    relay = await Relay.start(far=(host, port), loss=0.1, duplicate=0.1, reorder=0.1, seed=7)
    ... send to ("127.0.0.1", relay.port) ...
    relay.close()

Each near address gets a socket of its own towards the far side, as a NAT would do, so that
answers find their way back: the far side must answer to where requests come from (rport).
Whether a packet suffers is decided by the seed and its place in its direction, never by time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import cast

Address = tuple[str, int]

HOLD = 0.02  # seconds a reordered packet waits for another to overtake it


class _Mangler:
    """Decides the fate of each packet of one direction."""

    def __init__(self, seed: str, loss: float, duplicate: float, reorder: float) -> None:
        self._random = random.Random(seed)
        self._loss, self._duplicate, self._reorder = loss, duplicate, reorder
        self._held: list[Callable[[], None]] = []
        self.counts = {"passed": 0, "lost": 0, "doubled": 0, "reordered": 0}

    def pass_on(self, send: Callable[[], None]) -> None:
        fate = self._random.random()
        if fate < self._loss:
            self.counts["lost"] += 1
            return
        if fate > 1 - self._reorder:
            self.counts["reordered"] += 1
            self._held.append(send)
            asyncio.get_running_loop().call_later(HOLD, self._release, send)
            return
        self.counts["passed"] += 1
        send()
        if self._random.random() < self._duplicate:
            self.counts["doubled"] += 1
            send()
        for held in list(self._held):
            self._release(held)

    def _release(self, send: Callable[[], None]) -> None:
        if send in self._held:
            self._held.remove(send)
            send()


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own datagram transport is no subclass of DatagramTransport.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._received(data, addr)

    def send(self, data: bytes, to: Address) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(data, to)


class Relay:
    """See the module."""

    def __init__(
        self, far: Address, loss: float, duplicate: float, reorder: float, seed: int
    ) -> None:
        self._far = far
        self._there = _Mangler(f"{seed} there", loss, duplicate, reorder)
        self._back = _Mangler(f"{seed} back", loss, duplicate, reorder)
        self._near_socket = _Socket(self._from_near)
        self._far_sockets: dict[Address, _Socket] = {}
        self._opening: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @classmethod
    async def start(
        cls,
        far: Address,
        *,
        loss: float = 0.1,
        duplicate: float = 0.1,
        reorder: float = 0.1,
        seed: int = 1,
    ) -> Relay:
        relay = cls(far, loss, duplicate, reorder, seed)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: relay._near_socket, local_addr=("127.0.0.1", 0)
        )
        relay.port = transport.get_extra_info("sockname")[1]
        return relay

    @property
    def counts(self) -> dict[str, int]:
        """What happened to the packets, both ways together."""
        back = self._back.counts
        return {name: n + back[name] for name, n in self._there.counts.items()}

    def _from_near(self, data: bytes, near: Address) -> None:
        self._there.pass_on(lambda: self._send_far(data, near))

    def _send_far(self, data: bytes, near: Address) -> None:
        if near in self._far_sockets:
            self._far_sockets[near].send(data, self._far)
        elif near in self._opening:
            self._opening[near].append(data)
        else:
            self._opening[near] = [data]
            task = asyncio.get_running_loop().create_task(self._open(near))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, near: Address) -> None:
        def back(data: bytes, _far: Address) -> None:
            self._back.pass_on(lambda: self._near_socket.send(data, near))

        _, socket = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Socket(back), local_addr=("127.0.0.1", 0)
        )
        self._far_sockets[near] = socket
        for data in self._opening.pop(near):
            socket.send(data, self._far)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for socket in (self._near_socket, *self._far_sockets.values()):
            if socket.transport is not None:
                socket.transport.close()
