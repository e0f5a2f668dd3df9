"""The transaction machines of RFC 3261 §17 and RFC 6026: their vocabulary and the rules of timers.

A machine is a table `(state, event) -> (next state, actions)`; the four tables are in
`transaction_client` and `transaction_server`, everything that decides is in them, and a missing
key is the protocol error. Nothing here sends or waits: whoever runs a machine (`exchange`)
carries out the actions, starts timers for as long as `duration` says, and feeds what happens
back as events. A timer lives only in the states its table names for it: leaving them stops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from ivr.sip.errors import ProtocolError


@dataclass(frozen=True)
class Timers:
    """The base values of RFC 3261 §17, in seconds."""

    t1: float = 0.5
    """Estimate of a round trip."""
    t2: float = 4.0
    """The longest interval between retransmissions, for non-INVITE requests and INVITE answers."""
    t4: float = 5.0
    """The longest time a message stays in the network."""
    trying: float = 0.2
    """How long the user of an INVITE server transaction may think before 100 goes out (§17.2.1)."""


class State(Enum):
    """Where a transaction is; the four machines share the names."""

    IDLE = auto()
    CALLING = auto()  # INVITE sent, nothing heard
    CANCEL_PENDING = auto()  # as CALLING; CANCEL has to wait for a provisional (§9.1)
    CANCELLING = auto()  # as PROCEEDING; CANCEL was sent
    TRYING = auto()  # client: request sent, nothing heard; server: nothing answered yet
    PROCEEDING = auto()
    ACCEPTED = auto()  # 2xx to INVITE (RFC 6026)
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()

    __hash__ = object.__hash__  # identity is enough, and the tables are asked for every message


class Event(Enum):
    """What happens to a transaction."""

    START = auto()  # client: send the request; server: the request arrived
    PROVISIONAL = auto()  # client: received; server: its user sends one
    SUCCESS = auto()  # 2xx, likewise
    FAILURE = auto()  # 3xx to 6xx, likewise
    CANCEL = auto()  # client: its user wants to cancel; server: CANCEL arrived
    REQUEST = auto()  # server: the request arrived again
    ACK = auto()
    TRANSPORT_ERROR = auto()  # it could not be sent
    CONNECTION_LOST = auto()  # client: it was sent, and the connection it was sent on is gone
    TIMER_A = auto()
    TIMER_B = auto()
    TIMER_D = auto()
    TIMER_E = auto()
    TIMER_F = auto()
    TIMER_G = auto()
    TIMER_H = auto()
    TIMER_I = auto()
    TIMER_J = auto()
    TIMER_K = auto()
    TIMER_L = auto()
    TIMER_M = auto()
    TIMER_TRYING = auto()
    TIMER_CANCEL = auto()

    __hash__ = object.__hash__


class Timer(Enum):
    """The timers by the letters of RFC 3261 (table 4) and RFC 6026; each names its event."""

    A = Event.TIMER_A
    B = Event.TIMER_B
    D = Event.TIMER_D
    E = Event.TIMER_E
    F = Event.TIMER_F
    G = Event.TIMER_G
    H = Event.TIMER_H
    I = Event.TIMER_I  # noqa: E741 - the RFC's letter
    J = Event.TIMER_J
    K = Event.TIMER_K
    L = Event.TIMER_L
    M = Event.TIMER_M
    TRYING = Event.TIMER_TRYING  # the 200 ms of §17.2.1
    CANCEL = Event.TIMER_CANCEL  # the 64*T1 of §9.1

    __hash__ = object.__hash__


class Action(Enum):
    """What the runner of a machine does; the timers to start are in `Start`."""

    SEND = auto()  # the request, or the latest response; again when it was sent before
    SEND_ACK = auto()  # to the failure just received (§17.1.1.3)
    SEND_CANCEL = auto()
    SEND_TRYING = auto()  # 100
    DELIVER = auto()  # client: the response to the user
    DELIVER_TIMEOUT = auto()  # a local 408
    DELIVER_TRANSPORT_ERROR = auto()  # a local 503
    DELIVER_CANCELLED = auto()  # a local 487: the peer answered CANCEL with silence
    DELIVER_STRAY = auto()  # a 2xx after a failure: somebody must still end that call
    DELIVER_ACK = auto()  # the ACK to a 2xx
    DELIVER_CANCEL = auto()
    END = auto()  # tell the user it is over: completed
    END_TIMEOUT = auto()
    END_TRANSPORT_ERROR = auto()

    __hash__ = object.__hash__


class Start(NamedTuple):
    """The action of starting a timer, or starting it again."""

    timer: Timer


class EndReason(Enum):
    """Why a server transaction is over."""

    COMPLETED = "completed"  # acknowledged, or its time to absorb retransmissions is over
    TIMEOUT = "timeout"  # no ACK came to a failure (timer H), or its user never answered
    TRANSPORT_ERROR = "transport_error"  # a response could not be sent
    CLOSED = "closed"  # the endpoint was closed


Step = tuple[State, tuple[Action | Start, ...]]


@dataclass(frozen=True, slots=True)
class Machine:
    """One of the four kinds of transaction, as data."""

    steps: Mapping[tuple[State, Event], Step]
    timers: Mapping[State, frozenset[Timer]]
    """The timers that may run in a state; entering any other stops them."""

    def step(self, state: State, event: Event) -> Step:
        """What `event` does in `state`. Raises ProtocolError where that cannot be."""
        try:
            return self.steps[state, event]
        except KeyError:
            raise ProtocolError(
                f"A transaction in state {state.name} cannot take {event.name}."
            ) from None


NO_TIMERS: frozenset[Timer] = frozenset()
RETRANSMITTING = frozenset({Timer.A, Timer.E, Timer.G})
_ABSORBING = frozenset({Timer.D, Timer.I, Timer.J, Timer.K})


def duration(
    timer: Timer, timers: Timers, *, reliable: bool, fired: int = 0, state: State = State.IDLE
) -> float | None:
    """Seconds until `timer` fires (RFC 3261 table 4). None: over this transport it never runs.

    `fired` counts how often a retransmission timer went off before; `state` matters to timer E,
    which slows down to T2 once a provisional response has come (§17.1.2.2).
    """
    if timer in RETRANSMITTING:
        return None if reliable else _backoff(timer, timers, fired, state)
    if timer in _ABSORBING and reliable:
        return 0.0
    if timer in (Timer.I, Timer.K):
        return timers.t4
    if timer is Timer.TRYING:
        return timers.trying
    return 64 * timers.t1


def _backoff(timer: Timer, timers: Timers, fired: int, state: State) -> float:
    if timer is Timer.E and state is State.PROCEEDING:
        return timers.t2
    doubled: float = timers.t1 * 2**fired
    return doubled if timer is Timer.A else min(doubled, timers.t2)
