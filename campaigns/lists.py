"""Call lists: named, ordered numbers to call."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ScalarSelect, Select, func, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import InstrumentedAttribute, Session

from campaigns.errors import CampaignsError, ListExists, ListInUse, ListNotFound
from crm import contacts, numbers
from store.models import CallList, Campaign, CampaignState, Contact, ContactPoint, ListMember
from store.queries import insert_new

FINISHED = (CampaignState.STOPPED, CampaignState.COMPLETED)


@dataclass(frozen=True)
class ListSummary:
    """A list and what hangs on it."""

    name: str
    members: int
    campaigns: int  # campaigns that call it, finished or not
    created_at: datetime


@dataclass(frozen=True)
class Member:
    """A number in a list."""

    number: str  # E.164
    name: str
    position: int
    added_at: datetime


@dataclass
class Additions:
    """What became of the numbers somebody wanted in a list."""

    added: list[str] = field(default_factory=list)  # E.164
    already: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # text → the reason, a sentence


def create(session: Session, name: str, *, now: datetime) -> CallList:
    """Make an empty list; raise ListExists where the name is taken."""
    if not insert_new(session, CallList, name=_named(name), created_at=now):
        raise ListExists(f"There is a list “{name}” already: choose another name.")
    return get(session, name)


def get(session: Session, name: str) -> CallList:
    """Return the list of that name; raise ListNotFound."""
    found = session.scalar(select(CallList).where(CallList.name == name))
    if found is None:
        raise ListNotFound(f"There is no list “{name}”: `tongdai list show` names the lists.")
    return found


def get_or_create(session: Session, name: str, *, now: datetime) -> CallList:
    """Return the list of that name, made now if need be."""
    insert_new(session, CallList, name=_named(name), created_at=now)
    return get(session, name)


def add(
    session: Session, name: str, texts: Iterable[str], *, now: datetime, region: str = "VN"
) -> Additions:
    """Put numbers at the end of a list, in any spelling; unknown ones become contacts."""
    call_list = get(session, name)
    position = next_position(session, call_list.id)
    result = Additions()
    for text in texts:
        number = numbers.normalise(text, region)
        if isinstance(number, numbers.BadNumber):
            result.refused[text] = number.reason
            continue
        contacts.add(session, text, now=now, region=region)
        point_id = session.scalar(_point_of(number.e164))
        new = insert_new(
            session,
            ListMember,
            list_id=call_list.id,
            contact_point_id=point_id,
            position=position,
            added_at=now,
        )
        (result.added if new else result.already).append(number.e164)
        position += new
    return result


def remove(session: Session, name: str, texts: Iterable[str], *, region: str = "VN") -> int:
    """Take numbers out of a list and return how many were in it; their contacts stay.

    Raises NumberRefused for a text that is no number. Campaigns that run do
    not dial them again.
    """
    call_list = get(session, name)
    removed = 0
    for text in texts:
        point = _point_of(numbers.require(text, region).e164).scalar_subquery()
        removed += len(
            session.execute(
                sql_delete(ListMember)
                .where(ListMember.list_id == call_list.id, ListMember.contact_point_id == point)
                .returning(ListMember.position)
            ).all()
        )
    return removed


def delete(session: Session, name: str) -> None:
    """Delete a list; contacts, and the calls of finished campaigns, stay.

    Raises ListInUse while a campaign that is not finished calls it.
    """
    call_list = get(session, name)
    in_use = session.scalars(
        select(Campaign.name)
        .where(Campaign.list_id == call_list.id, Campaign.state.not_in(FINISHED))
        .order_by(Campaign.name)
    ).all()
    if in_use:
        names = ", ".join(f"“{campaign}”" for campaign in in_use)
        raise ListInUse(
            f"The list “{name}” is called by {names}: stop that first with `tongdai campaign stop`."
        )
    session.execute(update(Campaign).where(Campaign.list_id == call_list.id).values(list_id=None))
    session.execute(sql_delete(ListMember).where(ListMember.list_id == call_list.id))
    session.delete(call_list)
    session.flush()


def summaries(session: Session) -> list[ListSummary]:
    """Return every list with its counts, by name."""
    members = _count(ListMember.list_id)
    campaigns = _count(Campaign.list_id)
    rows = session.execute(
        select(CallList.name, members, campaigns, CallList.created_at).order_by(CallList.name)
    )
    return [ListSummary(*row) for row in rows]


def members(session: Session, name: str, *, limit: int = 50, offset: int = 0) -> Sequence[Member]:
    """Return a part of a list, in its order."""
    call_list = get(session, name)
    rows = session.execute(
        select(ContactPoint.value, Contact.name, ListMember.position, ListMember.added_at)
        .join(ContactPoint, ContactPoint.id == ListMember.contact_point_id)
        .join(Contact, Contact.id == ContactPoint.contact_id)
        .where(ListMember.list_id == call_list.id)
        .order_by(ListMember.position)
        .limit(limit)
        .offset(offset)
    )
    return [Member(*row) for row in rows]


def next_position(session: Session, list_id: uuid.UUID) -> int:
    """Return the place after the last one in a list, counted from 1."""
    last = session.scalar(
        select(func.max(ListMember.position)).where(ListMember.list_id == list_id)
    )
    return (last or 0) + 1


def _named(name: str) -> str:
    if not name.strip():
        raise CampaignsError("A list needs a name: give one that is not empty.")
    return name


def _point_of(e164: str) -> Select[uuid.UUID]:
    return select(ContactPoint.id).where(ContactPoint.kind == "phone", ContactPoint.value == e164)


def _count(column: InstrumentedAttribute[Any]) -> ScalarSelect[int]:
    return select(func.count()).where(column == CallList.id).correlate(CallList).scalar_subquery()
