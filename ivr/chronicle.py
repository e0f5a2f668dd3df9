"""What happened in one call, noted as it happens: its story, its facts, and in the end its result.

No I/O: signalling and media tell it what they saw, and it says what that makes of the call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ivr.media.events import MediaReport
from ivr.result import SipStory, decide, decide_incoming
from ivr.sip.session_events import Failed, Ringing
from ivr.story import CallStory, OnStory, Side, StoryEvent, printable

log = logging.getLogger(__name__)

RINGING = frozenset({180, 183})
# What the far side can make us write down: beyond these a flood of keys or re-INVITEs is not told.
MOST_EVENTS = 1000  # lines of one story
MOST_KEYS = 500
ALWAYS_TOLD = frozenset({"answered", "refused", "hangup", "end"})


class Chronicle:
    """Keeps `story` (the record) and `facts` (what the result is decided from).

    Times are the wall clock's at the start plus what a steady clock (seconds) has counted since:
    a wall clock that is set back in the middle of a call makes no call end before it began.
    """

    def __init__(
        self,
        story: CallStory,
        on_event: OnStory,
        *,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.story = story
        self.facts = SipStory()
        self._on_event = on_event
        self._steady = steady
        self._wall, self._began = datetime.now(UTC), steady()
        self._key_source: str | None = None
        self._told = 0

    def now(self) -> datetime:
        """The time, never earlier than that of an earlier event of this call."""
        return self._wall + timedelta(seconds=self._steady() - self._began)

    def tell(self, kind: str, **data: Any) -> None:
        """Add a line to the story; past MOST_EVENTS only how the call ends.

        A listener that raises is logged: it must not keep a call from ending.
        """
        self._told += 1
        if self._told == MOST_EVENTS:
            log.warning(
                "call %s: it has %d events, no more are told", self.story.call_id, self._told
            )
        if self._told >= MOST_EVENTS and kind not in ALWAYS_TOLD:
            return
        try:
            self._on_event(StoryEvent(self.now(), kind, data))
        except Exception:
            log.exception("call %s: the listener of its story failed", self.story.call_id)

    def blame_ourselves(self, note: str) -> None:
        """Make the result `failed`: whatever happened to the customer was our doing."""
        self.facts = replace(self.facts, our_fault=True)
        self.note(note)

    def note(self, text: str | None) -> None:
        """Say what went wrong, in a sentence; the first one stays."""
        if text and not self.story.note:
            self.story.note = printable(text)

    def invited(self, dialled: str, sip_call_id: str) -> None:
        """Our INVITE leaves."""
        self.story.invited_at, self.story.sip_call_id = self.now(), sip_call_id
        self.tell("invite", to=dialled, trunk=self.story.trunk, attempt_call_id=sip_call_id)

    def rings(self, event: Ringing) -> None:
        """A provisional response came."""
        rang = event.status in RINGING or event.sdp is not None
        facts = self.facts
        self.facts = replace(facts, provisionals=facts.provisionals + 1, rang=facts.rang or rang)
        if rang:
            self.ringing(code=event.status, early_media=event.sdp is not None)

    def ringing(self, **data: Any) -> None:
        """It rings, at either end."""
        if self.story.ringing_at is None:
            self.story.ringing_at = self.now()
            self.tell("ringing", **data)

    def gives_up(self) -> None:
        """It has rung long enough."""
        self.facts = replace(self.facts, cancelled=True)
        self.tell("cancel")

    def accepted(self) -> None:
        """It was answered."""
        self.story.answered_at = self.now()
        self.story.sip_code, self.story.sip_reason = 200, "OK"
        self.facts = replace(self.facts, answered=True, status=200)
        self.tell("answered")

    def failed(self, event: Failed) -> Side:
        """It was never answered; returns whose doing the end was."""
        story = self.story
        story.sip_code, story.sip_reason = event.status, printable(event.reason)
        self.facts = replace(self.facts, status=event.status, local=event.local)
        self.note("answered just as it was given up" if event.answered_late else _why(event))
        self.tell("refused", code=event.status, reason=story.sip_reason, local=event.local)
        if self.facts.cancelled:
            return "us"
        return "network" if event.local else "them"

    def judged(self, verdict: str) -> None:
        """It was found out who answered."""
        self.story.amd = verdict
        self.facts = replace(self.facts, amd=verdict)

    def abandoned(self) -> None:
        """A person answered and nobody came for them within the limit."""
        self.facts = replace(self.facts, abandoned=True)

    def pressed(self, digit: str, source: str) -> bool:
        """A key; False: it was counted already.

        Some phones send each key as RFC 4733 and as INFO: the kind that came first counts.
        Nobody has more than MOST_KEYS to press in one call.
        """
        self._key_source = self._key_source or source
        if source != self._key_source or len(self.story.keys) >= MOST_KEYS:
            return False
        self.story.keys += digit
        self.tell("key", digit=digit, source=source)
        return True

    def hung_up(self, by: Side) -> None:
        """It is over."""
        self.story.hangup_by, self.story.ended_at = by, self.now()

    def conclude(self, report: MediaReport) -> CallStory:
        """Take in the media's figures and decide the result."""
        story = self.story
        story.packets_sent = report.packets_sent
        story.packets_received = report.packets_received
        story.packets_lost = report.packets_lost
        if report.packets_received:
            story.jitter_ms, story.mos = report.jitter_ms, report.mos
        judge = decide if story.direction == "out" else decide_incoming
        story.result = judge(self.facts)
        self.tell("end", result=str(story.result), by=story.hangup_by, code=story.sip_code)
        return story


def _why(event: Failed) -> str | None:
    """What the network said beside the status: where to, Reason (RFC 3326), Warning (§20.43)."""
    if event.redirect:
        return f"diverted to {event.redirect[0]}"
    said = dict(event.headers)
    return said.get("reason") or said.get("warning")
