"""A campaign from import to report, with the real server, the real command line, real calls."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from ivr.call import Call
from tests.endtoend.conftest import Carrier
from tests.endtoend.installation import Installation

pytestmark = pytest.mark.slow

NUMBERS = [f"0912345{tail:03d}" for tail in range(6)]


def e164(number: str) -> str:
    return "+84" + number[1:]


async def by_number(call: Call) -> None:
    """What each customer does, by the last digit of the number."""
    match call.story.caller_id[-1]:
        case "0":
            call.ring()
            await call.answer()
            await call.send_digits("1")
            await asyncio.Event().wait()
        case "1":
            call.reject(486)
        case "2":
            call.ring()
            await asyncio.Event().wait()
        case "3":
            call.reject(404)
        case "4":
            call.reject(603)
        case _:
            await call.answer()


async def test_from_import_to_report(installation: Installation, carrier: Carrier) -> None:
    carrier.customer = by_number
    await installation.make(carrier.port)
    async with installation.serving() as server:
        await installation.campaign(NUMBERS, "--attempts", "1", "--ring-timeout", "5")
        await installation.finished()
        status = await installation.status()
        server.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(server.wait(), 30) == 0, installation.log
    assert status["state"] == "completed"
    assert status["leads"] == {"total": 6, "done": 6, "waiting": 0, "live": 0}
    results = {"answered": 2, "busy": 1, "no_answer": 1, "invalid_number": 1, "rejected": 1}
    assert status["results"] == results
    assert status["keys"] == {"1": 1}
    assert carrier.rung == dict.fromkeys(map(e164, NUMBERS), 1)
    report = json.loads(await installation.tongdai("report", "calls", "--json"))
    assert len(report) == 6
    assert "Traceback" not in installation.log


async def test_sigterm_lets_calls_end_and_keeps_every_result(
    installation: Installation, carrier: Carrier
) -> None:
    up = asyncio.Event()

    async def talkative(call: Call) -> None:
        await call.answer()
        up.set()
        await asyncio.Event().wait()

    carrier.customer = talkative
    await installation.make(carrier.port, drain=20, channels=2)
    async with installation.serving() as server:
        await installation.campaign(NUMBERS, "--attempts", "1")
        await asyncio.wait_for(up.wait(), 20)
        server.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(server.wait(), 40) == 0, installation.log
    calls = await installation.calls()
    assert calls
    assert all(call.result == "answered" for call in calls)
    assert sum(carrier.rung.values()) == len(calls) < len(NUMBERS)
    assert all(lead.state != "live" for lead in await installation.leads())


async def test_a_second_server_on_a_home_says_whose_it_is(
    installation: Installation, carrier: Carrier
) -> None:
    await installation.make(carrier.port)
    async with installation.serving() as server:
        said = await installation.tongdai("serve", code=1)
        assert f"process {server.pid}" in said
        assert len(said.strip().splitlines()) == 1
