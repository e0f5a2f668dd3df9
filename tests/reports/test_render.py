"""CSV, JSON and the table, character by character."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import render
from reports.calls import CallLine
from reports.columns import CALL_COLUMNS
from reports.metrics import Totals
from tests.reports.lines import ANSWERED, BUSY, line


def as_csv(*lines: CallLine) -> str:
    stream = io.StringIO(newline="")
    render.write_csv(lines, stream)
    return stream.getvalue()


def test_csv_whole() -> None:
    assert as_csv(ANSWERED, BUSY) == (
        "started_at,campaign,direction,number,contact,caller_id,trunk,attempt,result,sip_code,"
        "sip_reason,invited_at,ringing_at,answered_at,ended_at,pdd_seconds,ring_seconds,"
        "talk_seconds,hangup_by,amd,keys,outcome,codec,packets_sent,packets_received,"
        "loss_percent,jitter_ms,mos,recording,note,call_id\r\n"
        "2026-11-20T12:00:00.123+07:00,tet,out,+84912345678,Nguyễn Văn An,+842873000000,carrier,1,"
        "answered,200,OK,2026-11-20T12:00:00.143+07:00,2026-11-20T12:00:01.123+07:00,"
        "2026-11-20T12:00:04.123+07:00,2026-11-20T12:00:16.623+07:00,0.98,3.0,12.5,us,,1,"
        "interested,PCMA,825,820,0.25,1.235,4.1,2026/11/20/a.wav,,"
        "01a20045-d274-7ce7-b68d-a874a99cde81\r\n"
        "2026-11-20T12:00:30.123+07:00,tet,out,+84987654321,,+842873000000,carrier,1,busy,486,"
        "Busy Here,2026-11-20T12:00:00.143+07:00,,,2026-11-20T12:00:31.123+07:00,,,,them,,,,,,,,,,,"
        ",00000000-0000-0000-0000-000000000002\r\n"
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+84912345678", "+84912345678"),
        ("+84912345678=1", "'+84912345678=1"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("Bình = An", "Bình = An"),
    ],
)
def test_text_that_a_spreadsheet_would_run_is_made_text(text: str, written: str) -> None:
    [row] = csv.DictReader(io.StringIO(as_csv(line(contact=text)), newline=""))
    assert row["contact"] == written


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_survives_csv(text: str) -> None:
    [row] = csv.DictReader(io.StringIO(as_csv(line(note=text)), newline=""))
    assert row["note"].removeprefix("'") == text.removeprefix("'")
    assert row["call_id"] == str(ANSWERED.call_id)


def test_json_whole() -> None:
    stream = io.StringIO()
    render.write_json([ANSWERED, BUSY], stream)
    first, second = json.loads(stream.getvalue())
    assert [*first] == [column.key for column in CALL_COLUMNS]
    assert first["started_at"] == "2026-11-20T12:00:00.123+07:00"
    assert (first["talk_seconds"], first["contact"]) == (12.5, "Nguyễn Văn An")
    assert (second["talk_seconds"], second["sip_code"]) == (None, 486)
    assert "Nguyễn" in stream.getvalue()


def test_json_of_nothing_is_an_empty_array() -> None:
    stream = io.StringIO()
    render.write_json([], stream)
    assert json.loads(stream.getvalue()) == []


def test_the_brief_rows_of_a_terminal() -> None:
    assert [column.brief for column in render.BRIEF] == [
        "Started", "Way", "Number", "Contact", "Result", "SIP", "Ring", "Talk", "Keys", "Outcome",
    ]  # fmt: skip
    assert [*render.brief([ANSWERED, BUSY])] == [
        [
            "2026-11-20 12:00:00", "out", "+84912345678", "Nguyễn Văn An", "answered", "200",
            "3.0", "12.5", "1", "interested",
        ],
        ["2026-11-20 12:00:30", "out", "+84987654321", "", "busy", "486", "", "", "", ""],
    ]  # fmt: skip


def test_summary_counts_what_passed_through() -> None:
    totals = Totals()
    assert [*render.tallied([ANSWERED, BUSY, BUSY], totals)] == [ANSWERED, BUSY, BUSY]
    assert render.summary(totals) == (
        "3 calls: busy 2 · answered 1\nASR 33.3 % · NER 100.0 % · ACD 12.5 s · talk 12.5 s"
    )


def test_summary_of_nothing() -> None:
    assert render.summary(Totals()) == "0 calls"


def test_every_field_of_a_line_has_a_column() -> None:
    assert {column.key for column in CALL_COLUMNS} == {*ANSWERED.__dataclass_fields__}


def test_times_are_read_back_as_they_were() -> None:
    [row] = csv.DictReader(io.StringIO(as_csv(ANSWERED), newline=""))
    read = datetime.fromisoformat(row["started_at"])
    assert abs((read - ANSWERED.started_at).total_seconds()) < 0.001
