"""The comparison: it must see every single thing that can be wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.demo.check import Difference, Lived, compare, listened, live, unheard
from server.demo.diary import Entry
from server.demo.people import Act
from server.demo.records import CallRecord, LeadRecord, Records

A, B, C, D = "+84912000101", "+84912000102", "+84912000103", "+84912000104"


def story(number: str, call_id: str, *happened: tuple[str, dict[str, object]]) -> list[Entry]:
    return [Entry(what, number, call_id, at, detail) for at, (what, detail) in enumerate(happened)]


@pytest.mark.parametrize(
    ("happened", "lived"),
    [
        (
            [
                ("put through", {}),
                ("rang", {"act": Act.LISTENS}),
                ("answered", {}),
                ("caller hung up", {}),
                ("heard", {"file": "a.wav", "seconds": 9.0}),
            ],
            Lived(A, Act.LISTENS, "answered", hangup_by="us", heard="a.wav"),
        ),
        (
            [
                ("rang", {"act": Act.PRESSES_2}),
                ("answered", {}),
                ("pressed", {"key": "2", "how": "telephone-event"}),
                ("caller hung up", {}),
            ],
            Lived(A, Act.PRESSES_2, "answered", keys="2", hangup_by="us"),
        ),
        (
            [("rang", {"act": Act.HANGS_UP}), ("answered", {}), ("hung up", {})],
            Lived(A, Act.HANGS_UP, "answered", hangup_by="them"),
        ),
        (
            [("rang", {"act": Act.MACHINE}), ("answered", {}), ("caller hung up", {})],
            Lived(A, Act.MACHINE, "machine", hangup_by="us"),
        ),
        (
            [("rang", {"act": Act.BUSY}), ("refused", {"status": 486})],
            Lived(A, Act.BUSY, "busy"),
        ),
        (
            [("rang", {"act": Act.DECLINES}), ("refused", {"status": 603})],
            Lived(A, Act.DECLINES, "rejected"),
        ),
        (
            [("rang", {"act": Act.NO_ANSWER}), ("caller gave up", {})],
            Lived(A, Act.NO_ANSWER, "no_answer"),
        ),
        (
            [("rang", {"act": Act.NO_ANSWER}), ("refused", {"status": 480})],
            Lived(A, Act.NO_ANSWER, "no_answer"),
        ),
        ([("refused", {"status": 480})], Lived(A, Act.SWITCHED_OFF, "unreachable")),
        ([("refused", {"status": 404})], Lived(A, Act.UNKNOWN, "invalid_number")),
        ([("put through", {})], Lived(A, "", "")),
    ],
)
def test_a_diary_tells_what_a_call_came_to(
    happened: list[tuple[str, dict[str, object]]], lived: Lived
) -> None:
    assert live(story(A, "1", *happened)) == {"1": lived}


LIVED = {
    "1": Lived(A, Act.PRESSES_1, "answered", "1", "us", "a.wav"),
    "2": Lived(B, Act.BUSY, "busy"),
    "3": Lived(B, Act.PRESSES_2, "answered", "2", "us", "b.wav"),
    "4": Lived(C, Act.HANGS_UP, "answered", hangup_by="them"),
}
RECORDS = Records(
    calls={
        "1": CallRecord(A, "answered", "1", "interested", "us", recorded=True),
        "2": CallRecord(B, "busy", "", "", "them", recorded=False),
        "3": CallRecord(B, "answered", "2", "do_not_call", "us", recorded=True),
        "4": CallRecord(C, "answered", "", "", "them", recorded=False),
    },
    leads={
        A: LeadRecord("done", 1),
        B: LeadRecord("done", 2),
        C: LeadRecord("done", 1),
        D: LeadRecord("done", 0),
    },
    asked_not_to_be_called=frozenset({B}),
    never_call=frozenset({D}),
    attempts=2,
)


def test_what_agrees_has_no_difference() -> None:
    assert compare(LIVED, RECORDS) == []


def with_call(call_id: str, **changes: object) -> Records:
    changed = replace(RECORDS.calls[call_id], **changes)  # type: ignore[arg-type]
    return replace(RECORDS, calls={**RECORDS.calls, call_id: changed})


WRONG_RECORDS = {
    "another number": (with_call("1", number=C), Difference(A, "number", A, C)),
    "another result": (with_call("2", result="failed"), Difference(B, "result", "busy", "failed")),
    "no result": (with_call("2", result=""), Difference(B, "result", "busy", "-")),
    "a key missed": (with_call("1", keys=""), Difference(A, "keys", "1", "-")),
    "a key heard twice": (with_call("1", keys="11"), Difference(A, "keys", "1", "11")),
    "another outcome": (
        with_call("1", outcome="do_not_call"),
        Difference(A, "outcome", "interested", "do_not_call"),
    ),
    "who hung up": (with_call("4", hangup_by="us"), Difference(C, "hung up by", "them", "us")),
    "no recording": (
        with_call("3", recorded=False),
        Difference(B, "recording", "spoke", "is not there"),
    ),
    "not on the list": (
        replace(RECORDS, asked_not_to_be_called=frozenset()),
        Difference(B, "do not call", "asked", "is not on the list"),
    ),
    "on the list for nothing": (
        replace(RECORDS, asked_not_to_be_called=frozenset({A, B})),
        Difference(A, "do not call", "did not ask", "is on the list"),
    ),
    "called although listed": (
        replace(RECORDS, never_call=frozenset({A, D})),
        Difference(A, "do not call", "rang 1 times", "was on the list"),
    ),
    "a lead left over": (
        replace(RECORDS, leads={**RECORDS.leads, A: LeadRecord("waiting", 1)}),
        Difference(A, "state", "rang 1 times", "waiting"),
    ),
    "called too often": (
        replace(RECORDS, attempts=1),
        Difference(B, "calls", "rang 2 times", "1 to 1 calls"),
    ),
    "never called": (
        replace(RECORDS, never_call=frozenset()),
        Difference(D, "calls", "rang 0 times", "1 to 2 calls"),
    ),
}


@pytest.mark.parametrize(("records", "difference"), WRONG_RECORDS.values(), ids=WRONG_RECORDS)
def test_every_wrong_record_is_seen(records: Records, difference: Difference) -> None:
    assert difference in compare(LIVED, records)


def test_a_call_that_is_not_on_record_is_seen() -> None:
    calls = {call_id: call for call_id, call in RECORDS.calls.items() if call_id != "1"}
    assert Difference(A, "call", "answered", "not on record") in compare(
        LIVED, replace(RECORDS, calls=calls)
    )


def test_a_call_nobody_had_is_seen() -> None:
    lived = {call_id: call for call_id, call in LIVED.items() if call_id != "1"}
    assert Difference(A, "call", "knows of none", "answered") in compare(lived, RECORDS)


def test_a_call_after_the_wish_not_to_be_called_is_seen() -> None:
    lived = {**LIVED, "5": Lived(B, Act.BUSY, "busy")}
    assert Difference(B, "do not call", "asked", "called again") in compare(lived, RECORDS)


def test_who_listened_must_have_heard_the_message() -> None:
    lived = [
        Lived(A, Act.LISTENS, "answered", hangup_by="us", heard="a.wav"),
        Lived(B, Act.LISTENS, "answered", hangup_by="us", heard="b.wav"),
        Lived(C, Act.LISTENS, "answered", hangup_by="us"),
        Lived(D, Act.PRESSES_1, "answered", hangup_by="us", heard="d.wav"),
    ]
    assert [call.number for call in listened(lived)] == [A, B, C]
    assert list(unheard(lived, {"a.wav": 1.0, "b.wav": 0.5})) == [
        Difference(B, "message", "heard 50% of it", "played"),
        Difference(C, "message", "heard 0% of it", "played"),
    ]
