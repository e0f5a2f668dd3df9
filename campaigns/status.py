"""What a campaign has come to, from the database alone: counts, and why nothing is dialled now."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from campaigns import leads
from campaigns.campaigns import get
from store.models import CallRow, Campaign, CampaignState, Lead, LeadState, Suppression


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why no lead of a campaign is dialled at this moment."""

    rule: str  # a rule of the gate, `retry`, or the campaign's state
    until: datetime | None
    detail: str


def status(session: Session, name: str, *, now: datetime) -> dict[str, Any]:
    """The status of a campaign as JSON-ready values (times in ISO 8601, UTC).

    `name`, `mode`, `state`, `leads`, `results` and `keys` are the contract other tools rely on;
    the rest may grow. Raises CampaignNotFound.
    """
    campaign = get(session, name)
    counts = leads.count(session, campaign.id)
    blocked = why_blocked(session, campaign, now)
    return {
        "name": campaign.name,
        "mode": campaign.mode,
        "state": str(campaign.state),
        "leads": {"total": counts.total, **asdict(counts)},
        "results": _tally(session, CallRow.result, campaign.id),
        "keys": keys(session, campaign.id),
        "outcomes": _tally(session, CallRow.outcome, campaign.id),
        "suppressed": _tally(session, Suppression.rule, campaign.id),
        "trunk": campaign.trunk,
        "created_at": _iso(campaign.created_at),
        "started_at": _iso(campaign.started_at),
        "finished_at": _iso(campaign.finished_at),
        "next_due_at": _iso(leads.next_due(session, campaign.id)),
        "blocked_by": None if blocked is None else _plain(blocked),
    }


def why_blocked(session: Session, campaign: Campaign, now: datetime) -> Blocked | None:
    """Why nothing new is dialled now; None: a lead is due, or none waits."""
    if campaign.state != CampaignState.RUNNING:
        return Blocked(campaign.state, None, f"The campaign is {campaign.state}.")
    first = session.scalar(
        select(Lead)
        .where(Lead.campaign_id == campaign.id, Lead.state == LeadState.WAITING)
        .order_by(Lead.next_at, Lead.position)
        .limit(1)
    )
    if first is None or first.next_at <= now:
        return None
    # A refusal and what it did to its lead have one time.
    refusal = session.scalar(
        select(Suppression).where(
            Suppression.at == first.updated_at, Suppression.lead_id == first.id
        )
    )
    if refusal is not None:
        return Blocked(refusal.rule, refusal.until, refusal.detail)
    return Blocked("retry", first.next_at, "Every lead left waits for its next attempt.")


def keys(session: Session, campaign_id: uuid.UUID) -> dict[str, int]:
    """Count the calls in which each key was pressed (a key pressed twice counts once)."""
    pressed: dict[str, int] = {}
    for string, number in _tally(session, CallRow.keys, campaign_id).items():
        for key in set(string):
            pressed[key] = pressed.get(key, 0) + number
    return dict(sorted(pressed.items()))


def _tally(
    session: Session, column: InstrumentedAttribute[Any], campaign_id: uuid.UUID
) -> dict[str, int]:
    """Count a campaign's rows by the values of one column that has one."""
    rows = session.execute(
        select(column, func.count())
        .where(column.class_.campaign_id == campaign_id, column.is_not(None), column != "")
        .group_by(column)
        .order_by(column)
    )
    return {str(value): int(number) for value, number in rows}


def _plain(blocked: Blocked) -> dict[str, Any]:
    return {"rule": str(blocked.rule), "until": _iso(blocked.until), "detail": blocked.detail}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
