"""The do-not-call list: numbers that must not be called, texted, or either.

A scope and not a flag: Vietnam's register takes `DK DNC` (all), `DK DNC V` (voice) and
`DK DNC S` (SMS) one by one.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from crm import numbers
from store.audit import audit
from store.models import DncEntry
from store.queries import among, insert_new

Scope = Literal["all", "voice", "sms"]
Channel = Literal["voice", "sms"]


def add(
    session: Session,
    number: str,
    *,
    now: datetime,
    source: str,
    actor: str,
    scope: Scope = "all",
    reason: str = "",
    call_id: uuid.UUID | None = None,
    region: str = "VN",
) -> bool:
    """Put a number on the list and return whether it was not there; twice is harmless.

    `source` is how it came (key, cli, import, api), `call_id` the call that is the evidence.
    Raises NumberRefused.
    """
    e164 = numbers.require(number, region).e164
    new = insert_new(
        session,
        DncEntry,
        number=e164,
        scope=scope,
        source=source,
        reason=reason,
        call_id=call_id,
        created_at=now,
    )
    if new:
        audit(
            session,
            actor=actor,
            action="dnc.add",
            subject=e164,
            now=now,
            scope=scope,
            source=source,
        )
    return new


def remove(
    session: Session,
    number: str,
    *,
    now: datetime,
    actor: str,
    scope: Scope | None = None,
    region: str = "VN",
) -> int:
    """Take a number off the list (one scope, or every one) and return how many entries went."""
    e164 = numbers.require(number, region).e164
    condition = DncEntry.number == e164
    if scope is not None:
        condition &= DncEntry.scope == scope
    gone = session.execute(sql_delete(DncEntry).where(condition).returning(DncEntry.scope)).all()
    for (removed,) in gone:
        audit(session, actor=actor, action="dnc.remove", subject=e164, now=now, scope=removed)
    return len(gone)


def check(
    session: Session, number: str, *, channel: Channel = "voice", region: str = "VN"
) -> DncEntry | None:
    """Return the entry that forbids this channel to a number, or None. Raises NumberRefused."""
    e164 = numbers.require(number, region).e164
    return session.scalar(
        select(DncEntry)
        .where(DncEntry.number == e164, forbids(channel))
        .order_by(DncEntry.created_at)
        .limit(1)
    )


def listed(session: Session, e164s: Collection[str], *, channel: Channel = "voice") -> set[str]:
    """Return those of many numbers (E.164) that must not be reached by this channel."""
    return set(
        session.scalars(
            select(DncEntry.number).where(among(session, DncEntry.number, e164s), forbids(channel))
        )
    )


def entries(session: Session, *, limit: int = 50, offset: int = 0) -> Sequence[DncEntry]:
    """Return a part of the list, newest first."""
    return session.scalars(
        select(DncEntry)
        .order_by(DncEntry.created_at.desc(), DncEntry.id.desc())
        .limit(limit)
        .offset(offset)
    ).all()


def count(session: Session) -> int:
    """Return how many entries the list has."""
    return session.scalar(select(func.count()).select_from(DncEntry)) or 0


def forbids(channel: Channel) -> ColumnElement[bool]:
    """The condition on an entry that it forbids this channel."""
    return or_(DncEntry.scope == "all", DncEntry.scope == channel)
