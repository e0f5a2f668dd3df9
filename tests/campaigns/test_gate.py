"""The gate: who may be called now, by which rule not, and until when."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.gate import YES, Intended, No, PastCall, Rule, allowed, counts
from campaigns.presets import CAP_PERIOD, Compliance, Law, Preset, Purpose, law_for
from ivr.result import Result
from store.models import CampaignState
from tests.campaigns.fakes import NOON

NUMBER = "+84912345678"
HOUR = timedelta(hours=1)
FREE = Law()
ADS = law_for(Preset.VN, Purpose.ADVERTISING, home="Asia/Ho_Chi_Minh")


def past(hours_ago: float, result: Result | None = Result.ANSWERED, **facts: bool) -> PastCall:
    return PastCall(NOON - hours_ago * HOUR, result, **{"over": True, **facts})


@pytest.mark.parametrize(
    ("intended", "rule", "until"),
    [
        (Intended(NUMBER, FREE, state=CampaignState.STOPPED), Rule.STOPPED, None),
        (Intended(NUMBER, FREE, state=CampaignState.PAUSED), Rule.NOT_RUNNING, None),
        (Intended(NUMBER, FREE, state=CampaignState.DRAFT), Rule.NOT_RUNNING, None),
        (Intended(NUMBER, FREE, dnc=True), Rule.DNC, None),
        (Intended(NUMBER, FREE, listed=False), Rule.DELISTED, None),
        (
            Intended(NUMBER, FREE, past=[past(0.1, None, over=False)]),
            Rule.ON_CALL,
            NOON + timedelta(minutes=5),
        ),
        (
            Intended(NUMBER, FREE, past=[past(0.1, None, over=False, outgoing=False)]),
            Rule.ON_CALL,
            NOON + timedelta(minutes=5),
        ),
        (Intended("+12125551234", ADS), Rule.HOURS, NOON + 8 * HOUR),  # midnight in New York
        (Intended(NUMBER, ADS, past=[past(3)]), Rule.DAILY_CAP, NOON + 21 * HOUR),
        (Intended(NUMBER, ADS, past=[past(3), past(1)]), Rule.DAILY_CAP, NOON + 23 * HOUR),
        (
            Intended(NUMBER, ADS, past=[past(-2)]),
            Rule.DAILY_CAP,
            NOON + 26 * HOUR,
        ),  # clock set back
        (Intended("+12125551234", ADS, past=[past(1)]), Rule.DAILY_CAP, NOON + 23 * HOUR),
    ],
)
def test_no(intended: Intended, rule: Rule, until: object) -> None:
    answer = allowed(intended, NOON)
    assert isinstance(answer, No)
    assert (answer.rule, answer.until) == (rule, until)
    assert answer.detail.endswith(".")


@pytest.mark.parametrize(
    "intended",
    [
        Intended(NUMBER, FREE),
        Intended(NUMBER, ADS),
        Intended(NUMBER, FREE, past=[past(1), past(2), past(3)]),  # no cap
        Intended(NUMBER, ADS, past=[past(24.001)]),
        Intended(NUMBER, ADS, past=[past(1, Result.BUSY)]),
        Intended(NUMBER, ADS, past=[past(1, outgoing=False)]),  # they called us
    ],
)
def test_yes(intended: Intended) -> None:
    assert allowed(intended, NOON) == YES


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (past(1, Result.ANSWERED), True),
        (past(1, Result.MACHINE), True),
        (past(1, Result.NO_ANSWER), True),
        (past(1, Result.REJECTED), True),
        (past(1, Result.ABANDONED), True),
        (past(1, Result.FAILED), True),  # nobody knows
        (past(1, Result.FAILED, invited=False), False),  # our INVITE never left
        (past(1, None, over=False), True),
        (past(1, Result.BUSY), False),
        (past(1, Result.BUSY, rang=True), True),  # it rang and then was declined as busy
        (past(1, Result.CONGESTION), False),
        (past(1, Result.UNREACHABLE), False),
        (past(1, Result.INVALID_NUMBER), False),
        (past(1, Result.FORBIDDEN), False),
        (past(1, Result.ANSWERED, outgoing=False), False),
    ],
)
def test_what_counts_against_the_cap(call: PastCall, expected: bool) -> None:
    assert counts(call) is expected


def test_the_presets() -> None:
    assert law_for(Preset.NONE, Purpose.ADVERTISING, home="UTC") == Law(None, None, "UTC")
    for preset in Preset:
        for purpose in Purpose:
            law = law_for(preset, purpose, home="UTC")
            assert (law.window is None) == (preset is Preset.NONE)
    assert ADS.cap == 1
    assert str(ADS.window and ADS.window.hours) == "08:00-17:00"
    assert Compliance() == Compliance(Preset.VN, "Asia/Ho_Chi_Minh")


past_calls = st.builds(
    PastCall,
    started_at=st.timedeltas(timedelta(days=-2), timedelta(hours=3)).map(lambda ago: NOON + ago),
    result=st.sampled_from([*Result, None]),
    over=st.booleans(),
    outgoing=st.booleans(),
    invited=st.booleans(),
    rang=st.booleans(),
)


@given(
    st.lists(past_calls, max_size=6), st.integers(1, 4), st.timedeltas(timedelta(0), timedelta(2))
)
def test_no_answer_of_the_gate_breaks_the_cap(
    calls: list[PastCall], cap: int, later: timedelta
) -> None:
    law, now = Law(cap=cap), NOON + later
    answer = allowed(Intended(NUMBER, law, past=calls), now)
    recent = [call for call in calls if counts(call) and call.started_at > now - CAP_PERIOD]
    if answer == YES:
        assert len(recent) < cap
        assert all(call.over for call in calls)
    else:
        assert isinstance(answer, No)
        assert answer.until is not None
        assert answer.until > now, "it would be asked again at once"


@given(st.lists(past_calls.filter(lambda call: call.over), max_size=6), st.integers(1, 4))
def test_at_its_end_a_refusal_has_ended(calls: list[PastCall], cap: int) -> None:
    intended = Intended(NUMBER, Law(cap=cap), past=calls)
    answer = allowed(intended, NOON)
    if isinstance(answer, No):
        assert answer.until is not None
        assert allowed(intended, answer.until) == YES
