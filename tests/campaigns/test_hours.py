"""Calling windows: the time is the called party's, and the strictest zone wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.hours import Hours, Window, zones_of

VN = ("Asia/Ho_Chi_Minh",)
OFFICE = Window(Hours.parse("08:00-17:00"))


def vn(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=ZoneInfo(VN[0])).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("08:00-17:00", (480, 1020)), ("8:00 - 17:30", (480, 1050)), ("00:00–24:00", (0, 1440))],
)
def test_hours_are_read(text: str, expected: tuple[int, int]) -> None:
    hours = Hours.parse(text)
    assert (hours.start, hours.end) == expected
    assert Hours.parse(str(hours)) == hours


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("8-17", "write it like 08:00-17:00"),
        ("", "write it like"),
        ("17:00-08:00", "must start before it ends"),
        ("08:00-08:00", "must start before it ends"),
        ("08:60-17:00", "no clock shows"),
        ("08:00-25:00", "no clock shows"),
    ],
)
def test_what_is_no_span_of_hours_is_refused(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        Hours.parse(text)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (vn(23, 7, 59, 59), vn(23, 8)),
        (vn(23, 8), vn(23, 8)),
        (vn(23, 16, 59, 59), vn(23, 16, 59, 59)),
        (vn(23, 17), vn(24, 8)),
        (vn(23, 23, 30), vn(24, 8)),
    ],
)
def test_the_edges_of_a_day(now: datetime, opens: datetime) -> None:
    assert OFFICE.next_open(now, VN) == opens


def test_days_of_the_week() -> None:
    weekdays = Window(Hours.parse("08:00-17:00"), frozenset(range(5)))
    friday_evening, monday = vn(27, 18), vn(30, 8)
    assert weekdays.next_open(friday_evening, VN) == monday


def test_the_strictest_of_several_zones_wins() -> None:
    window = Window(Hours.parse("08:00-21:00"))
    both = ("America/New_York", "America/Los_Angeles")
    nine_in_new_york = datetime(2026, 11, 23, 14, tzinfo=UTC)  # six in the morning in California
    assert window.next_open(nine_in_new_york, both) == datetime(2026, 11, 23, 16, tzinfo=UTC)
    evening = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)  # 21:30 in New York, 18:30 in California
    assert not window.is_open(evening, both)
    assert window.is_open(evening, both[1:])


def test_zones_too_far_apart_never_open_together() -> None:
    apart = ("Asia/Tokyo", "America/New_York")
    assert OFFICE.next_open(datetime(2026, 11, 23, tzinfo=UTC), apart) is None


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+84912345678", VN),
        ("+842838221234", VN),
        ("+12125551234", ("America/New_York",)),
        ("+33142685300", ("Europe/Paris",)),
        ("1001", ("Asia/Tokyo",)),  # an extension: home
        ("+8835100012345", ("Asia/Tokyo",)),  # no country: home
    ],
)
def test_zones_of_numbers(number: str, zones: tuple[str, ...]) -> None:
    assert zones_of(number, "Asia/Tokyo") == zones


def test_a_number_in_several_zones() -> None:
    assert {"Australia/Perth", "Australia/Sydney"} <= set(zones_of("+61412345678", "UTC"))


instants = st.timedeltas(timedelta(0), timedelta(days=2000)).map(
    lambda passed: datetime(2024, 1, 1, tzinfo=UTC) + passed
)
windows = st.builds(
    lambda start, length, days: Window(Hours(start, min(1440, start + length)), days),
    st.integers(0, 1380),
    st.integers(30, 1440),
    st.frozensets(st.integers(0, 6), min_size=1),
)
zones = st.lists(
    st.sampled_from(
        ["Asia/Ho_Chi_Minh", "America/New_York", "Europe/London", "Australia/Lord_Howe",
         "Asia/Kathmandu", "Pacific/Kiritimati", "America/St_Johns"]
    ),
    min_size=1, max_size=3, unique=True,
)  # fmt: skip


@given(instants, windows, zones)
def test_next_open_is_open_and_none_is_missed(
    now: datetime, window: Window, zones: list[str]
) -> None:
    opens = window.next_open(now, zones)
    assert (opens == now) == window.is_open(now, zones)
    if opens is None:
        return
    assert opens >= now
    assert window.is_open(opens, zones)
    step = (opens - now) / 37
    if step >= timedelta(minutes=61):  # coarser than any change of the clocks
        assert not any(window.is_open(now + step * index, zones) for index in range(1, 37))
