"""Periods as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from reports.errors import BadFilter
from reports.period import Period, parse_period

SAIGON = ZoneInfo("Asia/Ho_Chi_Minh")
TODAY = date(2026, 11, 21)


def read(start: str | None, end: str | None, zone: ZoneInfo = SAIGON) -> Period:
    return parse_period(start, end, zone, today=TODAY)


def test_a_day_is_the_operators_day_and_its_end_is_included() -> None:
    period = read("2026-11-20", "2026-11-20")
    assert period.start == datetime(2026, 11, 19, 17, tzinfo=UTC)
    assert period.end == datetime(2026, 11, 20, 17, tzinfo=UTC)


def test_today_and_yesterday() -> None:
    assert read("yesterday", "today") == read("2026-11-20", "2026-11-21")


def test_a_time_without_offset_is_the_operators() -> None:
    assert read("2026-11-20T08:30", None).start == datetime(2026, 11, 20, 1, 30, tzinfo=UTC)


def test_a_time_with_an_offset_is_taken_as_it_is() -> None:
    assert read(None, "2026-11-20T08:30+00:00").end == datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


def test_a_day_on_which_the_clocks_change_is_whole() -> None:
    period = read("2026-10-25", "2026-10-25", ZoneInfo("Europe/Berlin"))
    assert period.start is not None
    assert period.end is not None
    assert (period.end.astimezone(UTC) - period.start.astimezone(UTC)).total_seconds() == 25 * 3600


def test_open_on_both_sides() -> None:
    assert read(None, None) == Period()
    assert str(Period()) == ""


def test_it_says_itself() -> None:
    assert str(read("2026-11-20", "2026-11-20")) == (
        "from 2026-11-20T00:00+07:00 before 2026-11-21T00:00+07:00"
    )


def test_no_time_at_all() -> None:
    with pytest.raises(BadFilter) as refused:
        read("last week", None)
    assert str(refused.value) == (
        '"last week" is not a time: expected a day (2026-11-21), "today", "yesterday" or a time '
        "(2026-11-21T08:30)."
    )


def test_an_end_before_the_beginning() -> None:
    with pytest.raises(BadFilter, match=r"^The period is empty: it ends \(yesterday\) before"):
        read("today", "yesterday")
