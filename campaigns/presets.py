"""What the law lets a campaign do, by country and by the purpose of the call.

Defaults that an operator can change per campaign, not legal advice. Sources: Vietnam, decree
91/2020/ND-CP (advertising: 08:00–17:00, one call per number in 24 hours) and circulars
43/2016 and 18/2019 (debt: 07:00–21:00, five a day); USA, 47 CFR 64.1200(c)(1) (08:00–21:00),
with Florida's and Oklahoma's three calls in 24 hours for all; UK, no statutory hours: 08:00–21:00
is custom. Where no rule is known for a purpose, the nearest stricter one is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from campaigns.hours import Hours, Window

CAP_PERIOD = timedelta(hours=24)  # rolling, not a calendar day


class Preset(StrEnum):
    """The country whose rules apply: `compliance.preset` of the configuration."""

    VN = "vn"
    US = "us"
    UK = "uk"
    NONE = "none"


class Purpose(StrEnum):
    """Why a campaign calls; each has its own rules."""

    ADVERTISING = "advertising"
    SURVEY = "survey"
    SERVICE = "service"
    DEBT = "debt"


@dataclass(frozen=True, slots=True)
class Law:
    """The rules for one call: when, and how often one number may be called by all campaigns.

    `window` None: at any time; `cap` None: as often as the campaign's attempts allow, else so
    many calls that reached the person in CAP_PERIOD. `home` is the zone of unplaceable numbers.
    """

    window: Window | None = None
    cap: int | None = None
    home: str = "UTC"


@dataclass(frozen=True, slots=True)
class Compliance:
    """The operator's choice of law: a preset, and `home`, the zone of unplaceable numbers."""

    preset: Preset = Preset.VN
    home: str = "Asia/Ho_Chi_Minh"


_OFFICE = Hours.parse("08:00-17:00")
_DAY = Hours.parse("08:00-21:00")
_LONG_DAY = Hours.parse("07:00-21:00")

_RULES: dict[tuple[Preset, Purpose], tuple[Hours, int | None]] = {
    (Preset.VN, Purpose.ADVERTISING): (_OFFICE, 1),
    (Preset.VN, Purpose.SURVEY): (_OFFICE, 1),
    (Preset.VN, Purpose.SERVICE): (_LONG_DAY, None),
    (Preset.VN, Purpose.DEBT): (_LONG_DAY, 5),
    (Preset.US, Purpose.ADVERTISING): (_DAY, 3),
    (Preset.US, Purpose.SURVEY): (_DAY, 3),
    (Preset.US, Purpose.SERVICE): (_DAY, None),
    (Preset.US, Purpose.DEBT): (_DAY, None),
    (Preset.UK, Purpose.ADVERTISING): (_DAY, None),
    (Preset.UK, Purpose.SURVEY): (_DAY, None),
    (Preset.UK, Purpose.SERVICE): (_DAY, None),
    (Preset.UK, Purpose.DEBT): (_DAY, None),
}


def hours_of(preset: Preset, purpose: Purpose) -> Hours | None:
    """The hours a preset allows for a purpose; None: any."""
    rule = _RULES.get((preset, purpose))
    return rule[0] if rule else None


def law_for(
    preset: Preset,
    purpose: Purpose,
    *,
    home: str,
    hours: Hours | None = None,
    days: frozenset[int] = frozenset(range(7)),
) -> Law:
    """The law of a campaign: the preset's, with the campaign's own hours in place of its."""
    default, cap = _RULES.get((preset, purpose), (None, None))
    chosen = hours or default or (Hours(0, 24 * 60) if len(days) < 7 else None)
    return Law(Window(chosen, days) if chosen else None, cap, home)
