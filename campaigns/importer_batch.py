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

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from campaigns import lists
from campaigns.importer_rows import Phone, Row
from crm.contacts import fill_in, name_key
from store import bulk
from store.models import CallList, Contact, ContactPoint, ListMember
from store.queries import chunks

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
    points: list[tuple[str, str, Phone]] = field(default_factory=list)  # point, contact
    members: list[str] = field(default_factory=list)  # points
    fills: dict[uuid.UUID, list[Row]] = field(default_factory=dict)  # contacts there already


def write(
    session: Session, rows: Sequence[Row], list_name: str, first: int | None, now: datetime
) -> tuple[Counts, int]:
    """Write a batch; return its counts, and where this import begins in the list.

    `first` is what the batch before returned: positions from there on are of this import.
    """
    call_list = lists.get_or_create(session, list_name, now=now)
    position = lists.next_position(session, call_list.id)
    first = position if first is None else first
    plan = _plan(rows, _look_up(session, rows, call_list.id), first)
    _insert(session, plan, call_list.id, position, now)
    _fill(session, plan, now)
    return plan.counts, first


def rehearse(session: Session, rows: Sequence[Row], list_name: str, seen: Seen) -> Counts:
    """Count what `write` would do and write nothing; `seen` carries on from batch to batch."""
    list_id = session.scalar(select(CallList.id).where(CallList.name == list_name))
    first = lists.next_position(session, list_id) if list_id else 1
    places = _look_up(session, rows, list_id)
    for phone in _phones(rows):
        listed = seen.get(int(phone.e164))
        if listed is not None:
            place = places.setdefault(phone.e164, _Place("", uuid.UUID(int=0).hex, None))
            place.position = first if listed else place.position
    plan = _plan(rows, places, first)
    for _, _, phone in plan.points:
        seen.setdefault(int(phone.e164), False)
    seen.update({int(row.phone.e164): True for row in rows})
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
        for phone in (row.phone, *row.others):
            if phone.e164 not in places:
                places[phone.e164] = _Place(next(ids), contact_id, None)
                plan.points.append((places[phone.e164].point_id, contact_id, phone))
                plan.counts.other_numbers += phone is not row.phone
        _enlist(plan, places[row.phone.e164], first, created=created)
    return plan


def _recognise(row: Row, places: dict[str, _Place]) -> str | None:
    for phone in (row.phone, *row.others):
        if place := places.get(phone.e164):
            return place.contact_id
    return None


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
    for part in chunks({phone.e164 for phone in _phones(rows)}):
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
            (contact_id, "person", row.name, name_key(row.name), row.fields, at, at)
            for contact_id, row in plan.contacts
        ],
    )
    bulk.insert_rows(
        session,
        ContactPoint,
        ("id", "contact_id", "kind", "value", "raw", "created_at"),
        [
            (point_id, contact_id, "phone", phone.e164, phone.raw, at)
            for point_id, contact_id, phone in plan.points
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


def _phones(rows: Sequence[Row]) -> list[Phone]:
    return [phone for row in rows for phone in (row.phone, *row.others)]
