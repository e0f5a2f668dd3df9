"""The figures of reports, by their definitions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.result import Result
from reports import metrics
from reports.metrics import Totals

START = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_post_dial_delay_is_from_invite_to_ringing() -> None:
    assert metrics.post_dial_delay(at(0), at(1.25)) == 1.25


def test_post_dial_delay_of_a_call_that_never_rang() -> None:
    assert metrics.post_dial_delay(at(0), None) is None


@pytest.mark.parametrize(
    ("ringing", "answered", "ended", "seconds"),
    [
        (at(1), at(4), at(20), 3.0),
        (at(1), None, at(31), 30.0),
        (None, None, at(5), None),
        (at(1), None, None, None),
    ],
)
def test_ring_time(
    ringing: datetime | None,
    answered: datetime | None,
    ended: datetime | None,
    seconds: float | None,
) -> None:
    assert metrics.ring_time(ringing, answered, ended) == seconds


def test_talk_time_of_a_call_that_is_up_is_not_known() -> None:
    assert metrics.talk_time(at(3), None) is None
    assert metrics.talk_time(at(3), at(15.5)) == 12.5


def test_a_clock_that_steps_back_gives_no_negative_time() -> None:
    assert metrics.talk_time(at(10), at(2)) == 0.0


@pytest.mark.parametrize(
    ("received", "lost", "percent"),
    [(99, 1, 1.0), (0, 0, None), (None, 1, None), (10, None, None), (0, 5, 100.0)],
)
def test_loss(received: int | None, lost: int | None, percent: float | None) -> None:
    assert metrics.loss_percent(received, lost) == percent


def totals(*calls: tuple[str | None, bool, bool], direction: str = "out") -> Totals:
    """Totals of calls given as result, did the INVITE leave, was it answered (10 s talk)."""
    added = Totals()
    for result, invited, answered in calls:
        added.add(
            direction=direction,
            result=result,
            invited_at=START if invited else None,
            answered_at=START if answered else None,
            talk_seconds=10.0 if answered else None,
        )
    return added


def test_asr_and_ner_count_seizures_and_not_calls_we_failed_to_make() -> None:
    figures = totals(
        ("answered", True, True),
        ("machine", True, True),
        ("busy", True, False),
        ("congestion", True, False),
        ("failed", False, False),
    )
    assert figures.calls == 5
    assert figures.answer_seizure_ratio == pytest.approx(50.0)
    assert figures.network_effectiveness_ratio == pytest.approx(75.0)
    assert figures.average_call_duration == pytest.approx(10.0)


def test_incoming_calls_are_no_seizures_and_their_talk_is_averaged_over_them_too() -> None:
    figures = totals(("answered", True, True), ("no_answer", True, False), direction="in")
    assert figures.answer_seizure_ratio is None
    assert figures.network_effectiveness_ratio is None
    assert figures.average_call_duration == pytest.approx(10.0)


def test_ratios_of_nothing_are_unknown() -> None:
    assert totals().answer_seizure_ratio is None
    assert totals((None, False, False)).average_call_duration is None


def test_a_call_that_is_up_has_its_own_count() -> None:
    assert totals((None, True, False)).results == {"in progress": 1}


@given(st.lists(st.tuples(st.sampled_from([*Result]), st.booleans(), st.booleans()), max_size=50))
def test_answers_are_effective_and_effective_calls_are_seizures(
    calls: list[tuple[Result, bool, bool]],
) -> None:
    figures = totals(*[(str(result), invited, answered) for result, invited, answered in calls])
    assert figures.answers <= figures.effective <= figures.seizures <= figures.calls
    assert sum(figures.results.values()) == figures.calls == len(calls)
