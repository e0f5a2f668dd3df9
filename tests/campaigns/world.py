"""Making lists and campaigns for tests, and the invariants that must always hold."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from campaigns import campaigns, fill
from campaigns.presets import CAP_PERIOD, Preset
from campaigns.settings import Settings
from store.database import Database
from store.models import (
    CallList,
    CallRow,
    Campaign,
    Contact,
    ContactPoint,
    Lead,
    LeadState,
    ListMember,
)
from store.types import new_id
from tests.campaigns.fakes import NOON

BROADCAST = {"message_text": "Xin chào", "purpose": "service", "hours": "00:00-24:00"}


def numbers(count: int, start: int = 0) -> list[str]:
    """Mobile numbers of Vietnam."""
    return [f"+8491{start + index:07}" for index in range(count)]


def make_list(
    db: Database, e164s: Sequence[str], *, name: str = "list", now: datetime = NOON
) -> uuid.UUID:
    """Add numbers to a list (made if need be), in bulk; known numbers keep their contact."""
    with db.write() as session:
        list_id = session.scalar(select(CallList.id).where(CallList.name == name))
        if list_id is None:
            call_list = CallList(name=name, created_at=now)
            session.add(call_list)
            session.flush()
            list_id = call_list.id
        last = session.scalar(
            select(func.max(ListMember.position)).where(ListMember.list_id == list_id)
        )
        points = _points(session, e164s, now)
        rows = [
            {"list_id": list_id, "contact_point_id": points[e164], "added_at": now, "position": at}
            for at, e164 in enumerate(e164s, (last or 0) + 1)
        ]
        if rows:
            session.execute(insert(ListMember), rows)
        return list_id


def _points(session: Session, e164s: Iterable[str], now: datetime) -> dict[str, uuid.UUID]:
    rows = session.execute(select(ContactPoint.value, ContactPoint.id))
    known = {row.value: row.id for row in rows}
    contacts: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    for e164 in e164s:
        if e164 not in known:
            contact, known[e164] = new_id(), new_id()
            contacts.append({"id": contact, "created_at": now, "updated_at": now})
            points.append(
                {"id": known[e164], "contact_id": contact, "value": e164, "created_at": now}
            )
    if contacts:
        session.execute(insert(Contact), contacts)
        session.execute(insert(ContactPoint), points)
    return known


def make_campaign(
    db: Database,
    *,
    name: str = "spring",
    list_name: str = "list",
    started: bool = True,
    now: datetime = NOON,
    preset: Preset = Preset.NONE,
    **settings: Any,
) -> uuid.UUID:
    """Make a broadcast campaign with its leads, and start it."""
    with db.write() as session:
        campaign = campaigns.create(
            session, name, mode="broadcast", list_name=list_name, trunk="carrier",
            settings=Settings.load(BROADCAST | settings), preset=preset, actor="test", now=now,
        )  # fmt: skip
    fill.make_leads(db, campaign.id, now=now)
    if started:
        with db.write() as session:
            campaigns.start(session, name, actor="test", now=now)
    return campaign.id


def leads_of(db: Database, campaign_id: uuid.UUID) -> dict[str, Lead]:
    with db.read() as session:
        found = session.scalars(
            select(Lead).where(Lead.campaign_id == campaign_id).order_by(Lead.position)
        )
        return {lead.number: lead for lead in found}


def calls(db: Database) -> Sequence[CallRow]:
    with db.read() as session:
        return session.scalars(select(CallRow).order_by(CallRow.started_at, CallRow.id)).all()


def check_invariants(db: Database, *, live: int | None = None) -> None:
    """What must hold at every instant, whatever has happened."""
    with db.read() as session:
        leads = session.scalars(select(Lead)).all()
        open_calls = Counter(
            session.scalars(
                select(CallRow.lead_id).where(
                    CallRow.ended_at.is_(None), CallRow.direction == "out"
                )
            )
        )
        states = dict(session.execute(select(Campaign.id, Campaign.state)).all())
        results = session.scalars(select(CallRow.result).where(CallRow.ended_at.is_not(None))).all()
    for lead in leads:
        is_live = lead.state == LeadState.LIVE
        assert open_calls[lead.id] == is_live, f"{lead.number}: {lead.state}, {open_calls[lead.id]}"
        assert (lead.lease_owner is not None) == is_live
        assert (lead.reason is not None) == (lead.state == LeadState.DONE)
        if states[lead.campaign_id] == "completed":
            assert lead.state == LeadState.DONE
    assert all(results)
    if live is not None:
        assert sum(open_calls.values()) == live


def check_cap(rung: Iterable[tuple[datetime, str]], cap: int) -> None:
    """No number was rung more than `cap` times in any rolling 24 hours."""
    by_number: dict[str, list[datetime]] = {}
    for at, number in rung:
        by_number.setdefault(number, []).append(at)
    for number, times in by_number.items():
        times.sort()
        for first, last in zip(times, times[cap:], strict=False):
            assert last - first >= CAP_PERIOD - timedelta(seconds=1), f"{number} rung too often"
