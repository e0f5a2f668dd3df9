"""The two client transactions as tables (RFC 3261 §17.1, with RFC 6026 §7.2 for Accepted)."""

from __future__ import annotations

from ivr.sip.transaction import NO_TIMERS, Action, Event, Machine, Start, State, Step, Timer

_ANSWERED_2XX: Step = (State.ACCEPTED, (Start(Timer.M), Action.DELIVER))
_REFUSED: Step = (State.COMPLETED, (Action.SEND_ACK, Start(Timer.D), Action.DELIVER))
_UNREACHABLE: Step = (State.TERMINATED, (Action.DELIVER_TRANSPORT_ERROR,))
_TIMED_OUT: Step = (State.TERMINATED, (Action.DELIVER_TIMEOUT,))
_OVER: Step = (State.TERMINATED, ())

# Figure 5 of RFC 3261 with figure 3 of RFC 6026. Two states are split off for CANCEL (§9.1),
# which must not leave before a provisional response has shown that the INVITE arrived.
INVITE_CLIENT = Machine(
    steps={
        (State.IDLE, Event.START): (
            State.CALLING,
            (Action.SEND, Start(Timer.A), Start(Timer.B)),
        ),
        (State.CALLING, Event.TIMER_A): (State.CALLING, (Action.SEND, Start(Timer.A))),
        (State.CALLING, Event.TIMER_B): _TIMED_OUT,
        (State.CALLING, Event.PROVISIONAL): (State.PROCEEDING, (Action.DELIVER,)),
        (State.CALLING, Event.SUCCESS): _ANSWERED_2XX,
        (State.CALLING, Event.FAILURE): _REFUSED,
        (State.CALLING, Event.CANCEL): (State.CANCEL_PENDING, ()),
        (State.CALLING, Event.TRANSPORT_ERROR): _UNREACHABLE,
        # It may have arrived, and a phone may ring: to call this 503 would let it ring twice.
        (State.CALLING, Event.CONNECTION_LOST): _TIMED_OUT,
        (State.CANCEL_PENDING, Event.TIMER_A): (
            State.CANCEL_PENDING,
            (Action.SEND, Start(Timer.A)),
        ),
        (State.CANCEL_PENDING, Event.TIMER_B): _TIMED_OUT,
        (State.CANCEL_PENDING, Event.PROVISIONAL): (
            State.CANCELLING,
            (Action.SEND_CANCEL, Start(Timer.CANCEL), Action.DELIVER),
        ),
        (State.CANCEL_PENDING, Event.SUCCESS): _ANSWERED_2XX,
        (State.CANCEL_PENDING, Event.FAILURE): _REFUSED,
        (State.CANCEL_PENDING, Event.CANCEL): (State.CANCEL_PENDING, ()),
        (State.CANCEL_PENDING, Event.TRANSPORT_ERROR): _UNREACHABLE,
        (State.CANCEL_PENDING, Event.CONNECTION_LOST): _TIMED_OUT,
        (State.PROCEEDING, Event.PROVISIONAL): (State.PROCEEDING, (Action.DELIVER,)),
        (State.PROCEEDING, Event.SUCCESS): _ANSWERED_2XX,
        (State.PROCEEDING, Event.FAILURE): _REFUSED,
        (State.PROCEEDING, Event.CANCEL): (
            State.CANCELLING,
            (Action.SEND_CANCEL, Start(Timer.CANCEL)),
        ),
        # The INVITE did arrive; a connection lost since is the peer's to open again.
        (State.PROCEEDING, Event.TRANSPORT_ERROR): (State.PROCEEDING, ()),
        (State.PROCEEDING, Event.CONNECTION_LOST): (State.PROCEEDING, ()),
        (State.CANCELLING, Event.PROVISIONAL): (State.CANCELLING, (Action.DELIVER,)),
        (State.CANCELLING, Event.SUCCESS): _ANSWERED_2XX,  # the answer overtook the CANCEL
        (State.CANCELLING, Event.FAILURE): _REFUSED,
        (State.CANCELLING, Event.TIMER_CANCEL): (State.TERMINATED, (Action.DELIVER_CANCELLED,)),
        (State.CANCELLING, Event.CANCEL): (State.CANCELLING, ()),
        (State.CANCELLING, Event.TRANSPORT_ERROR): (State.CANCELLING, ()),
        (State.CANCELLING, Event.CONNECTION_LOST): (State.CANCELLING, ()),
        (State.COMPLETED, Event.PROVISIONAL): (State.COMPLETED, ()),
        # A forking proxy forwards a 2xx that crossed a 6xx (§16.7 step 5).
        (State.COMPLETED, Event.SUCCESS): (State.COMPLETED, (Action.DELIVER_STRAY,)),
        (State.COMPLETED, Event.FAILURE): (State.COMPLETED, (Action.SEND_ACK,)),
        (State.COMPLETED, Event.TIMER_D): _OVER,
        (State.COMPLETED, Event.CANCEL): (State.COMPLETED, ()),
        (State.COMPLETED, Event.TRANSPORT_ERROR): (State.COMPLETED, ()),  # the peer asks again
        (State.COMPLETED, Event.CONNECTION_LOST): (State.COMPLETED, ()),
        (State.ACCEPTED, Event.PROVISIONAL): (State.ACCEPTED, ()),
        (State.ACCEPTED, Event.SUCCESS): (State.ACCEPTED, (Action.DELIVER,)),
        (State.ACCEPTED, Event.FAILURE): (State.ACCEPTED, ()),
        (State.ACCEPTED, Event.TIMER_M): _OVER,
        (State.ACCEPTED, Event.CANCEL): (State.ACCEPTED, ()),
        (State.ACCEPTED, Event.TRANSPORT_ERROR): (State.ACCEPTED, ()),
        (State.ACCEPTED, Event.CONNECTION_LOST): (State.ACCEPTED, ()),
        (State.TERMINATED, Event.CANCEL): _OVER,
        (State.TERMINATED, Event.TRANSPORT_ERROR): _OVER,
        (State.TERMINATED, Event.CONNECTION_LOST): _OVER,
    },
    timers={
        State.IDLE: NO_TIMERS,
        State.CALLING: frozenset({Timer.A, Timer.B}),
        State.CANCEL_PENDING: frozenset({Timer.A, Timer.B}),
        State.PROCEEDING: NO_TIMERS,
        State.CANCELLING: frozenset({Timer.CANCEL}),
        State.COMPLETED: frozenset({Timer.D}),
        State.ACCEPTED: frozenset({Timer.M}),
        State.TERMINATED: NO_TIMERS,
    },
)

_FINAL: Step = (State.COMPLETED, (Start(Timer.K), Action.DELIVER))

# Figure 6 of RFC 3261.
NON_INVITE_CLIENT = Machine(
    steps={
        (State.IDLE, Event.START): (State.TRYING, (Action.SEND, Start(Timer.E), Start(Timer.F))),
        (State.TRYING, Event.TIMER_E): (State.TRYING, (Action.SEND, Start(Timer.E))),
        (State.TRYING, Event.TIMER_F): _TIMED_OUT,
        (State.TRYING, Event.PROVISIONAL): (State.PROCEEDING, (Action.DELIVER,)),
        (State.TRYING, Event.SUCCESS): _FINAL,
        (State.TRYING, Event.FAILURE): _FINAL,
        (State.TRYING, Event.TRANSPORT_ERROR): _UNREACHABLE,
        (State.TRYING, Event.CONNECTION_LOST): _UNREACHABLE,
        (State.PROCEEDING, Event.TIMER_E): (State.PROCEEDING, (Action.SEND, Start(Timer.E))),
        (State.PROCEEDING, Event.TIMER_F): _TIMED_OUT,
        (State.PROCEEDING, Event.PROVISIONAL): (State.PROCEEDING, (Action.DELIVER,)),
        (State.PROCEEDING, Event.SUCCESS): _FINAL,
        (State.PROCEEDING, Event.FAILURE): _FINAL,
        (State.PROCEEDING, Event.TRANSPORT_ERROR): _UNREACHABLE,
        (State.PROCEEDING, Event.CONNECTION_LOST): _UNREACHABLE,
        (State.COMPLETED, Event.PROVISIONAL): (State.COMPLETED, ()),
        (State.COMPLETED, Event.SUCCESS): (State.COMPLETED, ()),
        (State.COMPLETED, Event.FAILURE): (State.COMPLETED, ()),
        (State.COMPLETED, Event.TIMER_K): _OVER,
        (State.COMPLETED, Event.TRANSPORT_ERROR): (State.COMPLETED, ()),
        (State.COMPLETED, Event.CONNECTION_LOST): (State.COMPLETED, ()),
        (State.TERMINATED, Event.TRANSPORT_ERROR): _OVER,
        (State.TERMINATED, Event.CONNECTION_LOST): _OVER,
    },
    timers={
        State.IDLE: NO_TIMERS,
        State.TRYING: frozenset({Timer.E, Timer.F}),
        State.PROCEEDING: frozenset({Timer.E, Timer.F}),
        State.COMPLETED: frozenset({Timer.K}),
        State.TERMINATED: NO_TIMERS,
    },
)
