"""The table of design §3, row by row, and that no story is without a result."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.result import Result, SipStory, decide

RANG = {"provisionals": 1, "rang": True}
TRIED = {"provisionals": 1}  # 181 or 182: somebody was reached, nothing rang

ROWS = [
    (SipStory(status=200, answered=True), Result.ANSWERED),
    (SipStory(status=200, answered=True, amd="human"), Result.ANSWERED),
    (SipStory(status=200, answered=True, amd="notsure"), Result.ANSWERED),
    (SipStory(status=200, answered=True, amd="machine"), Result.MACHINE),
    (SipStory(status=200, answered=True, amd="fax"), Result.MACHINE),
    (SipStory(status=200, answered=True, amd="tone"), Result.MACHINE),
    (SipStory(status=200, answered=True, abandoned=True), Result.ABANDONED),
    (SipStory(status=200, answered=True, amd="machine", abandoned=True), Result.MACHINE),
    (SipStory(status=487, cancelled=True, **RANG), Result.NO_ANSWER),
    (SipStory(status=200, cancelled=True, **RANG), Result.NO_ANSWER),  # answered too late
    (SipStory(status=480, **RANG), Result.NO_ANSWER),
    (SipStory(status=408, **RANG), Result.NO_ANSWER),
    (SipStory(status=487, **RANG), Result.NO_ANSWER),
    (SipStory(status=486), Result.BUSY),
    (SipStory(status=486, **RANG), Result.BUSY),
    (SipStory(status=600), Result.BUSY),
    (SipStory(status=603, **RANG), Result.REJECTED),
    (SipStory(status=607), Result.REJECTED),
    (SipStory(status=608), Result.REJECTED),
    (SipStory(status=606), Result.REJECTED),
    (SipStory(status=404), Result.INVALID_NUMBER),
    (SipStory(status=410), Result.INVALID_NUMBER),
    (SipStory(status=484), Result.INVALID_NUMBER),
    (SipStory(status=604), Result.INVALID_NUMBER),
    (SipStory(status=480), Result.UNREACHABLE),
    (SipStory(status=408), Result.UNREACHABLE),
    (SipStory(status=408, local=True), Result.UNREACHABLE),
    (SipStory(status=487, cancelled=True), Result.UNREACHABLE),  # never rang
    (SipStory(), Result.UNREACHABLE),
    (SipStory(status=430), Result.UNREACHABLE),
    (SipStory(status=500, **TRIED), Result.UNREACHABLE),
    (SipStory(status=503, **TRIED), Result.UNREACHABLE),
    (SipStory(status=504, **RANG), Result.UNREACHABLE),
    (SipStory(status=302), Result.UNREACHABLE),
    (SipStory(status=503), Result.CONGESTION),
    (SipStory(status=500), Result.CONGESTION),
    (SipStory(status=503, local=True), Result.CONGESTION),  # the trunk refused the connection
    (SipStory(status=401), Result.FORBIDDEN),
    (SipStory(status=407), Result.FORBIDDEN),
    (SipStory(status=403), Result.FORBIDDEN),
    (SipStory(status=402), Result.FORBIDDEN),
    (SipStory(status=488), Result.FAILED),
    (SipStory(status=400), Result.FAILED),
    (SipStory(status=200, answered=True, our_fault=True), Result.FAILED),
    (SipStory(status=486, our_fault=True), Result.FAILED),
]


@pytest.mark.parametrize(("story", "result"), ROWS)
def test_the_table(story: SipStory, result: Result) -> None:
    assert decide(story) is result


@given(
    st.builds(
        SipStory,
        status=st.none() | st.integers(300, 699),
        local=st.booleans(),
        provisionals=st.integers(0, 3),
        rang=st.booleans(),
        cancelled=st.booleans(),
        amd=st.none(),
    )
)
def test_a_call_nobody_took_is_never_a_success_and_always_has_a_result(story: SipStory) -> None:
    assert decide(story) not in {Result.ANSWERED, Result.MACHINE, Result.ABANDONED}
