"""Contacts: one story per customer, recognised by their numbers."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from crm import numbers
from crm.errors import ContactNotFound
from store.models import CallList, Contact, ContactPoint, ListMember
from store.queries import like_pattern

PAGE = 50


class Added(NamedTuple):
    """A contact, and whether it is new."""

    contact: Contact
    created: bool


@dataclass(frozen=True)
class ContactCard:
    """What is shown of a contact."""

    id: uuid.UUID
    kind: str
    name: str
    language: str | None
    phones: tuple[str, ...]  # E.164, oldest first
    fields: dict[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Page:
    """A part of a longer list, and how long that is."""

    contacts: tuple[ContactCard, ...]
    total: int


class _Folding(dict[int, str]):
    """Folds characters for `str.translate`, each looked up in Unicode once."""

    def __missing__(self, code: int) -> str:
        # Folded between two decompositions: a script A is an A first, and only then an a.
        folded = unicodedata.normalize("NFKD", chr(code)).casefold()
        decomposed = unicodedata.normalize("NFKD", folded)
        kept = (char for char in decomposed if not unicodedata.combining(char))
        self[code] = "".join(char if char.isalnum() else " " for char in kept)
        return self[code]


_FOLDING = _Folding(
    {ord("đ"): "d", ord("Đ"): "d"}
)  # a letter of its own in Unicode, a d with a bar to people


def name_key(name: str) -> str:
    """Fold a name for searching: lower case, no accents, single spaces ("Đỗ  Ánh" → "do anh")."""
    return " ".join(name.translate(_FOLDING).split())


def add(
    session: Session,
    phone: str,
    *,
    now: datetime,
    name: str = "",
    kind: str = "person",
    language: str | None = None,
    fields: Mapping[str, Any] | None = None,
    region: str = "VN",
) -> Added:
    """Add a person or company by phone; a number that is known gives its contact.

    Of a known contact only what is empty is filled in; nothing is overwritten. Raises
    NumberRefused where `phone` is no number.
    """
    number = numbers.require(phone, region)
    if contact := by_number(session, number.e164):
        fill_in(contact, name=name, language=language, fields=fields or {}, now=now)
        return Added(contact, created=False)
    contact = Contact(
        kind=kind,
        name=name,
        name_key=name_key(name),
        language=language,
        fields=dict(fields or {}),
        created_at=now,
        updated_at=now,
    )
    session.add(contact)
    session.flush()
    session.add(
        ContactPoint(
            contact_id=contact.id, value=number.e164, raw=as_written(phone, number), created_at=now
        )
    )
    session.flush()
    return Added(contact, created=True)


def fill_in(
    contact: Contact,
    *,
    now: datetime,
    name: str = "",
    language: str | None = None,
    fields: Mapping[str, Any],
) -> None:
    """Give a contact what it lacks; what it has stays as it is."""
    if name and not contact.name:
        contact.name, contact.name_key = name, name_key(name)
        contact.updated_at = now
    if language and not contact.language:
        contact.language = language
        contact.updated_at = now
    if new := {
        key: value for key, value in fields.items() if value and not contact.fields.get(key)
    }:
        contact.fields = {**contact.fields, **new}
        contact.updated_at = now


def as_written(text: str, number: numbers.Number) -> str | None:
    """Return the text to keep beside a number: only where more than its spelling was mended."""
    return text.strip() if number.repairs or number.extension else None


def by_number(session: Session, e164: str) -> Contact | None:
    """Find the contact who has a number, E.164."""
    return session.scalar(
        select(Contact)
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .where(ContactPoint.kind == "phone", ContactPoint.value == e164)
    )


def search(
    session: Session, text: str = "", *, region: str = "VN", limit: int = PAGE, offset: int = 0
) -> Page:
    """Find contacts by a number in any spelling, or by a part of the name without accents.

    Without text: every contact. The newest come first.
    """
    matching = _matching(text, region)
    total = session.scalar(select(func.count()).select_from(matching.subquery())) or 0
    page = matching.order_by(Contact.created_at.desc(), Contact.id.desc())
    return Page(cards(session, session.scalars(page.limit(limit).offset(offset)).all()), total)


def show(session: Session, text: str, *, region: str = "VN") -> ContactCard:
    """Return the one contact with this id or number; raise ContactNotFound where none has it."""
    number = numbers.normalise(text, region)
    if isinstance(number, numbers.Number):
        contact = by_number(session, number.e164)
    else:
        contact = session.get(Contact, uuid.UUID(text)) if _is_id(text) else None
    if contact is None:
        raise ContactNotFound(
            f"No contact has the number or id “{text}”: `tongdai contact list` shows them all."
        )
    return cards(session, [contact])[0]


def lists_of(session: Session, contact_id: uuid.UUID) -> list[str]:
    """Return the names of the call lists a contact is in."""
    return list(
        session.scalars(
            select(CallList.name)
            .join(ListMember, ListMember.list_id == CallList.id)
            .join(ContactPoint, ContactPoint.id == ListMember.contact_point_id)
            .where(ContactPoint.contact_id == contact_id)
            .distinct()
            .order_by(CallList.name)
        )
    )


def cards(session: Session, contacts: Iterable[Contact]) -> tuple[ContactCard, ...]:
    """Put contacts and their numbers together, in the order given."""
    found: Sequence[Contact] = list(contacts)
    phones: dict[uuid.UUID, list[str]] = {contact.id: [] for contact in found}
    points = session.execute(
        select(ContactPoint.contact_id, ContactPoint.value)
        .where(ContactPoint.kind == "phone", ContactPoint.contact_id.in_(phones))
        .order_by(ContactPoint.created_at, ContactPoint.id)
    )
    for contact_id, value in points:
        phones[contact_id].append(value)
    return tuple(
        ContactCard(
            id=contact.id,
            kind=contact.kind,
            name=contact.name,
            language=contact.language,
            phones=tuple(phones[contact.id]),
            fields=contact.fields,
            created_at=contact.created_at,
            updated_at=contact.updated_at,
        )
        for contact in found
    )


def _matching(text: str, region: str) -> Select[Contact]:
    if not text.strip():
        return select(Contact)
    number = numbers.normalise(text, region)
    if isinstance(number, numbers.Number):
        return (
            select(Contact)
            .join(ContactPoint, ContactPoint.contact_id == Contact.id)
            .where(ContactPoint.kind == "phone", ContactPoint.value == number.e164)
        )
    return select(Contact).where(Contact.name_key.like(like_pattern(name_key(text)), escape="\\"))


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
