"""The decisions of a session that need no session: its table, timers, glare, bodies."""

from __future__ import annotations

from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip.message import SipRequest, SipResponse
from ivr.sip.session_bodies import key_of, progress_of, reason_of, sdp_of
from ivr.sip.session_offers import Open, glare_wait, verdict
from ivr.sip.session_repeat import intervals
from ivr.sip.session_states import MOVES, Ending, Input, State
from ivr.sip.timer import (
    IntervalTooSmall,
    SessionTimer,
    TimerPolicy,
    answer_headers,
    requires,
    supports,
)

# the table ---------------------------------------------------------------------------------------


def test_every_way_into_the_end_is_reported_and_none_leads_out() -> None:
    for state, row in MOVES.items():
        for following, ending in row.values():
            entering = following is State.OVER and state is not State.OVER
            assert (ending is not None) is entering
            if state is State.OVER:
                assert following is State.OVER


def test_what_never_came_up_failed_and_what_was_answered_ended() -> None:
    for state, row in MOVES.items():
        for following, ending in row.values():
            if following is State.OVER and state is not State.OVER:
                answered = state in (State.ANSWERED, State.UP)
                assert ending is (Ending.ENDED if answered else Ending.FAILED)


@given(st.sampled_from([State.CALLING, State.INCOMING]), st.lists(st.sampled_from(list(Input))))
def test_one_ending_at_most(state: State, inputs: list[Input]) -> None:
    endings = []
    for each in inputs:
        if each in MOVES[state]:
            state, ending = MOVES[state][each]
            endings.append(ending)
    assert len([ending for ending in endings if ending]) == (state is State.OVER)


def test_every_state_is_reached_and_left() -> None:
    reached = {following for row in MOVES.values() for following, _ in row.values()}
    assert reached | {State.CALLING, State.INCOMING} == set(State) == set(MOVES)


# offers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "offers", "open_", "inviting", "invited", "status"),
    [
        ("INVITE", True, Open.NONE, False, False, 200),
        ("INVITE", True, Open.OURS, True, False, 491),
        ("INVITE", True, Open.NONE, True, False, 491),
        ("INVITE", True, Open.THEIRS, False, True, 500),
        ("INVITE", True, Open.OURS, False, False, 491),
        ("UPDATE", True, Open.OURS, False, False, 491),
        ("UPDATE", True, Open.THEIRS, False, False, 500),
        ("UPDATE", False, Open.THEIRS, False, True, 200),
        ("UPDATE", False, Open.OURS, True, False, 200),
        ("UPDATE", True, Open.NONE, False, False, 200),
    ],
)
def test_who_may_offer(
    method: str, offers: bool, open_: Open, inviting: bool, invited: bool, status: int
) -> None:
    assert verdict(method, offers=offers, open_=open_, inviting=inviting, invited=invited) == status


def test_the_wait_after_a_glare_never_overlaps() -> None:
    assert glare_wait(True, lambda low, _: low) == 2.1
    assert glare_wait(True, lambda _, high: high) == 4.0
    assert glare_wait(False, lambda low, _: low) == 0.0
    assert glare_wait(False, lambda _, high: high) == 2.0


def test_repeats_double_up_to_t2_for_64_t1() -> None:
    steps = list(intervals(0.5, 4.0, 32.0))
    assert steps == [0.5, 1.0, 2.0, *[4.0] * 7, 0.5]
    assert sum(steps) == 32.0
    assert list(takewhile(lambda step: step < 16, intervals(0.5, 32.0, 32.0)))[:5] == [
        0.5, 1.0, 2.0, 4.0, 8.0,
    ]  # fmt: skip


# session timers (RFC 4028) -----------------------------------------------------------------------


def request(**headers: str) -> SipRequest:
    message = SipRequest(method="INVITE", uri="sip:x")
    for name, value in headers.items():
        message.add_header(name.replace("_", "-"), value)
    return message


def response(**headers: str) -> SipResponse:
    message = SipResponse(status_code=200)
    for name, value in headers.items():
        message.add_header(name.replace("_", "-"), value)
    return message


POLICY = TimerPolicy(1800, 90)


@pytest.mark.parametrize(
    ("headers", "timer"),
    [
        ({}, None),
        ({"Session_Expires": "600"}, None),  # a proxy put it in; the caller knows no timers
        ({"Supported": "timer"}, SessionTimer(1800, ours=False)),
        ({"Supported": "100rel, Timer", "Session_Expires": "600"}, SessionTimer(600, ours=False)),
        (
            {"Require": "timer", "Session_Expires": "600 ;refresher=UAS"},
            SessionTimer(600, ours=True),
        ),
        (
            {"Supported": "timer", "Session_Expires": "7200;refresher=uac"},
            SessionTimer(1800, ours=False),
        ),
        (
            {"Supported": "timer", "Session_Expires": "7200", "Min_SE": "3600"},
            SessionTimer(3600, ours=False),
        ),
        ({"Supported": "timer", "Session_Expires": "soon"}, SessionTimer(1800, ours=False)),
    ],
)
def test_called_what_is_settled(headers: dict[str, str], timer: SessionTimer | None) -> None:
    assert POLICY.agreed_as_server(request(**headers)) == timer


def test_called_with_an_interval_too_small() -> None:
    with pytest.raises(IntervalTooSmall):
        POLICY.agreed_as_server(request(Supported="timer", Session_Expires="89"))
    assert POLICY.refusal_headers() == [("Min-SE", "90")]


@pytest.mark.parametrize(
    ("value", "timer"),
    [
        (None, None),
        ("1800;refresher=uac", SessionTimer(1800, ours=True)),
        ("1800;refresher=uas", SessionTimer(1800, ours=False)),
        ("1800", SessionTimer(1800, ours=True)),
        ("5;refresher=uas", SessionTimer(90, ours=False)),
    ],
)
def test_calling_what_is_settled(value: str | None, timer: SessionTimer | None) -> None:
    headers = {"Session_Expires": value} if value else {}
    assert POLICY.agreed_as_client(response(**headers)) == timer
    assert TimerPolicy(0).agreed_as_client(response(**headers)) is None


@given(st.integers(90, 10_000))
def test_there_is_time_to_refresh_before_the_end(interval: int) -> None:
    timer = SessionTimer(interval, ours=True)
    assert 0 < timer.refresh_after < timer.expire_after < interval


def test_what_is_said_of_timers() -> None:
    assert answer_headers(None) == []
    assert answer_headers(SessionTimer(600, ours=True)) == [
        ("Session-Expires", "600;refresher=uas")
    ]
    assert ("Require", "timer") in answer_headers(SessionTimer(600, ours=False))
    assert TimerPolicy(0).request_headers() == []
    assert TimerPolicy(600, 120).request_headers(refresher=False) == [
        ("Session-Expires", "600;refresher=uas"),
        ("Min-SE", "120"),
    ]


def test_a_422_is_followed_only_upwards() -> None:
    assert POLICY.raised(response(Min_SE="3600")) == TimerPolicy(3600, 3600)
    assert POLICY.raised(response(Min_SE="1800")) is None
    assert POLICY.raised(response()) is None


def test_extensions() -> None:
    assert supports(request(Supported="a, 100REL"), "100rel")
    assert not requires(request(Supported="100rel"), "100rel")
    assert requires(request(Require="100rel"), "100rel")


# bodies ------------------------------------------------------------------------------------------


@given(st.binary(max_size=80), st.sampled_from(["application/dtmf", "application/dtmf-relay", ""]))
def test_no_key_raises(body: bytes, kind: str) -> None:
    message = request(Content_Type=kind)
    message.body = body
    key = key_of(message)
    assert key is None or (key[0] in "0123456789*#ABCD" and key[1] >= 0)


@given(st.binary(max_size=200))
def test_no_body_raises(body: bytes) -> None:
    message = request(Content_Type='multipart/mixed; boundary="x"')
    message.body = body
    sdp_of(message)
    progress_of(message)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ('SIP;cause=200;text="Call completed \\"elsewhere\\""', 'Call completed "elsewhere"'),
        ("Q.850;cause=16", "Q.850 16"),
        ("Q.850", "Q.850"),
    ],
)
def test_reasons(value: str, text: str) -> None:
    assert reason_of(request(Reason=value)) == text
