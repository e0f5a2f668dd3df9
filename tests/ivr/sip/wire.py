"""A peer played by hand: raw datagrams out and in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from ivr.sip.message import SipResponse, parse_message
from ivr.sip.peer import Peer

PATIENCE = 5.0  # seconds, the deadline of what must come


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the event loop will bring about; TimeoutError when it does not."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - conditions of many kinds
            await asyncio.sleep(0.001)


class Wire(asyncio.DatagramProtocol):
    """A UDP socket on loopback that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls) -> Wire:
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_datagram_endpoint(cls, local_addr=("127.0.0.1", 0))
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own datagram transport is no subclass of DatagramTransport.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.put_nowait(data)

    @property
    def port(self) -> int:
        assert self.transport is not None
        return int(self.transport.get_extra_info("sockname")[1])

    def send(self, data: bytes, to: Peer) -> None:
        assert self.transport is not None
        self.transport.sendto(data, (to.host, to.port))

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.heard.get()

    async def response(self) -> SipResponse:
        message = parse_message(await self.receive())
        assert isinstance(message, SipResponse)
        return message

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()
