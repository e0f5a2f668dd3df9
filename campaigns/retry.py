"""What happens to a lead after a call: done, or called again and when. Pure.

What counts as an attempt (the one rule, kept in `lead.attempts`): a call counts unless it was
turned away before it could reach the customer. That is: congestion, forbidden, and a failure of
ours before the INVITE left. Those calls are made again with a growing pause, at most
UNCOUNTED_AT_MOST times per lead, and do not use up the customer's attempts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ivr.result import Result

FAILED_AT_LEAST = 300.0  # seconds: an ambiguous call is never made again at once (design §3)

# Seconds until the next attempt. A result that is not here is never tried again by itself.
DELAYS: dict[Result, float] = {
    Result.BUSY: 10 * 60,
    Result.NO_ANSWER: 60 * 60,
    Result.MACHINE: 2 * 60 * 60,
    Result.UNREACHABLE: 60 * 60,
    Result.ABANDONED: 72 * 60 * 60,  # Ofcom 2010: no call without an agent within 72 hours
    Result.FAILED: 30 * 60,
}

UNCOUNTED_FIRST, UNCOUNTED_LONGEST = 30.0, 15 * 60.0  # seconds, doubling from one to the other
UNCOUNTED_AT_MOST = 20  # about four hours of a network that takes no call


@dataclass(frozen=True, slots=True)
class Retry:
    """The lead waits until `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """The lead is never dialled again in this campaign; `reason` is the last result."""

    reason: str


def is_attempt(result: Result, *, invited: bool) -> bool:
    """Whether a call with this result counts as an attempt; `invited`: its INVITE left."""
    if result is Result.FAILED:
        return invited
    return result not in {Result.CONGESTION, Result.FORBIDDEN}


def verdict(
    result: Result,
    *,
    invited: bool,
    attempts: int,
    uncounted: int,
    limit: int,
    delays: Mapping[Result, float],
    now: datetime,
) -> Retry | Done:
    """Decide on a lead after a call.

    `attempts` and `uncounted` are the calls so far that counted and that did not, this one
    included in its kind; `limit` and `delays` (seconds) are the campaign's.
    """
    if not is_attempt(result, invited=invited):
        if uncounted >= UNCOUNTED_AT_MOST:
            return Done(result)
        return Retry(now + timedelta(seconds=pause(uncounted)))
    delay = delays.get(result, DELAYS.get(result))
    if delay is None or attempts >= limit:
        return Done(result)
    return Retry(now + timedelta(seconds=delay))


def pause(uncounted: int) -> float:
    """Seconds after so many calls that were turned away: doubling up to a limit."""
    doubled: float = UNCOUNTED_FIRST * 2.0 ** min(max(uncounted - 1, 0), 16)
    return min(doubled, UNCOUNTED_LONGEST)
