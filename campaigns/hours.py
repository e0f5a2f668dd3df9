"""Calling windows: the hours and days in which a person may be called, where that person is.

Pure: zones and `now` are arguments. Times are local to the called party; where a number may be
in several time zones, all of them must be open (the strictest wins).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT = 24 * 60
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})")
_UNKNOWN = "Etc/Unknown"  # what libphonenumber says of a number it cannot place
_LOOK_AHEAD = 8  # days: one more than a week, so that any allowed weekday comes up


@dataclass(frozen=True, slots=True)
class Hours:
    """From `start` up to, not including, `end`, in minutes after local midnight."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "08:00-17:00"; "24:00" is the day's end. ValueError says what was expected."""
        found = _HOURS.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"`{text}` is not a span of hours: write it like 08:00-17:00")
        hour, minute, end_hour, end_minute = map(int, found.groups())
        start, end = hour * 60 + minute, end_hour * 60 + end_minute
        if minute > 59 or end_minute > 59 or end > MIDNIGHT:
            raise ValueError(f"`{text}` names a time no clock shows: use 00:00 to 24:00")
        if start >= end:
            raise ValueError(f"`{text}` must start before it ends, on the same day")
        return cls(start, end)

    def __str__(self) -> str:
        return "-".join(f"{at // 60:02}:{at % 60:02}" for at in (self.start, self.end))

    def within(self, other: Hours) -> bool:
        """Whether these hours lie inside the other ones."""
        return other.start <= self.start and self.end <= other.end


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the day on some days of the week (0 is Monday)."""

    hours: Hours
    days: frozenset[int] = frozenset(range(7))

    def is_open(self, now: datetime, zones: Iterable[str]) -> bool:
        """Whether it is open at this instant in every one of the zones."""
        return all(self._is_open_at(now.astimezone(ZoneInfo(zone))) for zone in zones)

    def next_open(self, now: datetime, zones: Iterable[str]) -> datetime | None:
        """`now` if it is open, else the first instant (UTC) when it opens in every zone.

        None where no such instant exists: a number that may be in zones too far apart.
        """
        zones = tuple(zones)
        if self.is_open(now, zones):
            return now
        # The zones' common opening begins where one of them opens.
        openings = sorted(opening for zone in zones for opening in self._openings(now, zone))
        return next((at for at in openings if at > now and self.is_open(at, zones)), None)

    def _is_open_at(self, local: datetime) -> bool:
        minute = local.hour * 60 + local.minute
        return local.weekday() in self.days and self.hours.start <= minute < self.hours.end

    def _openings(self, now: datetime, zone: str) -> Iterator[datetime]:
        info = ZoneInfo(zone)
        today = now.astimezone(info).date()
        start = time(self.hours.start // 60, self.hours.start % 60)
        for day in (today + timedelta(days=ahead) for ahead in range(_LOOK_AHEAD)):
            if day.weekday() in self.days:
                yield datetime.combine(day, start, info).astimezone(UTC)


@lru_cache(maxsize=4096)
def zones_of(number: str, home: str) -> tuple[str, ...]:
    """The time zones an E.164 number may be in, by libphonenumber's prefix data.

    `home` is the answer for what it cannot place: short codes, extensions, satellite numbers.
    """
    try:
        zones = timezone.time_zones_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return (home,)
    return tuple(zone for zone in zones if zone != _UNKNOWN) or (home,)
