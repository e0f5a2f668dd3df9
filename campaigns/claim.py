"""Claiming a lead: the one transaction after which, and never before, an INVITE may leave.

In it the first due lead is taken, the gate is asked with the facts of that moment, the call's
row is written and the lead marked live under a lease. What the gate refuses is put on record as a
suppression and moved out of the way, in the same transaction.

SQLite serialises writers. On PostgreSQL rows are taken with SKIP LOCKED, and an advisory lock on
the number keeps two nodes from calling one person in two campaigns at the same instant.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, insert, select, text, update
from sqlalchemy.orm import Session

from campaigns import dnc
from campaigns.gate import Intended, No, PastCall, Rule, allowed
from campaigns.presets import CAP_PERIOD, Law
from campaigns.refuse import DueLead, due, put_off, put_off_closed
from ivr.trunk import pick_caller_id
from store.models import (
    CallRow,
    Campaign,
    CampaignState,
    ContactPoint,
    DncEntry,
    Lead,
    LeadState,
    ListMember,
)
from store.types import new_id

REFUSALS = 50  # leads the gate may refuse in one transaction, before others get their turn


@dataclass(frozen=True, slots=True)
class Claim:
    """A lead that is ours to call, and the call that is on record for it."""

    call_id: uuid.UUID
    lead_id: uuid.UUID
    campaign_id: uuid.UUID
    contact_id: uuid.UUID
    number: str
    attempt: int
    caller_id: str
    trunk: str
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class NothingDue:
    """No lead may be called now. `next_at`: when the first that waits is due; None: none waits."""

    next_at: datetime | None

    def more(self, now: datetime) -> bool:
        """Whether leads are still due: the look was cut short, so that others get their turn."""
        return self.next_at is not None and self.next_at <= now


@dataclass(frozen=True, slots=True)
class NotRunning:
    """The campaign is not running any more."""

    state: CampaignState


@dataclass(frozen=True, slots=True)
class Claiming:
    """Whose leads are claimed, by whom and under which rules."""

    campaign_id: uuid.UUID
    owner: str
    trunk: str
    law: Law
    lease: timedelta
    caller_ids: tuple[str, ...] = ()


_CAMPAIGN = (
    select(Campaign.state, Campaign.list_id)
    .where(Campaign.id == bindparam("campaign"))
    .with_for_update(read=True)  # pause and stop wait for us, so that none is claimed after them
)
_NEXT_DUE = (
    select(Lead.next_at)
    .where(Lead.campaign_id == bindparam("campaign"), Lead.state == LeadState.WAITING.value)
    .order_by(Lead.next_at)
    .limit(1)
)
_DNC = select(DncEntry.id).where(DncEntry.number == bindparam("number"), dnc.forbids("voice"))
_LISTED = (
    select(ListMember.position)
    .join(ContactPoint, ContactPoint.id == ListMember.contact_point_id)
    .where(
        ContactPoint.kind == "phone",
        ContactPoint.value == bindparam("number"),
        ListMember.list_id == bindparam("list"),
    )
)
_PAST = select(
    CallRow.started_at,
    CallRow.result,
    CallRow.direction,
    CallRow.invited_at,
    CallRow.ringing_at,
    CallRow.answered_at,
    CallRow.ended_at,
).where(CallRow.number == bindparam("number"), CallRow.started_at > bindparam("since"))
_LOCK_NUMBER = text("select pg_advisory_xact_lock(hashtextextended(:number, 0))")
_RECORD = insert(CallRow)
_TAKE = (
    update(Lead)
    .where(Lead.id == bindparam("lead"))
    .values(
        state=LeadState.LIVE.value,
        attempts=Lead.attempts + 1,
        caller_id=bindparam("caller"),
        lease_owner=bindparam("holder"),
        lease_until=bindparam("until"),
        updated_at=bindparam("now"),
    )
)


def claim(session: Session, what: Claiming, now: datetime) -> Claim | NothingDue | NotRunning:
    """Claim the first due lead that the gate lets pass.

    When this has committed, the call is on record and its INVITE may leave.
    """
    connection = session.connection()
    campaign = connection.execute(_CAMPAIGN, {"campaign": what.campaign_id}).one()
    if campaign.state != CampaignState.RUNNING:
        return NotRunning(CampaignState(campaign.state))
    for _ in range(REFUSALS):
        leads = due(connection, what.campaign_id, now, limit=1)
        if not leads:
            break
        answer = allowed(_intended(connection, what, leads[0], campaign.list_id, now), now)
        if not isinstance(answer, No):
            return _take(connection, what, leads[0], now)
        put_off(connection, what.campaign_id, [(leads[0], answer)], now)
        if answer.rule is Rule.HOURS:
            put_off_closed(connection, what.campaign_id, what.law, now)
            break
    return NothingDue(connection.scalar(_NEXT_DUE, {"campaign": what.campaign_id}))


def _intended(
    connection: Connection, what: Claiming, lead: DueLead, list_id: uuid.UUID, now: datetime
) -> Intended:
    """Gather what the gate must know of a lead's number, as it is at this moment."""
    number = lead.number
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK_NUMBER, {"number": number})
    listed = connection.execute(_LISTED, {"number": number, "list": list_id}).first()
    past = connection.execute(_PAST, {"number": number, "since": now - CAP_PERIOD})
    return Intended(
        number=number,
        law=what.law,
        listed=listed is not None,
        dnc=connection.execute(_DNC, {"number": number}).first() is not None,
        past=[
            PastCall(
                started_at=call.started_at,
                result=call.result,
                over=call.ended_at is not None,
                outgoing=call.direction == "out",
                invited=call.invited_at is not None or call.ended_at is None,
                rang=call.ringing_at is not None or call.answered_at is not None,
            )
            for call in past
        ],
    )


def _take(connection: Connection, what: Claiming, lead: DueLead, now: datetime) -> Claim:
    taken = Claim(
        call_id=new_id(),
        lead_id=lead.id,
        campaign_id=what.campaign_id,
        contact_id=lead.contact_id,
        number=lead.number,
        attempt=lead.attempts + 1,
        caller_id=_caller_id(what.caller_ids, lead),
        trunk=what.trunk,
        claimed_at=now,
    )
    connection.execute(
        _TAKE,
        {
            "lead": lead.id, "caller": taken.caller_id or None, "holder": what.owner,
            "until": now + what.lease, "now": now,
        },
    )  # fmt: skip
    connection.execute(
        _RECORD,
        {
            "id": taken.call_id, "direction": "out", "campaign_id": taken.campaign_id,
            "lead_id": lead.id, "contact_id": lead.contact_id, "attempt": taken.attempt,
            "number": lead.number, "caller_id": taken.caller_id, "trunk": what.trunk,
            "owner": what.owner, "started_at": now,
        },
    )  # fmt: skip
    return taken


def _caller_id(pool: tuple[str, ...], lead: DueLead) -> str:
    """The number shown: the one this lead has seen before, while it is still in the pool."""
    if lead.caller_id is not None and lead.caller_id in pool:
        return lead.caller_id
    return pick_caller_id(pool, lead.id.hex)
