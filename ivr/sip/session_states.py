"""The life of an INVITE session as one table (RFC 3261 §13–15). Pure.

    calling ─► proceeding ─► up ─► over         we call
        └──► cancelling ─────────► over
    incoming ─► ringing ─► answered ─► up ─► over   we are called

Every path into `over` is marked with how the session is reported; there is no path out of it,
so that it is reported once. An input missing from a row is a bug of whoever gave it.
"""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    """Where a session is in its life."""

    CALLING = auto()  # our INVITE has left
    PROCEEDING = auto()  # a provisional response has come
    CANCELLING = auto()  # we gave up; the final response is still to come
    INCOMING = auto()  # their INVITE has come
    RINGING = auto()  # we sent a provisional response
    ANSWERED = auto()  # we sent a 2xx, and wait for the ACK
    UP = auto()
    OVER = auto()

    __hash__ = object.__hash__  # identity is enough


class Input(Enum):
    """What happens to a session."""

    PROVISIONAL = auto()
    SUCCESS = auto()
    REFUSAL = auto()  # a final response other than 2xx, theirs or made locally
    CANCEL = auto()
    RING = auto()
    ACCEPT = auto()
    REJECT = auto()
    CANCELLED = auto()  # they gave up
    ACK = auto()
    HANGUP = auto()
    BYE = auto()  # theirs
    LOST = auto()  # the far side or the network is gone

    __hash__ = object.__hash__


class Ending(Enum):
    """How a session that is over must be reported."""

    FAILED = auto()
    ENDED = auto()


Move = tuple[State, Ending | None]

_FAIL: Move = (State.OVER, Ending.FAILED)
_END: Move = (State.OVER, Ending.ENDED)
_UP: Move = (State.UP, None)
_UNANSWERED: dict[Input, Move] = {
    Input.RING: (State.RINGING, None),
    Input.ACCEPT: (State.ANSWERED, None),
    Input.REJECT: _FAIL,
    Input.CANCELLED: _FAIL,
    Input.BYE: _FAIL,
    Input.LOST: _FAIL,
}
_UNDECIDED: dict[Input, Move] = {
    Input.PROVISIONAL: (State.PROCEEDING, None),
    Input.SUCCESS: _UP,
    Input.REFUSAL: _FAIL,
    Input.CANCEL: (State.CANCELLING, None),
    Input.LOST: _FAIL,
}

MOVES: dict[State, dict[Input, Move]] = {
    State.CALLING: _UNDECIDED,
    State.PROCEEDING: _UNDECIDED,
    State.CANCELLING: {
        Input.PROVISIONAL: (State.CANCELLING, None),
        Input.CANCEL: (State.CANCELLING, None),
        Input.SUCCESS: _FAIL,  # answered too late: the caller of this table hangs up on it
        Input.REFUSAL: _FAIL,
        Input.LOST: _FAIL,
    },
    State.INCOMING: _UNANSWERED,
    State.RINGING: _UNANSWERED,
    State.ANSWERED: {
        Input.ACK: _UP,
        Input.CANCELLED: (State.ANSWERED, None),  # too late (§9.2)
        Input.HANGUP: _END,
        Input.BYE: _END,
        Input.LOST: _END,
    },
    State.UP: {
        Input.SUCCESS: _UP,
        Input.ACK: _UP,
        Input.HANGUP: _END,
        Input.BYE: _END,
        Input.LOST: _END,
    },
    State.OVER: dict.fromkeys(Input, (State.OVER, None)),
}

UNANSWERED_IN = frozenset({State.INCOMING, State.RINGING})
ANSWERED = frozenset({State.ANSWERED, State.UP})
UNANSWERED_OUT = frozenset({State.CALLING, State.PROCEEDING, State.CANCELLING})
