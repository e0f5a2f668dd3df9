"""The server stops with calls up: they may end, or are hung up; either way they are on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from campaigns import campaigns, fill, lists
from campaigns.presets import Preset
from campaigns.settings import Settings
from ivr.sip.endpoint import Endpoint
from ivr.sip.useragent import UserAgent
from server import config
from server.app import Server
from store.database import Database
from store.models import CallRow, Lead, LeadState

pytestmark = [pytest.mark.peer, pytest.mark.slow]  # espeak-ng speaks the message

DEADLINE = 90.0  # seconds: a limit for a machine that is busy, not an expectation
CONFIG = """
drain_seconds = {drain}
[sip]
bind = "127.0.0.1:0"
[http]
bind = "127.0.0.1:0"
[compliance]
preset = "none"
[[trunk]]
name = "carrier"
host = "127.0.0.1:{port}"
caller_ids = ["+842873000000"]
qualify = 0
"""


@pytest.fixture
async def carrier() -> AsyncIterator[Endpoint]:
    """A carrier whose every callee lets it ring."""
    endpoint = Endpoint()
    await endpoint.listen("127.0.0.1:0")
    agent = UserAgent(endpoint)
    agent.on_invite = lambda session: session.ring(180)
    yield endpoint
    await endpoint.close()


def prepare(home: Path) -> None:
    """A running campaign with one number."""
    database, now = (
        Database.open("sqlite:///tongdai.db", home=home, migrate=True),
        datetime.now(UTC),
    )
    with database.write() as session:
        lists.create(session, "tet", now=now)
        lists.add(session, "tet", ["0912345678"], now=now)
        campaign = campaigns.create(
            session,
            "tet",
            mode="broadcast",
            list_name="tet",
            trunk="carrier",
            settings=Settings(message_text="Xin chào", ring_timeout=120),
            preset=Preset.NONE,
            actor="test",
            now=now,
        )
    fill.make_leads(database, campaign.id, now=now)
    with database.write() as session:
        campaigns.start(session, "tet", actor="test", now=now)
    database.close()


def stored(home: Path) -> tuple[CallRow, Lead]:
    database = Database.open("sqlite:///tongdai.db", home=home)
    try:
        with database.read() as session:
            return session.query(CallRow).one(), session.query(Lead).one()
    finally:
        database.close()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 (what is waited for is another's state)
            await asyncio.sleep(0.02)


async def ringing(home: Path, carrier: Endpoint, drain: float) -> Server:
    """A server whose one call rings at the other end."""
    await asyncio.to_thread(prepare, home)
    text = CONFIG.format(port=carrier.local.port, drain=drain)
    server = Server(config.parse(text), home)
    await server.start()
    await until(lambda: [call.state for call in server.telephony.snapshot().calls] == ["ringing"])
    return server


async def test_the_live_picture_knows_the_call(tmp_path: Path, carrier: Endpoint) -> None:
    server = await ringing(tmp_path, carrier, drain=0)
    picture = server.telephony.snapshot()
    await server.stop()
    [call], [trunk] = picture.calls, picture.trunks
    assert (call.campaign, call.number, call.trunk) == ("tet", "+84912345678", "carrier")
    assert (trunk.name, trunk.state) == ("carrier", "up")
    assert trunk.calls in {1, 2}  # the dialler may hold a channel ready for the next call
    assert picture.campaigns["tet"].calls_per_second == pytest.approx(0.1)
    assert (picture.media.workers, picture.media.sessions) == (1, 1)


async def test_no_longer_than_the_limit(tmp_path: Path, carrier: Endpoint) -> None:
    server = await ringing(tmp_path, carrier, drain=0.1)
    async with asyncio.timeout(DEADLINE):
        await server.stop()
    call, lead = await asyncio.to_thread(stored, tmp_path)
    assert (call.result, call.invited_at is not None) == ("failed", True)
    assert call.ended_at is not None
    assert (lead.state, lead.attempts) == (LeadState.WAITING, 1)


async def test_a_second_signal_hangs_up_at_once(tmp_path: Path, carrier: Endpoint) -> None:
    server = await ringing(tmp_path, carrier, drain=3600)
    stopping = asyncio.create_task(server.stop())
    await until(lambda: server.telephony.snapshot().stopping)
    server.hang_up()
    async with asyncio.timeout(DEADLINE):
        await stopping
    call, lead = await asyncio.to_thread(stored, tmp_path)
    assert (call.result, lead.state) == ("failed", LeadState.WAITING)
    assert not (tmp_path / "run" / "api-token").exists()
