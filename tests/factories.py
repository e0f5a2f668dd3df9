"""Rows for tests: each takes what a test is about and makes up the rest."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from store.models import CallList, CallRow, Campaign, Contact, ContactPoint

NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)  # 12:00 in Vietnam


def make_contact(session: Session, number: str, name: str = "") -> Contact:
    """A contact with one phone."""
    contact = Contact(name=name, name_key=name.lower(), created_at=NOON, updated_at=NOON)
    session.add(contact)
    session.flush()
    session.add(ContactPoint(contact_id=contact.id, value=number, created_at=NOON))
    session.flush()
    return contact


def make_campaign(session: Session, name: str = "tet") -> Campaign:
    """A draft campaign with a list of its own."""
    members = CallList(name=f"list of {name}", created_at=NOON)
    session.add(members)
    session.flush()
    campaign = Campaign(
        name=name, mode="broadcast", list_id=members.id, trunk="carrier", created_at=NOON
    )
    session.add(campaign)
    session.flush()
    return campaign


def make_call(
    session: Session, number: str = "+84912345678", *, at: datetime = NOON, **facts: Any
) -> uuid.UUID:
    """A call that was answered after 3 s of ringing and lasted 12.5 s, unless told otherwise."""
    answered = {
        "direction": "out",
        "caller_id": "+842873000000",
        "trunk": "carrier",
        "invited_at": at + timedelta(milliseconds=20),
        "ringing_at": at + timedelta(seconds=1.02),
        "answered_at": at + timedelta(seconds=4.02),
        "ended_at": at + timedelta(seconds=16.52),
        "result": "answered",
        "sip_code": 200,
        "sip_reason": "OK",
        "hangup_by": "us",
    }
    call = CallRow(number=number, started_at=at, **{**answered, **facts})
    session.add(call)
    session.flush()
    return call.id
