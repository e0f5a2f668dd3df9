"""The simulated carrier: `python -m server.demo.carrier`, its orders as JSON on standard input.

It says its port once it listens, and goes on until its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ivr.sip.authenticator import Authenticator, Secret
from ivr.sip.endpoint import Endpoint
from ivr.sip.registrar import Registrar
from server.demo.diary import Diary
from server.demo.proxy import Note, Proxy

REALM = "carrier.example"


@dataclass(frozen=True, slots=True)
class Orders:
    """What the carrier is told: its subscribers, and the account of its customer."""

    numbers: tuple[str, ...]  # subscribers; each registers under its number
    password: str  # of every subscriber
    customer: str  # the user name of the trunk that may call them
    customer_password: str
    diary: str  # a file
    record_route: bool = True

    def to_json(self) -> str:
        """Write the orders on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Orders:
        """Read what `to_json` wrote."""
        orders = json.loads(text)
        return cls(numbers=tuple(orders.pop("numbers")), **orders)


async def open_carrier(orders: Orders, note: Note) -> Endpoint:
    """Start a carrier on a free port of 127.0.0.1; closing the endpoint ends it."""
    endpoint = Endpoint(user_agent="Carrier")
    phones = {number: Secret.of(number, REALM, orders.password) for number in orders.numbers}
    customer = {orders.customer: Secret.of(orders.customer, REALM, orders.customer_password)}
    registrar = Registrar(
        phones.get,
        REALM,
        # pyVoIP answers challenges as before RFC 2617, without qop.
        authenticator=Authenticator(phones.get, REALM, legacy=True),
    )
    customers = Authenticator(customer.get, REALM)
    Proxy(endpoint, registrar, customers, phones, note, record_route=orders.record_route)
    await endpoint.listen("127.0.0.1:0")
    return endpoint


async def serve(orders: Orders) -> None:
    """Be the carrier until standard input ends."""
    diary = await asyncio.to_thread(Diary, Path(orders.diary))
    endpoint = await open_carrier(orders, diary.note)
    try:
        print(endpoint.local.port, flush=True)  # noqa: T201  what the one who started this waits for
        await asyncio.to_thread(sys.stdin.read)
    finally:
        await endpoint.close()
        await asyncio.to_thread(diary.close)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Orders.from_json(sys.stdin.readline())))
