"""The catalogue of recordings: where each file is, and what became of it.

A recording's row is written before its first sample and finished when the call ends. A process
that dies leaves its rows in the state `recording`; `reconcile` settles them at the next start,
because the file (valid at every instant) is worth keeping.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from recordings.errors import WavError
from recordings.wav import measure
from store.models import CallRow, Campaign, Contact, Recording

CHUNK = 500  # rows fetched at a time


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One recording with the call it is of, as people list them."""

    recording: Recording
    number: str
    direction: str
    campaign: str | None
    contact: str | None


def relative_path(call_id: uuid.UUID, started_at: datetime) -> PurePosixPath:
    """Where a call is recorded, under the home's `recordings/`: YYYY/MM/DD/<call>.wav.

    The day is the one of `started_at` as given: pass it in the operator's time zone, so that
    people find a call under the date on their own calendar.
    """
    return PurePosixPath(f"{started_at:%Y/%m/%d}", f"{call_id}.wav")


def start(session: Session, call_id: uuid.UUID, path: PurePosixPath, at: datetime) -> uuid.UUID:
    """Enter a recording that is about to begin, and return its id."""
    row = Recording(call_id=call_id, path=str(path), started_at=at)
    session.add(row)
    session.flush()
    return row.id


def finish(session: Session, recording_id: uuid.UUID, *, duration_ms: int, size: int) -> None:
    """Mark a recording complete: `duration_ms` of sound in a file of `size` bytes."""
    _settle(session, recording_id, state="complete", duration_ms=duration_ms, bytes=size)


def fail(session: Session, recording_id: uuid.UUID, reason: str) -> None:
    """Mark a recording failed, with one sentence saying why. What was written is kept."""
    _settle(session, recording_id, state="failed", note=reason)


def settle(
    session: Session, recording_id: uuid.UUID, root: Path, *, note: str | None = None
) -> str:
    """Finish a recording by what is on disk under `root`, and return its new state.

    A file with sound in it is `complete` (with `note`, where something cut it short); a file
    that is missing, empty or broken is `failed`.
    """
    path = session.scalars(select(Recording.path).where(Recording.id == recording_id)).one()
    try:
        duration_ms, size = measure(root / path)
    except WavError as error:
        fail(session, recording_id, " ".join(filter(None, (str(error), note))))
        return "failed"
    _settle(session, recording_id, state="complete", duration_ms=duration_ms, bytes=size, note=note)
    return "complete"


def reconcile(session: Session, root: Path) -> int:
    """Settle what a process that died left `recording`; return how many there were.

    Call it at start, before the first call is made.
    """
    orphans = session.scalars(select(Recording.id).where(Recording.state == "recording")).all()
    for recording_id in orphans:
        settle(session, recording_id, root, note="The server stopped during this call.")
    return len(orphans)


def entries(
    session: Session, *, campaign: str | None = None, number: str | None = None, limit: int = 0
) -> Iterator[CatalogueEntry]:
    """List recordings, newest first; of one campaign or one number (E.164) where given.

    `limit` 0 means all of them; rows are fetched in chunks.
    """
    query = (
        select(Recording, CallRow.number, CallRow.direction, Campaign.name, Contact.name)
        .join(CallRow, CallRow.id == Recording.call_id)
        .outerjoin(Campaign, Campaign.id == CallRow.campaign_id)
        .outerjoin(Contact, Contact.id == CallRow.contact_id)
        .order_by(Recording.started_at.desc(), Recording.id.desc())
        .execution_options(yield_per=CHUNK)
    )
    if campaign is not None:
        query = query.where(Campaign.name == campaign)
    if number is not None:
        query = query.where(CallRow.number == number)
    if limit:
        query = query.limit(limit)
    for recording, its_number, direction, its_campaign, contact in session.execute(query):
        yield CatalogueEntry(recording, its_number, direction, its_campaign, contact or None)


def _settle(session: Session, recording_id: uuid.UUID, **values: object) -> None:
    session.execute(update(Recording).where(Recording.id == recording_id).values(**values))
