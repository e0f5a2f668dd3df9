"""May this number be called now? The one gate every dialled call passes, at that very moment.

Pure: the facts are gathered by `campaigns.claim` in the transaction that would claim the lead.

What counts against the cap of calls per number (`counts`): every call that may have made the
customer's phone sound. It rang, was answered, was declined; or nobody knows, because it is still
up or our process died after the INVITE may have left. A busy line, an unreachable phone or a
congested network disturbed nobody and does not count, unless it rang first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from campaigns.hours import zones_of
from campaigns.presets import CAP_PERIOD, Law
from ivr.result import Result
from store.models import CampaignState

ON_CALL_PAUSE = timedelta(minutes=5)  # until a number that is on a call with us is tried again


class Rule(StrEnum):
    """Why a call is not made: `suppression.rule`, and `lead.reason` where it is for good."""

    STOPPED = "stopped"  # the campaign was stopped by a person
    NOT_RUNNING = "not_running"  # it is a draft, paused or completed
    DNC = "dnc"  # on the do-not-call list
    DELISTED = "delisted"  # taken off the campaign's list
    ON_CALL = "on_call"  # on a call with us at this moment
    HOURS = "hours"  # outside the calling hours at the called party's place
    DAILY_CAP = "daily_cap"  # called often enough in the last 24 hours


@dataclass(frozen=True, slots=True)
class PastCall:
    """What the gate needs to know of an earlier call to, or from, the number."""

    started_at: datetime
    result: str | None
    over: bool
    outgoing: bool = True
    invited: bool = True  # the INVITE left, or may have
    rang: bool = False  # it rang or was answered


@dataclass(frozen=True, slots=True)
class Intended:
    """A call about to be made. `past`: the number's calls of the last 24 hours, any campaign."""

    number: str
    law: Law
    state: CampaignState = CampaignState.RUNNING
    listed: bool = True
    dnc: bool = False
    past: Sequence[PastCall] = ()


@dataclass(frozen=True, slots=True)
class Yes:
    """The call may be made."""


@dataclass(frozen=True, slots=True)
class No:
    """The call may not be made: by which rule, until when (None: never), in words."""

    rule: Rule
    until: datetime | None
    detail: str


YES = Yes()
_REACHED = frozenset(
    {Result.ANSWERED, Result.MACHINE, Result.NO_ANSWER, Result.REJECTED, Result.ABANDONED}
)


def counts(call: PastCall) -> bool:
    """Whether a call counts against the cap: it may have made the customer's phone sound."""
    if not call.outgoing:
        return False
    if call.rang or call.result in _REACHED:
        return True
    return call.invited and (not call.over or call.result in {None, Result.FAILED})


def allowed(call: Intended, now: datetime) -> Yes | No:
    """Decide on a call. Of several rules that only say "later", the longest is named."""
    if final := _never(call):
        return final
    reasons = [
        no
        for no in (_on_call(call, now), outside_hours(call.number, call.law, now), _cap(call, now))
        if no
    ]
    # A rule without an end is stronger than any that ends.
    return max(reasons, key=lambda no: (no.until is None, no.until or now), default=YES)


def _never(call: Intended) -> No | None:
    if call.state is CampaignState.STOPPED:
        return No(Rule.STOPPED, None, "The campaign was stopped.")
    if call.state is not CampaignState.RUNNING:
        return No(Rule.NOT_RUNNING, None, f"The campaign is {call.state}.")
    if call.dnc:
        return No(Rule.DNC, None, "On the do-not-call list.")
    if not call.listed:
        return No(Rule.DELISTED, None, "Taken off the campaign's list.")
    return None


def _on_call(call: Intended, now: datetime) -> No | None:
    if all(past.over for past in call.past):
        return None
    return No(Rule.ON_CALL, now + ON_CALL_PAUSE, "On a call with us at this moment.")


def outside_hours(number: str, law: Law, now: datetime) -> No | None:
    """The refusal of a call outside the calling hours at the number's place, else None."""
    window = law.window
    if window is None:
        return None
    zones = zones_of(number, law.home)
    opens = window.next_open(now, zones)
    if opens == now:
        return None
    where = zones[0] if len(zones) == 1 else f"all of {', '.join(zones)}"
    return No(Rule.HOURS, opens, f"Calls are allowed {window.hours} in {where}.")


def _cap(call: Intended, now: datetime) -> No | None:
    cap = call.law.cap
    if cap is None:
        return None
    # A call "in the future" (the clock was set back) counts too: never ring someone twice.
    recent = sorted(
        past.started_at for past in call.past if counts(past) and past.started_at > now - CAP_PERIOD
    )
    if len(recent) < cap:
        return None
    until = recent[-cap] + CAP_PERIOD  # when so many have left the period that one fits again
    return No(Rule.DAILY_CAP, until, f"Called {len(recent)} times in 24 hours; {cap} allowed.")
