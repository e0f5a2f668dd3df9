"""Asking a carrier without a server, over real UDP."""

from __future__ import annotations

import asyncio

from ivr.sip.endpoint import Endpoint
from ivr.sip.message import make_response
from ivr.sip.useragent import UserAgent
from ivr.trunk import TrunkConfig
from server.probe import probe


async def test_a_carrier_that_answers() -> None:
    methods: list[str] = []
    carrier = Endpoint()
    await carrier.listen("127.0.0.1:0")
    agent = UserAgent(carrier)

    def answer(transaction: object) -> None:
        methods.append(transaction.request.method)  # type: ignore[attr-defined]
        transaction.respond(make_response(transaction.request, 200))  # type: ignore[attr-defined]

    agent.handlers["OPTIONS"] = agent.handlers["REGISTER"] = answer
    config = TrunkConfig(
        "carrier", "127.0.0.1", carrier.local.port, username="u", password="p", register=True
    )
    try:
        [found] = await asyncio.wait_for(probe([config], "127.0.0.1"), 20)
    finally:
        await carrier.close()
    assert found.as_json() == {"name": "carrier", "well": True, "state": "up", "said": "200 OK"}
    assert methods == ["OPTIONS"]  # a REGISTER would point its calls at us


async def test_a_carrier_whose_name_nobody_knows() -> None:
    config = TrunkConfig("carrier", "no-such-host.invalid")
    [found] = await asyncio.wait_for(probe([config], "127.0.0.1"), 20)
    assert not found.well
    assert found.said.startswith("cannot resolve no-such-host.invalid")
