"""The period a report is about, as people write it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from reports.errors import BadFilter


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` (included) to `end` (excluded); None is open. Both are timezone-aware."""

    start: datetime | None = None
    end: datetime | None = None

    def __str__(self) -> str:
        start = f"from {self.start.isoformat(timespec='minutes')}" if self.start else ""
        end = f"before {self.end.isoformat(timespec='minutes')}" if self.end else ""
        return f"{start} {end}".strip()


ALWAYS = Period()


def parse_period(start: str | None, end: str | None, zone: ZoneInfo, *, today: date) -> Period:
    """A period from two texts: a day (2026-11-21), today, yesterday, or 2026-11-21T08:30.

    A day as the end is included whole. A time without an offset is in `zone`. Raises BadFilter.
    """
    since = _instant(start, zone, today, last=False) if start else None
    until = _instant(end, zone, today, last=True) if end else None
    if since and until and since >= until:
        raise BadFilter(f"The period is empty: it ends ({end}) before it begins ({start}).")
    return Period(since, until)


def _instant(text: str, zone: ZoneInfo, today: date, *, last: bool) -> datetime:
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        day = named.get(text) or date.fromisoformat(text)
    except ValueError:
        return _moment(text, zone)
    return datetime.combine(day + timedelta(days=last), time(), zone)


def _moment(text: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadFilter(
            f'"{text}" is not a time: expected a day (2026-11-21), "today", "yesterday" '
            "or a time (2026-11-21T08:30)."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
