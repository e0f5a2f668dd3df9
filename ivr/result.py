"""The result of a call, decided in one place from its SIP story (design §3).

The dialler, the reports and the metrics all read this one value; the raw SIP code is kept
beside it on the call's record.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a call ended, in the words of reports and of `campaign status`."""

    ANSWERED = "answered"  # 200, and a person (or nobody looked whether it was one)
    MACHINE = "machine"  # an answering machine or a fax
    NO_ANSWER = "no_answer"  # it rang and nobody took it
    BUSY = "busy"
    REJECTED = "rejected"  # the callee pressed decline
    INVALID_NUMBER = "invalid_number"  # no such number: never again
    UNREACHABLE = "unreachable"  # switched off, out of coverage, or silence
    CONGESTION = "congestion"  # the network would not take the call; not the customer's doing
    FORBIDDEN = "forbidden"  # the carrier refuses us: wrong password, no credit, barred
    ABANDONED = "abandoned"  # a person answered and no agent came within the limit
    FAILED = "failed"  # our own fault


@dataclass(frozen=True, slots=True)
class SipStory:
    """What the signalling of one outgoing call came to.

    `status` is the final status, or None while there was none; `local` says that we made it
    ourselves (408 for silence, 503 for a transport error). `provisionals` counts 101–199 only:
    a 100 comes from the next hop (RFC 3261 §16.7) and says nothing of the callee.
    """

    status: int | None = None
    local: bool = False
    provisionals: int = 0
    rang: bool = False  # 180, 183 or early media
    cancelled: bool = False  # we gave up ringing
    answered: bool = False
    amd: str | None = None  # verdict of ivr.media.amd, where it was asked
    abandoned: bool = False
    our_fault: bool = False


MACHINES = frozenset({"machine", "fax", "tone"})  # tone: a beep

_BY_STATUS = {
    486: Result.BUSY,
    600: Result.BUSY,
    603: Result.REJECTED,
    607: Result.REJECTED,  # RFC 8197: unwanted
    608: Result.REJECTED,  # RFC 8688: rejected by an analytics engine
    404: Result.INVALID_NUMBER,
    410: Result.INVALID_NUMBER,
    484: Result.INVALID_NUMBER,
    604: Result.INVALID_NUMBER,
    401: Result.FORBIDDEN,
    402: Result.FORBIDDEN,  # carriers say so when credit has run out
    403: Result.FORBIDDEN,
    407: Result.FORBIDDEN,
    430: Result.UNREACHABLE,
    483: Result.UNREACHABLE,
}
# Ends that mean "nobody took it" once it has rung, and "nobody there" when it has not.
_UNANSWERED = frozenset({408, 480, 487})


def decide(story: SipStory) -> Result:
    """The result of an outgoing call. Total: every story has exactly one result."""
    if story.our_fault:
        return Result.FAILED
    if story.answered:
        return _answered(story)
    if story.cancelled or story.status is None or story.status in _UNANSWERED:
        return Result.NO_ANSWER if story.rang else Result.UNREACHABLE
    if story.status in _BY_STATUS:
        return _BY_STATUS[story.status]
    return _by_class(story)


def decide_incoming(story: SipStory) -> Result:
    """The result of an incoming call, seen from the caller: they got through, or did not."""
    if story.our_fault:
        return Result.FAILED
    return _answered(story) if story.answered else Result.NO_ANSWER


def _answered(story: SipStory) -> Result:
    if story.amd in MACHINES:
        return Result.MACHINE
    return Result.ABANDONED if story.abandoned else Result.ANSWERED


def _by_class(story: SipStory) -> Result:
    """Statuses with no row of their own: by hundred, and by how far the call had come."""
    status = story.status or 0
    if status in {500, 503} and not story.provisionals:
        return Result.CONGESTION  # refused at the door: the callee was never disturbed
    if 500 <= status < 600 or 300 <= status < 400:
        return Result.UNREACHABLE  # 3xx: diverted to where the trunk would not take us
    if status >= 600:
        return Result.REJECTED
    return Result.FAILED  # 400, 415, 420, 488…: our request was at fault
