"""Leads: counted, looked at, and closed when their campaign is stopped."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from campaigns.gate import Rule
from store.models import Lead, LeadState, Suppression

BATCH = 5_000  # rows of one transaction: others get to write in between


@dataclass(frozen=True, slots=True)
class LeadCounts:
    """How many leads are where."""

    done: int = 0
    waiting: int = 0
    live: int = 0

    @property
    def total(self) -> int:
        """All of them: every lead is in exactly one state."""
        return self.done + self.waiting + self.live


def count(session: Session, campaign_id: uuid.UUID) -> LeadCounts:
    """Count the leads of a campaign by state."""
    rows = session.execute(
        select(Lead.state, func.count()).where(Lead.campaign_id == campaign_id).group_by(Lead.state)
    )
    return LeadCounts(**{str(state): number for state, number in rows})


def is_any(session: Session, campaign_id: uuid.UUID, *states: LeadState) -> bool:
    """Whether the campaign has a lead in one of the states; one look at an index."""
    found = select(Lead.id).where(Lead.campaign_id == campaign_id, Lead.state.in_(states)).limit(1)
    return session.scalar(found) is not None


def next_due(session: Session, campaign_id: uuid.UUID) -> datetime | None:
    """When the first waiting lead is due; None: none waits."""
    return session.scalar(
        select(Lead.next_at)
        .where(Lead.campaign_id == campaign_id, Lead.state == LeadState.WAITING)
        .order_by(Lead.next_at)
        .limit(1)
    )


def sweep(session: Session, campaign_id: uuid.UUID, *, now: datetime) -> int:
    """Close up to BATCH waiting leads of a stopped campaign, each with its reason on record."""
    waiting = (
        select(Lead.id, Lead.number)
        .where(Lead.campaign_id == campaign_id, Lead.state == LeadState.WAITING)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    found = session.execute(waiting).all()
    if not found:
        return 0
    session.execute(
        insert(Suppression),
        [
            {
                "at": now, "campaign_id": campaign_id, "lead_id": lead_id, "number": number,
                "rule": Rule.STOPPED, "until": None, "detail": "The campaign was stopped.",
            }
            for lead_id, number in found
        ],
    )  # fmt: skip
    close(session, [lead_id for lead_id, _ in found], reason=Rule.STOPPED, now=now)
    return len(found)


_CLOSE = (
    update(Lead.__table__)  # type: ignore[arg-type]  # the table, so that many rows are one call
    .where(Lead.__table__.c.id == bindparam("lead"))
    .values(
        state=LeadState.DONE,
        reason=bindparam("why"),
        lease_owner=None,
        lease_until=None,
        updated_at=bindparam("at"),
    )
)


def close(session: Session, lead_ids: list[uuid.UUID], *, reason: str, now: datetime) -> None:
    """Mark leads done for a reason."""
    session.connection().execute(
        _CLOSE, [{"lead": lead_id, "why": reason, "at": now} for lead_id in lead_ids]
    )
