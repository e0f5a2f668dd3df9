"""What follows a call: the table of results, and the bounds no sequence of calls breaks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.retry import (
    DELAYS,
    FAILED_AT_LEAST,
    UNCOUNTED_AT_MOST,
    Done,
    Retry,
    is_attempt,
    pause,
    verdict,
)
from ivr.result import Result
from tests.campaigns.fakes import NOON


def after(
    result: Result, *, attempts: int = 1, uncounted: int = 0, invited: bool = True, limit: int = 3,
    delays: dict[Result, float] | None = None,
) -> Retry | Done:  # fmt: skip
    return verdict(
        result, invited=invited, attempts=attempts, uncounted=uncounted, limit=limit,
        delays=delays or {}, now=NOON,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("result", "minutes"),
    [
        (Result.ANSWERED, None),
        (Result.REJECTED, None),
        (Result.INVALID_NUMBER, None),
        (Result.BUSY, 10),
        (Result.NO_ANSWER, 60),
        (Result.UNREACHABLE, 60),
        (Result.MACHINE, 120),
        (Result.ABANDONED, 72 * 60),
        (Result.FAILED, 30),
    ],
)
def test_the_table(result: Result, minutes: int | None) -> None:
    expected = Done(result) if minutes is None else Retry(NOON + timedelta(minutes=minutes))
    assert after(result) == expected


@pytest.mark.parametrize("result", DELAYS)
def test_the_last_attempt_is_the_last(result: Result) -> None:
    assert isinstance(after(result, attempts=2), Retry)
    assert after(result, attempts=3) == Done(result)


def test_a_campaign_sets_its_own_delays() -> None:
    assert after(Result.BUSY, delays={Result.BUSY: 60}) == Retry(NOON + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("result", "invited"),
    [(Result.CONGESTION, True), (Result.FORBIDDEN, True), (Result.FAILED, False)],
)
def test_calls_that_never_reached_the_customer_are_no_attempts(
    result: Result, invited: bool
) -> None:
    assert not is_attempt(result, invited=invited)
    last = timedelta(0)
    for uncounted in range(1, UNCOUNTED_AT_MOST):
        again = after(result, invited=invited, attempts=0, uncounted=uncounted)
        assert isinstance(again, Retry)
        assert again.at - NOON >= last
        last = again.at - NOON
    assert last == timedelta(minutes=15)
    assert after(result, invited=invited, uncounted=UNCOUNTED_AT_MOST) == Done(result)


@given(st.integers(-5, 10_000))
def test_the_pause_stays_within_its_bounds(uncounted: int) -> None:
    assert 30 <= pause(uncounted) <= 900


@given(st.lists(st.tuples(st.sampled_from(Result), st.booleans()), max_size=80), st.integers(1, 5))
def test_no_story_calls_a_customer_too_often(story: list[tuple[Result, bool]], limit: int) -> None:
    attempts = uncounted = 0
    for result, invited in story:
        if is_attempt(result, invited=invited):
            attempts += 1
        else:
            uncounted += 1
        decision = after(
            result, invited=invited, attempts=attempts, uncounted=uncounted, limit=limit
        )
        if isinstance(decision, Done):
            assert decision.reason == result
            break
        assert decision.at > NOON, "dialled again at once"
        if result is Result.FAILED and invited:
            assert decision.at >= NOON + timedelta(seconds=FAILED_AT_LEAST)
    assert attempts <= limit
    assert uncounted <= UNCOUNTED_AT_MOST
