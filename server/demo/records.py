"""What Tongdai has on record of the demonstration's campaign, read from its database."""

from __future__ import annotations

import uuid
import wave
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.models import (
    CallList,
    CallRow,
    Campaign,
    CampaignState,
    ContactPoint,
    DncEntry,
    Lead,
    ListMember,
    Recording,
)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call as it is on record; what is not known is empty."""

    number: str
    result: str
    keys: str
    outcome: str
    hangup_by: str
    recorded: bool  # there is a sound file, with two channels


@dataclass(frozen=True, slots=True)
class LeadRecord:
    """One lead as it is on record."""

    state: str
    calls: int


@dataclass(frozen=True, slots=True)
class Records:
    """Everything that is compared. Calls are by SIP Call-ID, leads by number."""

    calls: dict[str, CallRecord]
    leads: dict[str, LeadRecord]
    asked_not_to_be_called: frozenset[str]  # with a key
    never_call: frozenset[str]  # listed before the campaign began
    attempts: int


def read(session: Session, campaign: str, recordings: Path) -> Records:
    """Read what is on record of a campaign; `recordings` is the folder of the sound files."""
    row = session.scalars(select(Campaign).where(Campaign.name == campaign)).one()
    calls = session.scalars(select(CallRow).where(CallRow.campaign_id == row.id)).all()
    recorded = _recorded(session, recordings)
    per_lead = Counter(call.lead_id for call in calls)
    leads = session.scalars(select(Lead).where(Lead.campaign_id == row.id))
    listed = session.scalars(select(DncEntry)).all()
    return Records(
        calls={
            call.sip_call_id or str(call.id): _call(call, call.id in recorded) for call in calls
        },
        leads={lead.number: LeadRecord(str(lead.state), per_lead[lead.id]) for lead in leads},
        asked_not_to_be_called=frozenset(e.number for e in listed if e.source == "key"),
        never_call=frozenset(e.number for e in listed if e.source != "key"),
        attempts=int(row.settings["attempts"]),
    )


def is_completed(session: Session, campaign: str) -> bool:
    """Whether every lead of a campaign is done."""
    found = session.scalars(select(Campaign.state).where(Campaign.name == campaign)).one()
    return found == CampaignState.COMPLETED


def numbers_of(session: Session, list_name: str) -> list[str]:
    """Return the numbers of a call list, in order."""
    return list(
        session.scalars(
            select(ContactPoint.value)
            .join(ListMember, ListMember.contact_point_id == ContactPoint.id)
            .join(CallList, CallList.id == ListMember.list_id)
            .where(CallList.name == list_name)
            .order_by(ListMember.position)
        )
    )


def _call(row: CallRow, recorded: bool) -> CallRecord:
    return CallRecord(
        number=row.number,
        result=row.result or "",
        keys=row.keys,
        outcome=row.outcome or "",
        hangup_by=row.hangup_by or "",
        recorded=recorded,
    )


def _recorded(session: Session, folder: Path) -> set[uuid.UUID]:
    """Return the calls of which there is a sound file with two channels."""
    rows = session.scalars(select(Recording).where(Recording.state == "complete"))
    return {row.call_id for row in rows if _is_stereo(folder / row.path)}


def _is_stereo(path: Path) -> bool:
    if not path.is_file():
        return False
    with wave.open(str(path), "rb") as file:
        return file.getnchannels() == 2
