"""Settling a call: its facts, its story and its lead's next state, in one transaction.

Settling twice does no harm, so a result whose commit was lost on the way can be stored again.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from campaigns import dnc, retry
from campaigns.claim import Claim
from campaigns.gate import Rule
from campaigns.settings import DO_NOT_CALL, Settings
from ivr.result import Result
from ivr.story import CallStory, StoryEvent
from store.models import CallEvent, CallRow, Campaign, CampaignState, Lead, LeadState, Suppression

# The note of a call whose end nobody saw. A true story that arrives later replaces it.
LOST = "The server stopped while this call was being made: nobody knows whether it rang."

_FACTS = (
    "invited_at", "ringing_at", "answered_at", "sip_code", "sip_reason", "sip_call_id",
    "hangup_by", "amd", "keys", "codec", "packets_sent", "packets_received", "packets_lost",
    "jitter_ms", "mos", "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the lead."""

    state: LeadState
    next_at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class EndedCall:
    """The part of a call that decides its lead's fate."""

    campaign_id: uuid.UUID
    lead_id: uuid.UUID
    attempt: int  # as claimed: this call included
    result: Result
    invited: bool  # its INVITE left, or may have


_COMPLETE = update(CallRow).where(
    CallRow.id == bindparam("call"), or_(CallRow.ended_at.is_(None), CallRow.note == LOST)
)
_TELL = insert(CallEvent)
_CAMPAIGN = (
    select(Campaign.state).where(Campaign.id == bindparam("campaign")).with_for_update(read=True)
)
_LEAD = (
    select(Lead.number, Lead.state, Lead.attempts, Lead.lease_owner)
    .where(Lead.id == bindparam("lead"))
    .with_for_update()
)
_CALLS = select(func.count()).select_from(CallRow).where(CallRow.lead_id == bindparam("lead"))
_MOVE = (
    update(Lead)
    .where(Lead.id == bindparam("lead"))
    .values(
        state=bindparam("to"),
        attempts=bindparam("counted"),
        next_at=bindparam("at"),
        result=bindparam("ended"),
        reason=bindparam("why"),
        lease_owner=None,
        lease_until=None,
        updated_at=bindparam("now"),
    )
)


def settle(
    session: Session,
    call: Claim,
    story: CallStory,
    events: Sequence[StoryEvent],
    *,
    settings: Settings,
    owner: str,
    now: datetime,
) -> Settled | None:
    """Store how a claimed call ended. None: it was stored before, or its lead is another's now.

    A key that means `do_not_call` puts the number on the do-not-call list in the same
    transaction, so that it is there before anything else is dialled.
    """
    connection = session.connection()
    outcome = settings.outcome(story.keys)
    state = CampaignState(
        connection.execute(_CAMPAIGN, {"campaign": call.campaign_id}).scalar_one()
    )
    if not _store_facts(connection, call, story, outcome, now):
        return None
    if events:
        connection.execute(
            _TELL,
            [
                {"call_id": call.call_id, "at": event.at, "kind": event.kind, "data": event.data}
                for event in events
            ],
        )
    if outcome == DO_NOT_CALL:
        never_again(session, call, story.keys, now)
    lead = connection.execute(_LEAD, {"lead": call.lead_id}).one()
    if lead.attempts != call.attempt or lead.lease_owner not in {None, owner}:
        return None  # our lease had run out and another has called it since
    ended = EndedCall(
        call.campaign_id,
        call.lead_id,
        call.attempt,
        story.result or Result.FAILED,
        story.invited_at is not None,
    )
    return conclude(connection, ended, state, settings, now)


def never_again(session: Session, call: Claim, pressed: str, now: datetime) -> None:
    """Put a call's number on the do-not-call list; the key pressed in the call is the evidence."""
    dnc.add(
        session,
        call.number,
        source="key",
        actor="caller",
        reason=f"pressed {pressed} in a call",
        call_id=call.call_id,
        now=now,
    )


def conclude(
    connection: Connection,
    call: EndedCall,
    state: CampaignState,
    settings: Settings,
    now: datetime,
) -> Settled:
    """Move a lead after its call: to done, or to waiting for its next attempt.

    `state` is the campaign's: of a stopped one nothing waits.
    """
    counted = call.attempt
    if not retry.is_attempt(call.result, invited=call.invited):
        counted -= 1
    decision = _decide(connection, call, counted, settings, now)
    if isinstance(decision, retry.Retry) and state is CampaignState.STOPPED:
        decision = retry.Done(Rule.STOPPED)
        _suppress_stopped(connection, call, now)
    if isinstance(decision, retry.Done):
        moved = Settled(LeadState.DONE, None, decision.reason)
    else:
        moved = Settled(LeadState.WAITING, decision.at, None)
    connection.execute(
        _MOVE,
        {
            "lead": call.lead_id, "to": moved.state, "counted": counted,
            "at": moved.next_at or now, "ended": call.result, "why": moved.reason, "now": now,
        },
    )  # fmt: skip
    return moved


def _decide(
    connection: Connection, call: EndedCall, counted: int, settings: Settings, now: datetime
) -> retry.Retry | retry.Done:
    if call.result is Result.MACHINE and settings.machine == "leave_message":
        return retry.Done(Result.MACHINE)  # it has our message
    uncounted = 0
    if counted < call.attempt:
        calls: int = connection.execute(_CALLS, {"lead": call.lead_id}).scalar_one()
        uncounted = calls - counted
    return retry.verdict(
        call.result,
        invited=call.invited,
        attempts=counted,
        uncounted=uncounted,
        limit=settings.attempts,
        delays=settings.retry,
        now=now,
    )


def _store_facts(
    connection: Connection, call: Claim, story: CallStory, outcome: str | None, now: datetime
) -> bool:
    """Complete the call's row, unless it is complete already."""
    facts = {name: getattr(story, name) for name in _FACTS}
    facts |= {
        "call": call.call_id,
        "caller_id": story.caller_id or call.caller_id,
        "trunk": story.trunk or call.trunk,
        "ended_at": story.ended_at or now,
        "result": story.result or Result.FAILED,
        "outcome": outcome,
    }
    stored = connection.execute(_COMPLETE, facts)
    return stored.rowcount == 1


def _suppress_stopped(connection: Connection, call: EndedCall, now: datetime) -> None:
    number = connection.execute(_LEAD, {"lead": call.lead_id}).one().number
    connection.execute(
        insert(Suppression),
        {
            "at": now, "campaign_id": call.campaign_id, "lead_id": call.lead_id, "number": number,
            "rule": Rule.STOPPED, "until": None, "detail": "The campaign was stopped.",
        },
    )  # fmt: skip
