"""Incoming calls on record, whatever becomes of them and of the database meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.reconcile import close_calls
from ivr.call import Call
from ivr.media.plane import MediaConfig
from ivr.phone import Phone, PhoneConfig
from ivr.result import Result
from ivr.story import CallFailed, CallStory, StoryEvent
from ivr.trunk import TrunkConfig
from server import config
from server.app import Server
from server.inbound import Heard, InboundRecord, store
from store import engines
from store.database import Database
from store.models import CallEvent, CallRow
from tests.factories import NOON, make_contact
from tests.waiting import until

CUSTOMER = "+84912345678"
HOTLINE = "+842873000000"
OWNER = "here:/home#2"


def a_story() -> CallStory:
    return CallStory(uuid.uuid4(), "in", CUSTOMER, HOTLINE, "carrier", NOON, sip_call_id="a@b")


def ended(story: CallStory) -> CallStory:
    story.ended_at, story.result = NOON + timedelta(seconds=9), Result.NO_ANSWER
    story.sip_code, story.hangup_by = 480, "us"
    return story


def events(*kinds: str) -> list[StoryEvent]:
    return [StoryEvent(NOON + timedelta(seconds=n), kind) for n, kind in enumerate(kinds)]


def rows(session: Session) -> list[CallRow]:
    return list(session.scalars(select(CallRow).order_by(CallRow.started_at)))


def kinds(session: Session) -> list[str]:
    return list(session.scalars(select(CallEvent.kind).order_by(CallEvent.id)))


def keep(db: Database, heard: Heard) -> CallRow:
    with db.write() as session:
        store(session, heard, OWNER)
    with db.read() as session:
        return session.get_one(CallRow, heard.call_id)


def test_a_call_is_a_row_when_it_comes_and_complete_when_it_ends(db: Database) -> None:
    with db.write() as session:
        contact = make_contact(session, CUSTOMER, "Nguyễn Văn An")
    story = a_story()
    row = keep(db, Heard.of(story))
    assert (row.direction, row.number, row.caller_id) == ("in", CUSTOMER, HOTLINE)
    assert (row.trunk, row.owner, row.contact_id) == ("carrier", OWNER, contact.id)
    assert (row.started_at, row.ended_at, row.result) == (NOON, None, None)
    heard = Heard.of(ended(story), events("incoming", "end"))
    row = keep(db, heard)
    assert (row.result, row.sip_code, row.hangup_by) == ("no_answer", 480, "us")
    keep(db, heard)  # its commit was lost on the way, and it is stored again
    with db.read() as session:
        assert kinds(session) == ["incoming", "end"]


def test_a_stranger_has_no_contact_and_an_end_alone_is_enough(db: Database) -> None:
    row = keep(db, Heard.of(ended(a_story()), events("incoming", "end")))
    assert (row.contact_id, row.result) == (None, "no_answer")


def test_what_a_dead_process_left_open_is_closed(db: Database) -> None:
    story = a_story()
    keep(db, Heard.of(story))
    with db.write() as session:
        assert close_calls(session, "here:/home", "here:/home#3", NOON) == 1
    with db.read() as session:
        assert [row.result for row in rows(session)] == ["failed"]
    assert keep(db, Heard.of(ended(story))).result == "no_answer"  # it was not dead after all


async def test_calls_going_out_are_not_its_business(db: Database) -> None:
    record = InboundRecord(db, OWNER)
    story = CallStory(uuid.uuid4(), "out", CUSTOMER)
    async with record.keeping():
        for event in events("incoming", "end"):
            record.tell(story, event)
    assert await db.run(rows, write=False) == []


# -- end to end: a carrier's phone calls a server ------------------------------------------------

CONFIG = """
drain_seconds = 0
[sip]
bind = "127.0.0.1:0"
[rtp]
ports = "20000-59999"
[http]
bind = "127.0.0.1:0"
[[trunk]]
name = "carrier"
host = "127.0.0.1:5099"
max_calls = 1
qualify = 0
"""


@pytest.fixture
async def server(tmp_path: Path) -> Server:
    return Server(config.parse(CONFIG), tmp_path)


def carrier(port: int, tmp_path: Path) -> Phone:
    trunk = TrunkConfig(name="tongdai", host="127.0.0.1", port=port, qualify=0)
    media = MediaConfig(bind="127.0.0.1", ports=range(0), recordings=tmp_path)
    return Phone(PhoneConfig(bind="127.0.0.1:0"), [trunk], media)


async def rings(phone: Phone) -> CallStory:
    """The carrier sends a customer's call; the story of its refusal."""
    slot = await phone.reserve("tongdai")
    with pytest.raises(CallFailed) as failed:
        await phone.dial(HOTLINE, slot=slot, caller_id=CUSTOMER)
    return failed.value.story


def ask(home: Path) -> list[CallRow]:
    db = Database.open("sqlite:///tongdai.db", home=home)
    try:
        with db.read() as session:
            return rows(session)
    finally:
        db.close()


@pytest.mark.slow
async def test_a_call_nobody_answers_is_on_record(server: Server, tmp_path: Path) -> None:
    await server.start()
    phone = carrier(server.phone.endpoint.local.port, tmp_path)
    await phone.start()
    story = await rings(phone)
    await phone.close()
    await server.stop()
    assert (story.sip_code, story.result) == (480, Result.UNREACHABLE)
    [row] = await asyncio.to_thread(ask, tmp_path)
    assert (row.direction, row.number, row.caller_id) == ("in", CUSTOMER, HOTLINE)
    assert (row.trunk, row.result, row.sip_code) == ("carrier", "no_answer", 480)
    assert row.sip_call_id == story.sip_call_id


@pytest.mark.slow
async def test_a_locked_database_delays_the_record_not_the_call(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.05)
    await server.start()
    phone = carrier(server.phone.endpoint.local.port, tmp_path)
    await phone.start()
    lock = partial(sqlite3.connect, tmp_path / "tongdai.db", isolation_level=None)
    holder = await asyncio.to_thread(partial(lock, check_same_thread=False))
    await asyncio.to_thread(holder.execute, "BEGIN IMMEDIATE")
    assert (await rings(phone)).sip_code == 480
    await asyncio.to_thread(holder.execute, "COMMIT")
    await asyncio.to_thread(holder.close)
    await phone.close()
    await server.stop()
    assert [row.result for row in await asyncio.to_thread(ask, tmp_path)] == ["no_answer"]


@pytest.mark.slow
async def test_a_call_that_is_up_is_seen_and_its_end_stored(server: Server, tmp_path: Path) -> None:
    """As it will be with a call flow, which answers; a second caller finds the trunk full."""

    async def flow(call: Call) -> None:
        await call.answer()
        await asyncio.Event().wait()

    await server.start()
    server.phone.on_call = flow
    phone = carrier(server.phone.endpoint.local.port, tmp_path)
    await phone.start()
    call = await phone.dial(HOTLINE, slot=await phone.reserve("tongdai"), caller_id=CUSTOMER)

    async def up() -> bool:
        return [row.ended_at for row in await asyncio.to_thread(ask, tmp_path)] == [None]

    await until(up)
    assert (await rings(phone)).sip_code == 503
    await call.finish()
    await until(lambda: not server.phone.calls)
    await phone.close()
    await server.stop()
    row, refused = await asyncio.to_thread(ask, tmp_path)
    assert (row.result, row.hangup_by, row.codec) == ("answered", "them", "PCMA")
    assert (refused.result, refused.sip_code) == ("no_answer", 503)
    assert refused.note == "no channel of carrier was free (max_calls = 1)"
