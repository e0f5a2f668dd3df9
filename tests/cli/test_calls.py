"""call, recording and report: what was made, in every form."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from openpyxl import load_workbook

from cli.home import Home
from cli.watch import look
from store.database import Database
from store.models import CallEvent, Campaign, Recording
from tests.cli.conftest import Run
from tests.factories import NOON, make_call, make_campaign, make_contact


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    opened = Database.open("sqlite:///tongdai.db", home=home)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def calls(database: Database) -> list[str]:
    """One answered call of the campaign tet, one busy, one hour apart; their ids."""
    with database.write() as session:
        campaign = make_campaign(session)
        contact = make_contact(session, "+84912345678", "Nguyễn Văn An")
        answered = make_call(
            session, campaign_id=campaign.id, contact_id=contact.id, keys="1", outcome="interested"
        )
        busy = make_call(
            session, "+84987654321", at=NOON + timedelta(hours=1), campaign_id=campaign.id,
            ringing_at=None, answered_at=None, result="busy", sip_code=486,
            sip_reason="Busy Here", hangup_by="them",
        )  # fmt: skip
        session.add(CallEvent(call_id=answered, at=NOON, kind="invite", data={"trunk": "carrier"}))
        session.add(
            CallEvent(call_id=answered, at=NOON + timedelta(seconds=9), kind="key", data={})
        )
        session.add(
            Recording(
                call_id=answered, path="2026/11/20/a.wav", started_at=NOON, state="complete",
                duration_ms=12_500, bytes=400_044,
            )
        )  # fmt: skip
    return [str(answered), str(busy)]


def test_call_list(run: Run, calls: list[str]) -> None:
    assert (
        run("call", "list").lines
        == [
            "Call      Started              Way  Number        Contact        Result    SIP  Talk  Keys  Outcome",  # noqa: E501
            f"{calls[1][-8:]}  2026-11-20 13:00:00  out  +84987654321                 busy      486",  # noqa: E501
            f"{calls[0][-8:]}  2026-11-20 12:00:00  out  +84912345678  Nguyễn Văn An  answered  200  12.5  1     interested",  # noqa: E501
        ]
    )
    [busy] = json.loads(run("call", "list", "--result", "busy", "--json").out)
    assert (busy["call_id"], busy["sip_code"]) == (calls[1], 486)
    assert run("call", "list", "--limit", 1).err == "1 of 2 shown: see more with --limit.\n"


def test_call_show(run: Run, calls: list[str]) -> None:
    lines = run("call", "show", calls[0][-12:]).lines
    facts = dict(line.split("  ", 1) for line in lines if line[:1].isupper())
    assert facts["Result"].strip() == "answered"
    assert facts["Outcome"].strip() == "interested"
    assert lines[-2:] == ["12:00:00.000  invite       trunk=carrier", "12:00:09.000  key"]
    found = json.loads(run("call", "show", calls[0], "--json").out)
    assert [event["kind"] for event in found["events"]] == ["invite", "key"]
    assert found["talk_seconds"] == 12.5


def test_a_call_nobody_made(run: Run) -> None:
    ran = run("call", "show", "abcdef012345")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "tongdai: No call has the id “abcdef012345”: `tongdai call list` shows them.\n"
    )


def test_recording_list(run: Run, calls: list[str]) -> None:
    assert run("recording", "list", "--campaign", "tet").lines == [
        "Started              Number        Contact        Campaign  Seconds  State     File",
        "2026-11-20 12:00:00  +84912345678  Nguyễn Văn An  tet          12.5  complete  "
        "2026/11/20/a.wav",
    ]
    [found] = json.loads(run("recording", "list", "--json").out)
    assert (found["call_id"], found["duration_ms"]) == (calls[0], 12_500)
    nothing = run("recording", "list", "--number", "0900000000")
    assert (nothing.out, nothing.err) == ("", "There are no recordings.\n")


def test_report_as_a_table(run: Run) -> None:
    assert run("report", "calls").lines == [
        "Started              Way  Number        Contact        Result    SIP  Ring  Talk  Keys  Outcome",  # noqa: E501
        "2026-11-20 12:00:00  out  +84912345678  Nguyễn Văn An  answered  200   3.0  12.5  1     interested",  # noqa: E501
        "2026-11-20 13:00:00  out  +84987654321                 busy      486",
        "",
        "2 calls: answered 1 · busy 1",
        "ASR 50.0 % · NER 100.0 % · ACD 12.5 s · talk 12.5 s",
    ]


def test_report_as_csv_to_stdout_and_to_a_file(run: Run) -> None:
    piped = run("report", "calls", "--format", "csv")
    assert piped.err == ""
    ran = run("report", "calls", "--output", "calls.csv")
    assert ran.out == "calls.csv: 2 calls\n"
    data = Path("calls.csv").read_bytes()
    assert data.startswith(b"started_at,")
    assert data.decode().replace("\r\n", "\n") == piped.out.replace("\r\n", "\n")
    rows = [*csv.DictReader(data.decode().splitlines())]
    assert [row["result"] for row in rows] == ["answered", "busy"]


def test_csv_for_excel_is_marked_as_utf8(run: Run) -> None:
    run("report", "calls", "--output", "calls.csv", "--bom")
    assert Path("calls.csv").read_bytes().startswith(b"\xef\xbb\xbfstarted_at")


def test_report_as_a_workbook(run: Run) -> None:
    ran = run("report", "calls", "--campaign", "tet", "--output", "calls.xlsx")
    assert (ran.code, ran.out, ran.err) == (0, "calls.xlsx: 2 calls\n", "")
    book = load_workbook("calls.xlsx")
    assert book["Calls"].max_row == 4
    assert book["Calls"]["A2"].is_date
    about = {row[0].value: row[1].value for row in book["About"].iter_rows(max_col=2)}
    assert (about["campaign"], about["time zone"]) == ("tet", "Asia/Ho_Chi_Minh")


def test_report_as_json(run: Run) -> None:
    for option in (["--json"], ["--format", "json"]):
        found = json.loads(run("report", "calls", *option).out)
        assert [call["number"] for call in found] == ["+84912345678", "+84987654321"]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--result", "busy"], ["+84987654321"]),
        (["--number", "0912 345 678"], ["+84912345678"]),
        (["--from", "2026-11-20T12:30"], ["+84987654321"]),
        (["--from", "2026-11-20", "--to", "2026-11-20"], ["+84912345678", "+84987654321"]),
        (["--to", "2026-11-19"], []),
    ],
)
def test_filters(run: Run, options: list[str], numbers: list[str]) -> None:
    found = json.loads(run("report", "calls", "--json", *options).out)
    assert [call["number"] for call in found] == numbers


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--result", "bussy"], '"bussy" is not a result of a call: expected one of answered, '),
        (["--from", "yesterdy"], '"yesterdy" is not a time: expected a day (2026-11-21), '),
        (["--campaign", "tt"], "There is no campaign `tt`. Did you mean `tet`?"),
        (["--format", "xlsx"], "Invalid value: a workbook goes to a file: name it with --output"),
        (["--number", "12"], "“12” has too few digits"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_2(
    run: Run, options: list[str], sentence: str
) -> None:
    ran = run("report", "calls", *options)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith(f"tongdai: {sentence}")


def test_a_file_that_cannot_be_written_is_one_sentence_and_1(run: Run) -> None:
    ran = run("report", "calls", "--output", "no/such/folder/calls.csv")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "tongdai: no/such/folder/calls.csv cannot be written (No such file or directory): choose "
        "another place with --output, or make room.\n"
    )


def test_a_customer_is_shown_with_the_last_calls(run: Run, calls: list[str]) -> None:
    lines = run("contact", "show", "0912345678").lines
    assert lines[0] == "name   Nguyễn Văn An"
    assert lines[-2].startswith("Call      Started")
    assert lines[-1].startswith(calls[0][-8:])
    found = json.loads(run("contact", "show", "0912345678", "--json").out)
    assert [call["call_id"] for call in found["calls"]] == [calls[0]]


def test_calls_that_came_in(run: Run, database: Database) -> None:
    with database.write() as session:
        came = make_call(session, direction="in", ringing_at=None, answered_at=None,
                         result="no_answer", sip_code=480)  # fmt: skip
    assert [line[:8] for line in run("call", "list", "--direction", "in").lines[1:]] == [
        str(came)[-8:]
    ]
    [row] = json.loads(run("report", "calls", "--direction", "in", "--json").out)
    assert (row["direction"], row["result"]) == ("in", "no_answer")


@pytest.mark.parametrize("command", [["call", "list"], ["recording", "list"], ["report", "calls"]])
def test_calls_of_no_campaign_are_a_mistake(run: Run, command: list[str]) -> None:
    ran = run(*command, "--campaign", "ted")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "tongdai: There is no campaign `ted`. Did you mean `tet`?\n"


def test_watch_shows_the_last_to_end_first(database: Database, home: Path) -> None:
    with database.write() as session:
        campaign = session.query(Campaign).one()
        for number, minutes in (("+84911111111", 200), ("+84922222222", 100), ("+84933333333", 0)):
            make_call(
                session, number, campaign_id=campaign.id, result="busy" if minutes else None,
                ended_at=NOON + timedelta(minutes=minutes) if minutes else None,
            )  # fmt: skip
    found = look(Home(home), database, "tet")
    assert [call.number for call in found.recent][:2] == ["+84911111111", "+84922222222"]
    assert "+84933333333" not in {call.number for call in found.recent}
