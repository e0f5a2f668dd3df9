"""The call report's rows, on both databases."""

from __future__ import annotations

import uuid
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event

from ivr.result import Result
from reports import calls, story
from reports.calls import CallFilter
from reports.errors import BadFilter, UnknownCall
from reports.period import Period
from store.database import Database
from store.models import CallEvent, Recording
from tests.factories import NOON, make_call, make_campaign, make_contact

SAIGON = ZoneInfo("Asia/Ho_Chi_Minh")
HOUR = timedelta(hours=1)


def report(db: Database, which: CallFilter | None = None) -> list[calls.CallLine]:
    with db.read() as session:
        which = which or CallFilter()
        found = [*calls.lines(session, which, SAIGON)]
        assert calls.count(session, which) == len(found)
        return found


def test_a_line_has_everything_about_its_call(db: Database) -> None:
    with db.write() as session:
        campaign = make_campaign(session)
        contact = make_contact(session, "+84912345678", "Nguyễn Văn An")
        call = make_call(
            session,
            campaign_id=campaign.id,
            contact_id=contact.id,
            attempt=2,
            keys="1",
            outcome="interested",
            codec="PCMA",
            packets_received=990,
            packets_lost=10,
            jitter_ms=1.5,
            mos=4.1,
        )
        session.add(Recording(call_id=call, path="2026/11/20/a.wav", started_at=NOON))
    [line] = report(db)
    assert line.started_at.isoformat() == "2026-11-20T12:00:00+07:00"
    assert (line.campaign, line.contact, line.attempt) == ("tet", "Nguyễn Văn An", 2)
    assert line.pdd_seconds == pytest.approx(1.0)
    assert line.ring_seconds == pytest.approx(3.0)
    assert line.talk_seconds == pytest.approx(12.5)
    assert line.loss_percent == pytest.approx(1.0)
    assert (line.result, line.sip_code, line.keys, line.outcome) == (
        "answered",
        200,
        "1",
        "interested",
    )
    assert line.recording == "2026/11/20/a.wav"


def test_a_call_without_campaign_contact_or_recording_is_in_it_too(db: Database) -> None:
    with db.write() as session:
        make_call(session, direction="in", result="no_answer", answered_at=None)
    [line] = report(db)
    assert (line.campaign, line.contact, line.recording) == (None, None, None)


def test_a_call_recorded_twice_is_one_row(db: Database) -> None:
    with db.write() as session:
        call = make_call(session)
        for name in ("b.wav", "a.wav"):
            session.add(Recording(call_id=call, path=name, started_at=NOON))
    assert [line.recording for line in report(db)] == ["a.wav"]


def test_filters(db: Database) -> None:
    with db.write() as session:
        campaign = make_campaign(session)
        make_call(session, "+84911111111", campaign_id=campaign.id)
        make_call(session, "+84922222222", at=NOON + HOUR, result="busy")
        make_call(session, "+84933333333", at=NOON + 2 * HOUR, direction="in")
    numbers = {
        CallFilter(campaign="tet"): ["+84911111111"],
        CallFilter(result=Result.BUSY): ["+84922222222"],
        CallFilter(direction="in"): ["+84933333333"],
        CallFilter(number="+84922222222"): ["+84922222222"],
        CallFilter(period=Period(NOON + HOUR, NOON + 2 * HOUR)): ["+84922222222"],
        CallFilter(campaign="other"): [],
    }
    for which, expected in numbers.items():
        assert [line.number for line in report(db, which)] == expected


def test_oldest_first_and_latest_from_the_other_end(db: Database) -> None:
    with db.write() as session:
        for hour in (2, 0, 1):
            make_call(session, f"+8491234567{hour}", at=NOON + hour * HOUR)
    assert [line.number[-1] for line in report(db)] == ["0", "1", "2"]
    with db.read() as session:
        last = calls.latest(session, CallFilter(), SAIGON, 2)
    assert [line.number[-1] for line in last] == ["2", "1"]


def test_rows_are_fetched_a_chunk_at_a_time(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "CHUNK", 10)
    with db.write() as session:
        for second in range(35):
            make_call(session, at=NOON + timedelta(seconds=second))
    with db.read() as session:
        lines = calls.lines(session, CallFilter(), SAIGON)
        next(lines)
        # Only the first chunk has become objects: the rest is still in the database's cursor.
        assert len(session.identity_map) <= 10
        assert len([*lines]) == 34


def test_the_report_is_one_statement(db: Database) -> None:
    with db.write() as session:
        for second in range(5):
            make_call(session, at=NOON + timedelta(seconds=second))
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with db.read() as session:
        assert len([*calls.lines(session, CallFilter(), SAIGON)]) == 5
    assert len([text for text in statements if "FROM call" in text.replace('"', "")]) == 1


def test_filters_describe_themselves() -> None:
    which = CallFilter(campaign="tet", result=Result.BUSY, period=Period(start=NOON))
    assert which.describe() == {
        "campaign": "tet",
        "period": "from 2026-11-20T05:00+00:00",
        "result": "busy",
    }


def test_a_result_nobody_knows() -> None:
    with pytest.raises(BadFilter, match=r'^"bussy" is not a result of a call: expected one of '):
        calls.parse_result("bussy")


def test_a_call_is_found_by_its_id_or_its_end(db: Database) -> None:
    with db.write() as session:
        call = make_call(session, sip_call_id="abc@tongdai")
        for second, kind in enumerate(("invite", "ringing")):
            session.add(CallEvent(call_id=call, at=NOON + timedelta(seconds=second), kind=kind))
    with db.read() as session:
        for text in (str(call), str(call).upper(), str(call)[-12:], str(call)[-6:]):
            found = story.find(session, text, SAIGON)
            assert found.line.call_id == call
    assert found.sip_call_id == "abc@tongdai"
    assert [one.kind for one in found.events] == ["invite", "ringing"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (str(uuid.UUID(int=1)), "No call has the id"),
        ("abcdef", "No call has the id"),
        ("%%%%%%", "is not the id of a call"),
        ("abc", "is not the id of a call"),
    ],
)
def test_a_call_nobody_made(db: Database, text: str, sentence: str) -> None:
    with db.read() as session, pytest.raises(UnknownCall, match=sentence):
        story.find(session, text, SAIGON)


def test_an_end_that_two_calls_share(db: Database) -> None:
    with db.write() as session:
        for first in (1, 2):
            make_call(session, id=uuid.UUID(f"{first:08x}-0000-7000-8000-00000abcdef0"))
    with db.read() as session, pytest.raises(UnknownCall, match=r"^More than one call has the id"):
        story.find(session, "abcdef0", SAIGON)
