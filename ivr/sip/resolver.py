"""Host names in Contacts and routes, looked up off the event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from ivr.sip.dialog import Hop, peer_for
from ivr.sip.transport import Peer

log = logging.getLogger(__name__)

KEEP_FOR = 60.0  # seconds a found address is used before it is asked for again
MOST_NAMES = 1024

_Name = tuple[str, socket.AddressFamily]
"""A name, and the kind of address our socket can send to."""


class Resolver:
    """Turns hops into addresses. Most are addresses already, and cost no look-up."""

    def __init__(self) -> None:
        self._known: dict[_Name, tuple[str, float]] = {}
        self._waiting: dict[_Name, list[Callable[[str | None], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def locate(self, hop: Hop | None, source: Peer, then: Callable[[Peer], None]) -> None:
        """Call `then` with the address for `hop`: at once if it is known, else after a look-up.

        A name that cannot be found falls back to `source`, where the peer's messages come from.
        Calls for one name are made in the order they were asked for.
        """
        peer = peer_for(hop, source)
        if peer is not None or hop is None:
            then(peer or source)
            return

        def found(host: str | None) -> None:
            then(Peer(hop.transport, host, hop.port) if host else source)

        name = (hop.host, socket.AF_INET6 if ":" in source.host else socket.AF_INET)
        known = self._known.get(name)
        if known is not None and known[1] > asyncio.get_running_loop().time():
            found(known[0])
            return
        self._ask(name, found)

    def close(self) -> None:
        """Give up every look-up; nobody is called any more."""
        for task in self._tasks:
            task.cancel()
        self._waiting.clear()

    def _ask(self, name: _Name, found: Callable[[str | None], None]) -> None:
        waiting = self._waiting.setdefault(name, [])
        waiting.append(found)
        if len(waiting) == 1:
            task = asyncio.create_task(self._look_up(name))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _look_up(self, name: _Name) -> None:
        loop = asyncio.get_running_loop()
        host, family = name
        address = None
        try:
            answers = await loop.getaddrinfo(host, None, family=family, type=socket.SOCK_DGRAM)
            address = str(answers[0][4][0])
            if len(self._known) >= MOST_NAMES:
                self._known.clear()
            self._known[name] = (address, loop.time() + KEEP_FOR)
        except (OSError, UnicodeError) as error:
            log.warning("The SIP host %s cannot be resolved: %s", host[:80], error)
        for found in self._waiting.pop(name, ()):
            found(address)
