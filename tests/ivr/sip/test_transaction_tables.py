"""The four tables, row by row as RFC 3261 (figures 5 to 8) and RFC 6026 draw them.

The rows are written a second time here on purpose: a table may only change where its meaning
was meant to change.
"""

from __future__ import annotations

import pytest

from ivr.sip.errors import ProtocolError
from ivr.sip.transaction import Action, Event, Machine, Start, State, Timer, Timers, duration
from ivr.sip.transaction_client import INVITE_CLIENT, NON_INVITE_CLIENT
from ivr.sip.transaction_server import INVITE_SERVER, NON_INVITE_SERVER

ROWS = {
    "INVITE client": """
        IDLE START            CALLING         SEND start.A start.B
        CALLING TIMER_A       CALLING         SEND start.A
        CALLING TIMER_B       TERMINATED      DELIVER_TIMEOUT
        CALLING PROVISIONAL   PROCEEDING      DELIVER
        CALLING SUCCESS       ACCEPTED        start.M DELIVER
        CALLING FAILURE       COMPLETED       SEND_ACK start.D DELIVER
        CALLING CANCEL        CANCEL_PENDING
        CALLING TRANSPORT_ERROR         TERMINATED      DELIVER_TRANSPORT_ERROR
        CALLING CONNECTION_LOST         TERMINATED      DELIVER_TIMEOUT
        CANCEL_PENDING TIMER_A          CANCEL_PENDING  SEND start.A
        CANCEL_PENDING TIMER_B          TERMINATED      DELIVER_TIMEOUT
        CANCEL_PENDING PROVISIONAL      CANCELLING      SEND_CANCEL start.CANCEL DELIVER
        CANCEL_PENDING SUCCESS          ACCEPTED        start.M DELIVER
        CANCEL_PENDING FAILURE          COMPLETED       SEND_ACK start.D DELIVER
        CANCEL_PENDING CANCEL           CANCEL_PENDING
        CANCEL_PENDING TRANSPORT_ERROR  TERMINATED      DELIVER_TRANSPORT_ERROR
        CANCEL_PENDING CONNECTION_LOST  TERMINATED      DELIVER_TIMEOUT
        PROCEEDING PROVISIONAL      PROCEEDING  DELIVER
        PROCEEDING SUCCESS          ACCEPTED    start.M DELIVER
        PROCEEDING FAILURE          COMPLETED   SEND_ACK start.D DELIVER
        PROCEEDING CANCEL           CANCELLING  SEND_CANCEL start.CANCEL
        PROCEEDING TRANSPORT_ERROR  PROCEEDING
        PROCEEDING CONNECTION_LOST  PROCEEDING
        CANCELLING PROVISIONAL      CANCELLING  DELIVER
        CANCELLING SUCCESS          ACCEPTED    start.M DELIVER
        CANCELLING FAILURE          COMPLETED   SEND_ACK start.D DELIVER
        CANCELLING TIMER_CANCEL     TERMINATED  DELIVER_CANCELLED
        CANCELLING CANCEL           CANCELLING
        CANCELLING TRANSPORT_ERROR  CANCELLING
        CANCELLING CONNECTION_LOST  CANCELLING
        COMPLETED PROVISIONAL       COMPLETED
        COMPLETED SUCCESS           COMPLETED   DELIVER_STRAY
        COMPLETED FAILURE           COMPLETED   SEND_ACK
        COMPLETED TIMER_D           TERMINATED
        COMPLETED CANCEL            COMPLETED
        COMPLETED TRANSPORT_ERROR   COMPLETED
        COMPLETED CONNECTION_LOST   COMPLETED
        ACCEPTED PROVISIONAL        ACCEPTED
        ACCEPTED SUCCESS            ACCEPTED    DELIVER
        ACCEPTED FAILURE            ACCEPTED
        ACCEPTED TIMER_M            TERMINATED
        ACCEPTED CANCEL             ACCEPTED
        ACCEPTED TRANSPORT_ERROR    ACCEPTED
        ACCEPTED CONNECTION_LOST    ACCEPTED
        TERMINATED CANCEL           TERMINATED
        TERMINATED TRANSPORT_ERROR  TERMINATED
        TERMINATED CONNECTION_LOST  TERMINATED
    """,
    "non-INVITE client": """
        IDLE START                  TRYING      SEND start.E start.F
        TRYING TIMER_E              TRYING      SEND start.E
        TRYING TIMER_F              TERMINATED  DELIVER_TIMEOUT
        TRYING PROVISIONAL          PROCEEDING  DELIVER
        TRYING SUCCESS              COMPLETED   start.K DELIVER
        TRYING FAILURE              COMPLETED   start.K DELIVER
        TRYING TRANSPORT_ERROR      TERMINATED  DELIVER_TRANSPORT_ERROR
        TRYING CONNECTION_LOST      TERMINATED  DELIVER_TRANSPORT_ERROR
        PROCEEDING TIMER_E          PROCEEDING  SEND start.E
        PROCEEDING TIMER_F          TERMINATED  DELIVER_TIMEOUT
        PROCEEDING PROVISIONAL      PROCEEDING  DELIVER
        PROCEEDING SUCCESS          COMPLETED   start.K DELIVER
        PROCEEDING FAILURE          COMPLETED   start.K DELIVER
        PROCEEDING TRANSPORT_ERROR  TERMINATED  DELIVER_TRANSPORT_ERROR
        PROCEEDING CONNECTION_LOST  TERMINATED  DELIVER_TRANSPORT_ERROR
        COMPLETED PROVISIONAL       COMPLETED
        COMPLETED SUCCESS           COMPLETED
        COMPLETED FAILURE           COMPLETED
        COMPLETED TIMER_K           TERMINATED
        COMPLETED TRANSPORT_ERROR   COMPLETED
        COMPLETED CONNECTION_LOST   COMPLETED
        TERMINATED TRANSPORT_ERROR  TERMINATED
        TERMINATED CONNECTION_LOST  TERMINATED
    """,
    "INVITE server": """
        IDLE START                  TRYING      start.TRYING
        TRYING REQUEST              TRYING
        TRYING TIMER_TRYING         PROCEEDING  SEND_TRYING
        TRYING PROVISIONAL          PROCEEDING  SEND
        TRYING SUCCESS              ACCEPTED    SEND start.L
        TRYING FAILURE              COMPLETED   SEND start.G start.H
        TRYING CANCEL               TRYING      DELIVER_CANCEL
        TRYING ACK                  TRYING
        TRYING TRANSPORT_ERROR      TERMINATED  END_TRANSPORT_ERROR
        PROCEEDING REQUEST          PROCEEDING  SEND
        PROCEEDING PROVISIONAL      PROCEEDING  SEND
        PROCEEDING SUCCESS          ACCEPTED    SEND start.L
        PROCEEDING FAILURE          COMPLETED   SEND start.G start.H
        PROCEEDING CANCEL           PROCEEDING  DELIVER_CANCEL
        PROCEEDING ACK              PROCEEDING
        PROCEEDING TRANSPORT_ERROR  TERMINATED  END_TRANSPORT_ERROR
        ACCEPTED REQUEST            ACCEPTED
        ACCEPTED SUCCESS            ACCEPTED    SEND
        ACCEPTED ACK                ACCEPTED    DELIVER_ACK
        ACCEPTED CANCEL             ACCEPTED
        ACCEPTED TIMER_L            TERMINATED  END
        ACCEPTED TRANSPORT_ERROR    ACCEPTED
        COMPLETED REQUEST           COMPLETED   SEND
        COMPLETED TIMER_G           COMPLETED   SEND start.G
        COMPLETED TIMER_H           TERMINATED  END_TIMEOUT
        COMPLETED ACK               CONFIRMED   start.I
        COMPLETED CANCEL            COMPLETED
        COMPLETED TRANSPORT_ERROR   TERMINATED  END_TRANSPORT_ERROR
        CONFIRMED REQUEST           CONFIRMED
        CONFIRMED ACK               CONFIRMED
        CONFIRMED CANCEL            CONFIRMED
        CONFIRMED TIMER_I           TERMINATED  END
        CONFIRMED TRANSPORT_ERROR   CONFIRMED
        TERMINATED PROVISIONAL      TERMINATED
        TERMINATED SUCCESS          TERMINATED
        TERMINATED FAILURE          TERMINATED
        TERMINATED TRANSPORT_ERROR  TERMINATED
    """,
    "non-INVITE server": """
        IDLE START                  TRYING      start.F
        TRYING REQUEST              TRYING
        TRYING PROVISIONAL          PROCEEDING  SEND
        TRYING SUCCESS              COMPLETED   SEND start.J
        TRYING FAILURE              COMPLETED   SEND start.J
        TRYING TIMER_F              TERMINATED  END_TIMEOUT
        TRYING TRANSPORT_ERROR      TERMINATED  END_TRANSPORT_ERROR
        PROCEEDING REQUEST          PROCEEDING  SEND
        PROCEEDING PROVISIONAL      PROCEEDING  SEND
        PROCEEDING SUCCESS          COMPLETED   SEND start.J
        PROCEEDING FAILURE          COMPLETED   SEND start.J
        PROCEEDING TIMER_F          TERMINATED  END_TIMEOUT
        PROCEEDING TRANSPORT_ERROR  TERMINATED  END_TRANSPORT_ERROR
        COMPLETED REQUEST           COMPLETED   SEND
        COMPLETED TIMER_J           TERMINATED  END
        COMPLETED TRANSPORT_ERROR   TERMINATED  END_TRANSPORT_ERROR
        TERMINATED PROVISIONAL      TERMINATED
        TERMINATED SUCCESS          TERMINATED
        TERMINATED FAILURE          TERMINATED
        TERMINATED TRANSPORT_ERROR  TERMINATED
    """,
}
MACHINES = {
    "INVITE client": INVITE_CLIENT,
    "non-INVITE client": NON_INVITE_CLIENT,
    "INVITE server": INVITE_SERVER,
    "non-INVITE server": NON_INVITE_SERVER,
}


def rows(machine: Machine) -> list[str]:
    def name(action: Action | Start) -> str:
        return f"start.{action.timer.name}" if isinstance(action, Start) else action.name

    return sorted(
        " ".join([state.name, event.name, after.name, *map(name, actions)])
        for (state, event), (after, actions) in machine.steps.items()
    )


@pytest.mark.parametrize("name", MACHINES)
def test_every_transition(name: str) -> None:
    expected = [" ".join(line.split()) for line in ROWS[name].strip().splitlines()]
    assert rows(MACHINES[name]) == sorted(expected)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
class TestShape:
    def test_every_timer_of_a_state_has_its_event_and_no_other_timer_does(
        self, machine: Machine
    ) -> None:
        for state, timers in machine.timers.items():
            events = {event for at, event in machine.steps if at is state}
            fired = {timer for timer in Timer if timer.value in events}
            assert fired == timers, state

    def test_a_timer_is_started_only_where_it_may_run(self, machine: Machine) -> None:
        for after, actions in machine.steps.values():
            for action in actions:
                if isinstance(action, Start):
                    assert action.timer in machine.timers[after]

    def test_telling_the_user_comes_last(self, machine: Machine) -> None:
        for _, actions in machine.steps.values():
            for action in actions[:-1]:
                assert isinstance(action, Start) or action.name.startswith("SEND")

    def test_every_state_is_reached_and_every_state_can_end(self, machine: Machine) -> None:
        reached = {State.IDLE} | {after for after, _ in machine.steps.values()}
        assert reached == set(machine.timers) == {at for at, _ in machine.steps}
        ends = {State.TERMINATED}
        while True:
            more = {at for (at, _), (after, _) in machine.steps.items() if after in ends} - ends
            if not more:
                break
            ends |= more
        assert ends == reached

    def test_what_is_over_stays_over(self, machine: Machine) -> None:
        for (state, _), (after, actions) in machine.steps.items():
            if state is State.TERMINATED:
                assert (after, actions) == (State.TERMINATED, ())

    def test_a_network_that_fails_never_finds_a_hole(self, machine: Machine) -> None:
        for state in machine.timers:
            if state is not State.IDLE:
                machine.step(state, Event.TRANSPORT_ERROR)


def test_a_missing_key_is_the_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="COMPLETED cannot take SUCCESS"):
        INVITE_SERVER.step(State.COMPLETED, Event.SUCCESS)
    with pytest.raises(ProtocolError):
        NON_INVITE_CLIENT.step(State.TRYING, Event.CANCEL)


@pytest.mark.parametrize(
    ("timer", "unreliable", "reliable"),
    [
        (Timer.A, 0.5, None),
        (Timer.B, 32.0, 32.0),
        (Timer.D, 32.0, 0.0),
        (Timer.E, 0.5, None),
        (Timer.F, 32.0, 32.0),
        (Timer.G, 0.5, None),
        (Timer.H, 32.0, 32.0),
        (Timer.I, 5.0, 0.0),
        (Timer.J, 32.0, 0.0),
        (Timer.K, 5.0, 0.0),
        (Timer.L, 32.0, 32.0),
        (Timer.M, 32.0, 32.0),
        (Timer.TRYING, 0.2, 0.2),
        (Timer.CANCEL, 32.0, 32.0),
    ],
)
def test_durations(timer: Timer, unreliable: float, reliable: float | None) -> None:
    assert duration(timer, Timers(), reliable=False) == unreliable
    assert duration(timer, Timers(), reliable=True) == reliable


def test_back_off() -> None:
    def intervals(timer: Timer, state: State = State.TRYING) -> list[float | None]:
        return [
            duration(timer, Timers(), reliable=False, fired=fired, state=state)
            for fired in range(6)
        ]

    assert intervals(Timer.A) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert intervals(Timer.E) == intervals(Timer.G) == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert intervals(Timer.E, State.PROCEEDING) == [4.0] * 6
