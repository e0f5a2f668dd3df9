"""A batch of rows into the database, in the caller's transaction: all of it or nothing.

What a row becomes depends on what is known of its numbers. Any of them recognises the contact;
the first one is the one that goes into the list.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from campaigns import lists
from campaigns.importer_rows import Row
from crm.contacts import fill_in
from store import bulk
from store.models import CallList, Contact, ContactPoint, ListMember
from store.queries import among, chunks

Seen = dict[int, bool]  # a number's digits → whether it is in the list

# Plain tuples, because a million of them go by: the garbage collector leaves those alone.
_Place = tuple[str, str, int | None]  # of a number: contact_point, contact, position in the list
_Values = tuple[Any, ...]  # a row to insert, as store.bulk takes it

_CONTACT = ("id", "kind", "name", "name_key", "fields", "created_at", "updated_at")
_POINT = ("id", "contact_id", "kind", "value", "raw", "created_at")
_MEMBER = ("list_id", "contact_point_id", "position", "added_at")

NO_LIST = uuid.UUID(int=0)


@dataclass
class Counts:
    """What became of the good rows; each is counted in one of the first four."""

    added: int = 0  # new contacts, put in the list
    known: int = 0  # contacts that were there already, now put in the list
    already_listed: int = 0  # in this list before the import
    repeated: int = 0  # the same number again in the file
    other_numbers: int = 0  # further numbers kept with their contact, not in the list

    def add(self, other: Counts) -> None:
        """Add another batch's counts to these."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class _Plan:
    """What a batch will write."""

    at: Any  # now, as store.bulk takes it
    counts: Counts = field(default_factory=Counts)
    contacts: list[_Values] = field(default_factory=list)
    points: list[_Values] = field(default_factory=list)
    members: list[str] = field(default_factory=list)  # contact_points
    fills: dict[uuid.UUID, list[Row]] = field(default_factory=dict)  # contacts there already


class Prepared(NamedTuple):
    """What a batch of rows will become, found out without the lock that writing needs."""

    plan: _Plan
    first: int  # positions in the list from here on are of this import
    position: int  # of the batch's first new member


def prepare(
    session: Session, rows: Sequence[Row], list_name: str, first: int | None, now: datetime
) -> Prepared:
    """Decide what becomes of a batch; `first` is that of the batch before, if there was one."""
    list_id = session.scalar(select(CallList.id).where(CallList.name == list_name))
    position = lists.next_position(session, list_id) if list_id else 1
    first = position if first is None else first
    plan = _Plan(bulk.stamp(session, now))
    _fill_plan(plan, rows, _look_up(session, rows, list_id), first)
    return Prepared(plan, first, position)


def write(session: Session, batch: Prepared, list_name: str, now: datetime) -> None:
    """Write a batch; IntegrityError where one of its numbers came in since it was prepared."""
    list_id = lists.get_or_create(session, list_name, now=now).id.hex
    plan = batch.plan
    bulk.insert_rows(session, Contact, _CONTACT, plan.contacts)
    bulk.insert_rows(session, ContactPoint, _POINT, plan.points)
    members = enumerate(plan.members, batch.position)
    bulk.insert_rows(
        session,
        ListMember,
        _MEMBER,
        [(list_id, point, position, plan.at) for position, point in members],
    )
    _fill(session, plan, now)


def rehearse(session: Session, rows: Sequence[Row], list_name: str, seen: Seen) -> Counts:
    """Count what `write` would do and write nothing; `seen` carries on from batch to batch."""
    list_id = session.scalar(select(CallList.id).where(CallList.name == list_name))
    first = lists.next_position(session, list_id) if list_id else 1
    places = _look_up(session, rows, list_id)
    for number in {number for row in rows for number in row.numbers()}:
        if (listed := seen.get(int(number))) is not None:
            point, contact, position = places.get(number, ("", uuid.UUID(int=0).hex, None))
            places[number] = (point, contact, first if listed else position)
    plan = _Plan(at=None)
    _fill_plan(plan, rows, places, first)
    for _, _, _, number, _, _ in plan.points:
        seen.setdefault(int(number), False)
    seen.update({int(row.number): True for row in rows})
    return plan.counts


def _fill_plan(plan: _Plan, rows: Sequence[Row], places: dict[str, _Place], first: int) -> None:
    """Decide what becomes of each row; `places` learns the new numbers on the way."""
    ids = iter(bulk.new_ids(sum(2 + len(row.others) for row in rows)))
    for row in rows:
        contact_id = _recognise(row, places)
        created = contact_id is None
        if contact_id is None:
            contact_id = next(ids)
            plan.contacts.append(
                (contact_id, "person", row.name, row.name_key, row.fields, plan.at, plan.at)
            )
        elif row.name or row.fields != "{}":
            plan.fills.setdefault(uuid.UUID(contact_id), []).append(row)
        if row.number not in places:
            places[row.number] = (next(ids), contact_id, None)
            point_id = places[row.number][0]
            plan.points.append((point_id, contact_id, "phone", row.number, row.written, plan.at))
        for number, written in row.others:
            if number not in places:
                places[number] = (next(ids), contact_id, None)
                point_id = places[number][0]
                plan.points.append((point_id, contact_id, "phone", number, written, plan.at))
                plan.counts.other_numbers += 1
        places[row.number] = _enlist(plan, places[row.number], first, created=created)


def _recognise(row: Row, places: dict[str, _Place]) -> str | None:
    """Find the contact who has one of a row's numbers; its first number counts most."""
    if place := places.get(row.number):
        return place[1]
    return next((places[number][1] for number, _ in row.others if number in places), None)


def _enlist(plan: _Plan, place: _Place, first: int, *, created: bool) -> _Place:
    point_id, contact_id, position = place
    if position is None:
        plan.members.append(point_id)
        plan.counts.added += created
        plan.counts.known += not created
        return point_id, contact_id, first
    if position >= first:
        plan.counts.repeated += 1
    else:
        plan.counts.already_listed += 1
    return place


def _look_up(session: Session, rows: Sequence[Row], list_id: uuid.UUID | None) -> dict[str, _Place]:
    """Find the numbers that are known already."""
    # An id that no list has, rather than none: IS NULL would have SQLite scan all members.
    membership = and_(
        ListMember.contact_point_id == ContactPoint.id,
        ListMember.list_id == (list_id or NO_LIST),
    )
    query = select(
        ContactPoint.value, ContactPoint.id, ContactPoint.contact_id, ListMember.position
    ).outerjoin(ListMember, membership)
    numbers = {number for row in rows for number in row.numbers()}
    found = session.execute(
        query.where(ContactPoint.kind == "phone", among(session, ContactPoint.value, numbers))
    )
    return {
        value: (point_id.hex, contact_id.hex, position)
        for value, point_id, contact_id, position in found
    }


def _fill(session: Session, plan: _Plan, now: datetime) -> None:
    """Give contacts that were there already what they lack and the file has."""
    for part in chunks(plan.fills):
        for contact in session.scalars(select(Contact).where(Contact.id.in_(part))):
            for row in plan.fills[contact.id]:
                fill_in(contact, name=row.name, fields=json.loads(row.fields), now=now)
