"""A batch of rows into the database, in the caller's transaction: all of it or nothing.

What a row becomes depends on what is known of its numbers. Any of them recognises the contact;
the first one is the one that goes into the list.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from campaigns import lists
from campaigns.importer_rows import Row
from crm.contacts import fill_in
from store import bulk
from store.models import CallList, Contact, ContactPoint, ListMember
from store.queries import chunks

_Point = tuple[str, str, str, str | None]  # its id, its contact, the number, as it was written
Seen = dict[int, bool]  # a number's digits → whether it is in the list


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


@dataclass(slots=True)
class _Place:
    """Where a number is: its contact_point, its contact, its position in the list."""

    point_id: str
    contact_id: str
    position: int | None


@dataclass
class _Plan:
    """What a batch will write. Ids are hexadecimal, as store.bulk takes them."""

    counts: Counts = field(default_factory=Counts)
    contacts: list[tuple[str, Row]] = field(default_factory=list)
    points: list[_Point] = field(default_factory=list)
    members: list[str] = field(default_factory=list)  # points
    fills: dict[uuid.UUID, list[Row]] = field(default_factory=dict)  # contacts there already


class Prepared(NamedTuple):
    """What a batch of rows will become, found out without the lock that writing needs."""

    plan: _Plan
    first: int  # positions in the list from here on are of this import
    position: int  # of the batch's first new member


def prepare(session: Session, rows: Sequence[Row], list_name: str, first: int | None) -> Prepared:
    """Decide what becomes of a batch; `first` is that of the batch before, if there was one."""
    list_id = session.scalar(select(CallList.id).where(CallList.name == list_name))
    position = lists.next_position(session, list_id) if list_id else 1
    first = position if first is None else first
    return Prepared(_plan(rows, _look_up(session, rows, list_id), first), first, position)


def write(session: Session, batch: Prepared, list_name: str, now: datetime) -> None:
    """Write a batch; IntegrityError where one of its numbers came in since it was prepared."""
    call_list = lists.get_or_create(session, list_name, now=now)
    _insert(session, batch.plan, call_list.id, batch.position, now)
    _fill(session, batch.plan, now)


def rehearse(session: Session, rows: Sequence[Row], list_name: str, seen: Seen) -> Counts:
    """Count what `write` would do and write nothing; `seen` carries on from batch to batch."""
    list_id = session.scalar(select(CallList.id).where(CallList.name == list_name))
    first = lists.next_position(session, list_id) if list_id else 1
    places = _look_up(session, rows, list_id)
    for number in _numbers(rows):
        listed = seen.get(int(number))
        if listed is not None:
            place = places.setdefault(number, _Place("", uuid.UUID(int=0).hex, None))
            place.position = first if listed else place.position
    plan = _plan(rows, places, first)
    for _, _, number, _ in plan.points:
        seen.setdefault(int(number), False)
    seen.update({int(row.number): True for row in rows})
    return plan.counts


def _plan(rows: Sequence[Row], places: dict[str, _Place], first: int) -> _Plan:
    """Decide what becomes of each row; `places` learns the new numbers on the way."""
    plan = _Plan()
    ids = iter(bulk.new_ids(sum(2 + len(row.others) for row in rows)))
    for row in rows:
        contact_id = _recognise(row, places)
        created = contact_id is None
        if contact_id is None:
            contact_id = next(ids)
            plan.contacts.append((contact_id, row))
        elif row.name or row.fields != "{}":
            plan.fills.setdefault(uuid.UUID(contact_id), []).append(row)
        if row.number not in places:
            _keep(plan, places, (next(ids), contact_id, row.number, row.written))
        for number, written in row.others:
            if number not in places:
                _keep(plan, places, (next(ids), contact_id, number, written))
                plan.counts.other_numbers += 1
        _enlist(plan, places[row.number], first, created=created)
    return plan


def _recognise(row: Row, places: dict[str, _Place]) -> str | None:
    """Find the contact who has one of a row's numbers; its first number counts most."""
    if place := places.get(row.number):
        return place.contact_id
    known = (places[number] for number, _ in row.others if number in places)
    return next((place.contact_id for place in known), None)


def _keep(plan: _Plan, places: dict[str, _Place], point: _Point) -> None:
    point_id, contact_id, number, _ = point
    places[number] = _Place(point_id, contact_id, None)
    plan.points.append(point)


def _enlist(plan: _Plan, place: _Place, first: int, *, created: bool) -> None:
    if place.position is None:
        place.position = first
        plan.members.append(place.point_id)
        plan.counts.added += created
        plan.counts.known += not created
    elif place.position >= first:
        plan.counts.repeated += 1
    else:
        plan.counts.already_listed += 1


def _look_up(session: Session, rows: Sequence[Row], list_id: uuid.UUID | None) -> dict[str, _Place]:
    """Find the numbers that are known already."""
    membership = and_(ListMember.contact_point_id == ContactPoint.id, ListMember.list_id == list_id)
    query = select(
        ContactPoint.value, ContactPoint.id, ContactPoint.contact_id, ListMember.position
    ).outerjoin(ListMember, membership)
    places: dict[str, _Place] = {}
    for part in chunks(set(_numbers(rows))):
        found = session.execute(
            query.where(ContactPoint.kind == "phone", ContactPoint.value.in_(part))
        )
        for value, point_id, contact_id, position in found:
            places[value] = _Place(point_id.hex, contact_id.hex, position)
    return places


def _insert(
    session: Session, plan: _Plan, list_id: uuid.UUID, position: int, now: datetime
) -> None:
    at = bulk.stamp(session, now)
    bulk.insert_rows(
        session,
        Contact,
        ("id", "kind", "name", "name_key", "fields", "created_at", "updated_at"),
        [
            (contact_id, "person", row.name, row.name_key, row.fields, at, at)
            for contact_id, row in plan.contacts
        ],
    )
    bulk.insert_rows(
        session,
        ContactPoint,
        ("id", "contact_id", "kind", "value", "raw", "created_at"),
        [
            (point_id, contact_id, "phone", number, written, at)
            for point_id, contact_id, number, written in plan.points
        ],
    )
    bulk.insert_rows(
        session,
        ListMember,
        ("list_id", "contact_point_id", "position", "added_at"),
        [
            (list_id.hex, point_id, place, at)
            for place, point_id in enumerate(plan.members, position)
        ],
    )


def _fill(session: Session, plan: _Plan, now: datetime) -> None:
    """Give contacts that were there already what they lack and the file has."""
    for part in chunks(plan.fills):
        for contact in session.scalars(select(Contact).where(Contact.id.in_(part))):
            for row in plan.fills[contact.id]:
                fill_in(contact, name=row.name, fields=json.loads(row.fields), now=now)


def _numbers(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        yield row.number
        for number, _ in row.others:
            yield number
