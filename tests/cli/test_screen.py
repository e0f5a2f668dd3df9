"""The picture of a running campaign: what stands where, at 80 and at 120 columns."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from cli.screen import Screen, View
from tests.reports.lines import ANSWERED, BUSY, SAIGON, line

NOW = datetime(2026, 11, 20, 12, 1, 0, tzinfo=SAIGON)
STATUS: dict[str, Any] = {
    "name": "tet",
    "mode": "broadcast",
    "state": "running",
    "trunk": "carrier",
    "leads": {"total": 1200, "done": 300, "waiting": 898, "live": 2},
    "results": {"answered": 200, "busy": 100},
    "keys": {"1": 40, "2": 5},
    "outcomes": {"interested": 40, "do_not_call": 5},
    "suppressed": {"dnc": 3},
    "blocked_by": None,
}
LIVE: dict[str, Any] = {
    "calls": [
        {
            "call_id": "a",
            "campaign": "tet",
            "number": "+84912345678",
            "state": "answered",
            "started_at": (NOW - timedelta(seconds=80)).isoformat(),
            "answered_at": (NOW - timedelta(seconds=72)).isoformat(),
            "keys": "1",
        },
        {
            "call_id": "b",
            "campaign": "tet",
            "number": "+84987654321",
            "state": "ringing",
            "started_at": (NOW - timedelta(seconds=5)).isoformat(),
            "answered_at": None,
            "keys": "",
        },
        {
            "call_id": "c",
            "campaign": "another",
            "number": "+84900000000",
            "state": "answered",
            "started_at": NOW.isoformat(),
            "answered_at": None,
            "keys": "",
        },
    ],
    "trunks": [
        {"name": "carrier", "state": "up", "reason": "", "calls": 3, "max_calls": 100},
    ],
    "campaigns": {"tet": {"calls_per_second": 2.4, "condition": ""}},
}
VIEW = View(STATUS, [BUSY, ANSWERED], NOW, SAIGON, live=LIVE, names={"a": "Nguyễn Văn An"})


def drawn(view: View, width: int = 80, height: int | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, record=True, color_system=None)
    console.print(Screen(view, height))
    return [text.rstrip() for text in console.export_text().splitlines()]


def test_at_80_columns_it_is_whole() -> None:
    assert drawn(VIEW) == [
        "tet  broadcast over carrier  running                                    12:01:00",
        "─" * 80,
        "",
        "Numbers     ███           25 %  300 of 1,200 done, 898 waiting, 2 on a call",
        "Calls       2 up · 3 of 100 channels in use · 2.4 calls per second · 300 ended",
        "",
        "Results                                  Keys",
        "answered             200 ████████████    key 1                 40 ████████████",
        "busy                 100 ██████          interested            40 ████████████",
        "                                         key 2                  5 █▌",
        "                                         do_not_call            5 █▌",
        "                                         not called: dnc        3 ▉",
        "",
        "On the line",
        "    1:12 +84912345678   Nguyễn Văn An        answered             1",
        "    0:05 +84987654321                        ringing",
        "",
        "Last calls",
        "12:00:31 +84987654321                        busy",
        "12:00:16 +84912345678   Nguyễn Văn An        answered        12 s 1 interested",
    ]


def test_at_120_columns_the_calls_stand_beside_the_results() -> None:
    lines = drawn(VIEW, 120)
    [line_of_results] = [text for text in lines if text.startswith("Results")]
    assert line_of_results.endswith("On the line")
    assert max(len(text) for text in lines) <= 120


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 30), (60, 24), (200, 50)])
def test_it_never_outgrows_the_terminal(width: int, height: int) -> None:
    calls = [replace(ANSWERED, started_at=NOW - timedelta(seconds=n)) for n in range(40)]
    up = [{**LIVE["calls"][0], "number": f"+8491234{n:04}"} for n in range(90)]
    view = replace(VIEW, recent=calls, live={**LIVE, "calls": up})
    lines = drawn(view, width, height)
    assert len(lines) <= height
    assert max(len(text) for text in lines) <= width
    assert any("(and " in text for text in lines)


def test_without_a_server_it_says_so_and_shows_what_the_database_knows() -> None:
    lines = drawn(replace(VIEW, live=None))
    assert lines[2] == "No server runs on this home: start one with `tongdai serve`."
    assert lines[5] == "Calls       2 up · 300 ended"
    assert "Last calls" in lines


def test_a_reason_not_to_dial_is_said_with_its_end() -> None:
    blocked = {
        "rule": "hours",
        "until": "2026-11-21T01:00:00+00:00",
        "detail": "Outside the calling hours.",
    }
    view = replace(VIEW, status={**STATUS, "blocked_by": blocked}, live={**LIVE, "campaigns": {}})
    assert drawn(view)[2] == "Outside the calling hours. Until Sat 08:00:00."


def test_the_servers_own_reason_comes_first() -> None:
    campaigns = {"tet": {"calls_per_second": 0.0, "condition": "waiting: trunk carrier is down"}}
    assert drawn(replace(VIEW, live={**LIVE, "campaigns": campaigns}))[2] == (
        "waiting: trunk carrier is down"
    )


def test_a_trunk_that_is_down_is_said() -> None:
    trunk = {**LIVE["trunks"][0], "state": "forbidden", "reason": "403 Forbidden"}
    assert drawn(replace(VIEW, live={**LIVE, "trunks": [trunk]}))[2] == (
        "Trunk carrier is forbidden: 403 Forbidden"
    )


def test_a_campaign_that_is_over_needs_no_reason() -> None:
    status = {**STATUS, "state": "completed", "blocked_by": {"detail": "x", "until": None}}
    assert replace(VIEW, status=status).condition == ""


def test_an_empty_campaign_can_be_drawn() -> None:
    leads = {"total": 0, "done": 0, "waiting": 0, "live": 0}
    empty: dict[str, Any] = {key: {} for key in ("results", "keys", "outcomes", "suppressed")}
    lines = drawn(View({**STATUS, "leads": leads, **empty}, [], NOW, SAIGON))
    assert "none yet" in "\n".join(lines)


def test_markup_in_a_name_is_text() -> None:
    view = replace(VIEW, recent=[line(contact="[bold]An")], live=None)
    assert any("[bold]An" in text for text in drawn(view))
