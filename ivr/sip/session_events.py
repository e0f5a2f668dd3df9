"""What a session tells its owner. Exactly one `Failed` or one `Ended` comes last, always."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ivr.sip.errors import SipError

Side = Literal["us", "them", "network"]


class SessionStateError(SipError):
    """A session was asked for something its state does not allow (a local bug)."""


class SessionOver(SipError):
    """The session ended while its far side still owed an answer."""


class RequestRefused(SipError):
    """The far side refused a request within a session; the session goes on."""

    def __init__(self, method: str, status: int, reason: str) -> None:
        super().__init__(f"{method} was refused: {status} {reason}")
        self.method = method
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Trying:
    """The next hop has the INVITE (100); it says nothing of the callee."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """A provisional response from further on: 180, 183…; `sdp` is early media."""

    status: int
    reason: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The session is up. Called out: a 2xx came; called in: our 2xx was acknowledged.

    `sdp` answers our offer. Where our INVITE had none it is their offer, and waits for
    `answer_offer`.
    """

    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The session never came up.

    `headers` of the response, their names in lower case (retry-after, warning, reason).
    `local`: the status was made here (408 silence, 503 network, 487 given up, our `reject`).
    `provisional_seen`: 0 none, 100 the next hop only, else 180 if it ever rang, or the last
    other provisional status. `redirect`: the Contacts of a 3xx. `answered_late`: the far side
    picked up while we gave up; it was hung up on at once.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    local: bool = False
    provisional_seen: int = 0
    redirect: tuple[str, ...] = ()
    answered_late: bool = False


@dataclass(frozen=True, slots=True)
class Offered:
    """They want to change the media by `method` INVITE, UPDATE or PRACK.

    Wants `answer_offer` or `reject_offer`. An empty `sdp` asks us for an offer; their answer
    comes as `Answered`.
    """

    sdp: bytes
    method: str


@dataclass(frozen=True, slots=True)
class Answered:
    """Their answer to an offer that we were asked for."""

    sdp: bytes


@dataclass(frozen=True, slots=True)
class Keyed:
    """A key pressed, told by SIP INFO."""

    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Referred:
    """They ask us to call `refer_to` (RFC 3515): `accept` or `reject`, then `notify` how it goes.

    A final status (200 and up) given to `notify` is the last one.
    """

    refer_to: str
    referred_by: str | None
    notify: Callable[[int, str], None]
    accept: Callable[[], None]
    reject: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """The session was up, or answered, and is over. `reason`: the Reason header's text, or ours."""

    by: Side
    reason: str = ""


SessionEvent = Trying | Ringing | Accepted | Failed | Offered | Answered | Keyed | Referred | Ended
