"""The two server transactions as tables (RFC 3261 §17.2, with RFC 6026 §7.1 for Accepted)."""

from __future__ import annotations

from ivr.sip.transaction import NO_TIMERS, Action, Event, Machine, Start, State, Step, Timer

_PROVISIONAL: Step = (State.PROCEEDING, (Action.SEND,))
_SUCCESS: Step = (State.ACCEPTED, (Action.SEND, Start(Timer.L)))
_FAILURE: Step = (State.COMPLETED, (Action.SEND, Start(Timer.G), Start(Timer.H)))
_LOST: Step = (State.TERMINATED, (Action.END_TRANSPORT_ERROR,))
_TIMED_OUT: Step = (State.TERMINATED, (Action.END_TIMEOUT,))
_DONE: Step = (State.TERMINATED, (Action.END,))
_OVER: Step = (State.TERMINATED, ())

# Figure 7 of RFC 3261 with figure 5 of RFC 6026. TRYING is the RFC's Proceeding before the first
# response: only there does timer TRYING run.
INVITE_SERVER = Machine(
    steps={
        (State.IDLE, Event.START): (State.TRYING, (Start(Timer.TRYING),)),
        (State.TRYING, Event.REQUEST): (State.TRYING, ()),
        (State.TRYING, Event.TIMER_TRYING): (State.PROCEEDING, (Action.SEND_TRYING,)),
        (State.TRYING, Event.PROVISIONAL): _PROVISIONAL,
        (State.TRYING, Event.SUCCESS): _SUCCESS,
        (State.TRYING, Event.FAILURE): _FAILURE,
        (State.TRYING, Event.CANCEL): (State.TRYING, (Action.DELIVER_CANCEL,)),
        (State.TRYING, Event.ACK): (State.TRYING, ()),
        (State.TRYING, Event.TRANSPORT_ERROR): _LOST,
        (State.PROCEEDING, Event.REQUEST): (State.PROCEEDING, (Action.SEND,)),
        (State.PROCEEDING, Event.PROVISIONAL): _PROVISIONAL,
        (State.PROCEEDING, Event.SUCCESS): _SUCCESS,
        (State.PROCEEDING, Event.FAILURE): _FAILURE,
        (State.PROCEEDING, Event.CANCEL): (State.PROCEEDING, (Action.DELIVER_CANCEL,)),
        (State.PROCEEDING, Event.ACK): (State.PROCEEDING, ()),
        (State.PROCEEDING, Event.TRANSPORT_ERROR): _LOST,
        # The user repeats its 2xx itself (§13.3.1.4), here or past the transaction.
        (State.ACCEPTED, Event.REQUEST): (State.ACCEPTED, ()),
        (State.ACCEPTED, Event.SUCCESS): (State.ACCEPTED, (Action.SEND,)),
        (State.ACCEPTED, Event.ACK): (State.ACCEPTED, (Action.DELIVER_ACK,)),
        (State.ACCEPTED, Event.CANCEL): (State.ACCEPTED, ()),
        (State.ACCEPTED, Event.TIMER_L): _DONE,
        (State.ACCEPTED, Event.TRANSPORT_ERROR): (State.ACCEPTED, ()),
        (State.COMPLETED, Event.REQUEST): (State.COMPLETED, (Action.SEND,)),
        (State.COMPLETED, Event.TIMER_G): (State.COMPLETED, (Action.SEND, Start(Timer.G))),
        (State.COMPLETED, Event.TIMER_H): _TIMED_OUT,
        (State.COMPLETED, Event.ACK): (State.CONFIRMED, (Start(Timer.I),)),
        (State.COMPLETED, Event.CANCEL): (State.COMPLETED, ()),
        (State.COMPLETED, Event.TRANSPORT_ERROR): _LOST,
        (State.CONFIRMED, Event.REQUEST): (State.CONFIRMED, ()),
        (State.CONFIRMED, Event.ACK): (State.CONFIRMED, ()),
        (State.CONFIRMED, Event.CANCEL): (State.CONFIRMED, ()),
        (State.CONFIRMED, Event.TIMER_I): _DONE,
        (State.CONFIRMED, Event.TRANSPORT_ERROR): (State.CONFIRMED, ()),
        # A user that answers late, after the network took the transaction away, means no harm.
        (State.TERMINATED, Event.PROVISIONAL): _OVER,
        (State.TERMINATED, Event.SUCCESS): _OVER,
        (State.TERMINATED, Event.FAILURE): _OVER,
        (State.TERMINATED, Event.TRANSPORT_ERROR): _OVER,
    },
    timers={
        State.IDLE: NO_TIMERS,
        State.TRYING: frozenset({Timer.TRYING}),
        State.PROCEEDING: NO_TIMERS,
        State.ACCEPTED: frozenset({Timer.L}),
        State.COMPLETED: frozenset({Timer.G, Timer.H}),
        State.CONFIRMED: frozenset({Timer.I}),
        State.TERMINATED: NO_TIMERS,
    },
)

_FINAL: Step = (State.COMPLETED, (Action.SEND, Start(Timer.J)))

# Figure 8 of RFC 3261. Timer F is added: by then the client has given up (its own timer F), an
# answer would be useless (RFC 4320 §4.2), and a user that forgets to answer must not leak.
NON_INVITE_SERVER = Machine(
    steps={
        (State.IDLE, Event.START): (State.TRYING, (Start(Timer.F),)),
        (State.TRYING, Event.REQUEST): (State.TRYING, ()),
        (State.TRYING, Event.PROVISIONAL): _PROVISIONAL,
        (State.TRYING, Event.SUCCESS): _FINAL,
        (State.TRYING, Event.FAILURE): _FINAL,
        (State.TRYING, Event.TIMER_F): _TIMED_OUT,
        (State.TRYING, Event.TRANSPORT_ERROR): _LOST,
        (State.PROCEEDING, Event.REQUEST): (State.PROCEEDING, (Action.SEND,)),
        (State.PROCEEDING, Event.PROVISIONAL): _PROVISIONAL,
        (State.PROCEEDING, Event.SUCCESS): _FINAL,
        (State.PROCEEDING, Event.FAILURE): _FINAL,
        (State.PROCEEDING, Event.TIMER_F): _TIMED_OUT,
        (State.PROCEEDING, Event.TRANSPORT_ERROR): _LOST,
        (State.COMPLETED, Event.REQUEST): (State.COMPLETED, (Action.SEND,)),
        (State.COMPLETED, Event.TIMER_J): _DONE,
        (State.COMPLETED, Event.TRANSPORT_ERROR): _LOST,
        (State.TERMINATED, Event.PROVISIONAL): _OVER,
        (State.TERMINATED, Event.SUCCESS): _OVER,
        (State.TERMINATED, Event.FAILURE): _OVER,
        (State.TERMINATED, Event.TRANSPORT_ERROR): _OVER,
    },
    timers={
        State.IDLE: NO_TIMERS,
        State.TRYING: frozenset({Timer.F}),
        State.PROCEEDING: frozenset({Timer.F}),
        State.COMPLETED: frozenset({Timer.J}),
        State.TERMINATED: NO_TIMERS,
    },
)
