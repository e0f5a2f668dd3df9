"""Leads the gate refused: moved to when they may be called, or to done, with the rule on record."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from campaigns.gate import No, outside_hours
from campaigns.presets import Law
from store.models import Lead, LeadState, Suppression

DEFERRED = 500  # leads put off together when calling hours are over


class DueLead(NamedTuple):
    """A lead whose time has come."""

    id: uuid.UUID
    contact_id: uuid.UUID
    number: str
    attempts: int
    caller_id: str | None
    next_at: datetime


_DUE = (
    select(Lead.id, Lead.contact_id, Lead.number, Lead.attempts, Lead.caller_id, Lead.next_at)
    .where(
        Lead.campaign_id == bindparam("campaign"),
        Lead.state == LeadState.WAITING,
        Lead.next_at <= bindparam("now"),
    )
    .order_by(Lead.next_at, Lead.position)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_PUT_OFF = (
    update(Lead)
    .where(Lead.id == bindparam("lead"))
    .values(
        state=bindparam("to"),
        next_at=bindparam("at"),
        reason=bindparam("why"),
        updated_at=bindparam("now"),
    )
)


def due(
    connection: Connection, campaign_id: uuid.UUID, now: datetime, *, limit: int
) -> list[DueLead]:
    """The first leads whose time has come, in order; on PostgreSQL locked for us."""
    rows = connection.execute(_DUE, {"campaign": campaign_id, "now": now, "most": limit})
    return [DueLead(*row) for row in rows]


def put_off(
    connection: Connection,
    campaign_id: uuid.UUID,
    refused: Sequence[tuple[DueLead, No]],
    now: datetime,
) -> None:
    """Move refused leads to the end of their rule, or to done where it has none.

    Because a lead is due again only then, each refusal is on record once.
    """
    connection.execute(
        insert(Suppression),
        [
            {
                "at": now, "campaign_id": campaign_id, "lead_id": lead.id, "number": lead.number,
                "rule": no.rule, "until": no.until, "detail": no.detail,
            }
            for lead, no in refused
        ],
    )  # fmt: skip
    connection.execute(
        _PUT_OFF,
        [
            {
                "lead": lead.id,
                "to": LeadState.WAITING if no.until else LeadState.DONE,
                "why": None if no.until else no.rule,
                "at": no.until or lead.next_at,
                "now": now,
            }
            for lead, no in refused
        ],
    )


def put_off_closed(connection: Connection, campaign_id: uuid.UUID, law: Law, now: datetime) -> None:
    """Put off the next due leads for whom it is too late (or too early) to call, many at a time.

    At closing time all that is left of a campaign is refused; one by one that would take a large
    list longer than the night.
    """
    leads = due(connection, campaign_id, now, limit=DEFERRED)
    refused = [(lead, no) for lead in leads if (no := outside_hours(lead.number, law, now))]
    if refused:
        put_off(connection, campaign_id, refused, now)
