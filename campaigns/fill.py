"""Leads are made from the members of a campaign's list, in bulk and inside the database."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Dialect, exists, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from campaigns.leads import BATCH
from store.database import Database
from store.models import Campaign, ContactPoint, Lead, LeadState, ListMember


class fresh_uuid(FunctionElement[uuid.UUID]):
    """A UUIDv7 made by the database itself for each row of an INSERT … SELECT.

    Its arguments are the time in milliseconds and a counter below 2**32, which stands at the head
    of the random bits (RFC 9562 §6.2, method 1): rows made together are also stored together.
    """

    inherit_cache = True
    name = "fresh_uuid"


@compiles(fresh_uuid, "sqlite")
def _fresh_uuid_sqlite(element: fresh_uuid, compiler: SQLCompiler, **kwargs: Any) -> str:
    at, counter = (compiler.process(part, **kwargs) for part in element.clauses)
    return (
        f"printf('%012x7%03x8%05x', {at}, ({counter} >> 20) & 4095, {counter} & 1048575)"
        " || lower(hex(randomblob(5)))"
    )


@compiles(fresh_uuid, "postgresql")
def _fresh_uuid_postgresql(element: fresh_uuid, compiler: SQLCompiler, **kwargs: Any) -> str:
    at, counter = (compiler.process(part, **kwargs) for part in element.clauses)
    return (
        f"(lpad(to_hex(({at})::bigint), 12, '0')"
        f" || '7' || lpad(to_hex(({counter} >> 20) & 4095), 3, '0')"
        f" || '8' || lpad(to_hex({counter} & 1048575), 5, '0')"
        " || right(gen_random_uuid()::text, 10))::uuid"
    )


def fill(session: Session, campaign: Campaign, *, after: int, now: datetime) -> tuple[int, int]:
    """Make leads of the next BATCH members of the campaign's list past position `after`.

    Returns how many were made and the position reached; no progress means the list is used up.
    A number that is a lead of the campaign already stays as it is.
    """
    upto = _batch_end(session, campaign.list_id, after)
    if upto is None:
        return 0, after
    milliseconds = int(now.timestamp() * 1000)
    members = (
        select(
            fresh_uuid(literal(milliseconds), ListMember.position),
            literal(campaign.id, ContactPoint.id.type),
            ContactPoint.contact_id,
            ContactPoint.value,
            ListMember.position,
            literal(LeadState.WAITING.value),
            literal(0),
            literal(now, Lead.next_at.type),
            literal(now, Lead.updated_at.type),
        )
        .join(ContactPoint, ContactPoint.id == ListMember.contact_point_id)
        .where(
            ListMember.list_id == campaign.list_id,
            ListMember.position > after,
            ListMember.position <= upto,
            ContactPoint.kind == "phone",
        )
        .order_by(ListMember.position)
    )
    columns = [
        Lead.id, Lead.campaign_id, Lead.contact_id, Lead.number, Lead.position,
        Lead.state, Lead.attempts, Lead.next_at, Lead.updated_at,
    ]  # fmt: skip
    dialect = session.get_bind().dialect
    made = session.execute(
        _insert_for(dialect)(Lead)
        .from_select(columns, members, include_defaults=False)
        .on_conflict_do_nothing()
        .execution_options(preserve_rowcount=True)
    )
    return int(getattr(made, "rowcount", 0)), upto


def _insert_for(dialect: Dialect) -> Any:
    """The INSERT that knows ON CONFLICT; both dialects spell it alike."""
    return sqlite.insert if dialect.name == "sqlite" else postgresql.insert


def make_leads(
    db: Database,
    campaign_id: uuid.UUID,
    *,
    now: datetime,
    after: int = -1,
    on_progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Make leads of the whole list (past position `after`), a batch a transaction.

    Returns how many were made; `on_progress` is told after each batch.
    """
    total = 0
    while True:
        with db.write() as session:
            made, reached = fill(
                session, session.get_one(Campaign, campaign_id), after=after, now=now
            )
        if reached == after:
            return total
        total, after = total + made, reached
        on_progress(total)


def _batch_end(session: Session, list_id: uuid.UUID | None, after: int) -> int | None:
    """The position of the last of the next BATCH members, or None where there are none."""
    batch = (
        select(ListMember.position)
        .where(ListMember.list_id == list_id, ListMember.position > after)
        .order_by(ListMember.position)
        .limit(BATCH)
        .subquery()
    )
    last: int | None = session.scalar(select(func.max(batch.c.position)))
    return last


def filled_upto(session: Session, campaign_id: uuid.UUID) -> int:
    """The list position up to which leads have been made; -1: none yet."""
    top = session.scalar(select(func.max(Lead.position)).where(Lead.campaign_id == campaign_id))
    return -1 if top is None else top


def has_new_members(session: Session, campaign: Campaign) -> bool:
    """Whether the list holds a number that is no lead yet; looks at all of them."""
    is_lead = exists().where(Lead.campaign_id == campaign.id, Lead.number == ContactPoint.value)
    missing = (
        select(ListMember.position)
        .join(ContactPoint, ContactPoint.id == ListMember.contact_point_id)
        .where(ListMember.list_id == campaign.list_id, ContactPoint.kind == "phone", ~is_lead)
        .limit(1)
    )
    return session.scalar(missing) is not None
