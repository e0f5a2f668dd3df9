"""The facts of one call, filled in as it goes: what becomes its record."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from ivr.result import Result

Side = Literal["us", "them", "network"]


LONGEST_TEXT = 200


def printable(text: str) -> str:
    """Text from the wire as it may be stored and shown: no control characters, bounded."""
    return "".join(filter(str.isprintable, text[:LONGEST_TEXT]))


@dataclass(frozen=True, slots=True)
class StoryEvent:
    """One line of a call's story: invite, ringing, answered, key, play, hangup…"""

    at: datetime
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class CallStory:
    """One call's facts; times are aware UTC, statistics are of the media we received.

    `result` is None until the call is over. An incoming call's result is `answered` or
    `no_answer`, seen from the caller.
    """

    call_id: uuid.UUID
    direction: Literal["in", "out"]
    number: str  # the customer's: E.164 where it is one
    caller_id: str = ""  # what the other side was shown; incoming: the number they dialled
    trunk: str = ""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    invited_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    result: Result | None = None
    sip_code: int | None = None
    sip_reason: str | None = None
    sip_call_id: str | None = None
    hangup_by: Side | None = None
    amd: str | None = None
    keys: str = ""
    codec: str | None = None
    packets_sent: int | None = None
    packets_received: int | None = None
    packets_lost: int | None = None
    jitter_ms: float | None = None
    mos: float | None = None
    note: str | None = None


OnStory = Callable[[StoryEvent], None]


class CallFailed(Exception):
    """An outgoing call that no one answered; `story` holds its result and why."""

    def __init__(self, story: CallStory) -> None:
        self.story = story
        super().__init__(f"{story.number}: {story.result} ({story.sip_code} {story.sip_reason})")
