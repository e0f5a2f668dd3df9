"""Importing a file of numbers that must not be called, such as a copy of a national register."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns import importer_source
from campaigns.dnc import Scope
from campaigns.importer import Progress
from campaigns.importer_columns import find_columns
from campaigns.importer_reader import Batch, reading
from campaigns.importer_rejects import Rejects
from store import bulk
from store.audit import audit
from store.database import Database
from store.models import DncEntry
from store.queries import among

_ENTRY = ("id", "number", "scope", "source", "reason", "created_at")


@dataclass
class DncSummary:
    """What an import did. A row may hold several numbers; all of them are forbidden."""

    file: Path
    scope: Scope
    phone_columns: tuple[str, ...]
    rows: int = 0  # with anything in them, the header aside
    added: int = 0  # numbers
    already: int = 0  # numbers that were on the list, or stood in the file before
    rejected: int = 0  # rows with something in them that is no number
    rejects_file: Path | None = None
    seconds: float = 0.0


def import_file(
    db: Database,
    path: Path,
    *,
    actor: str,
    scope: Scope = "all",
    reason: str = "",
    region: str = "VN",
    mapping: Mapping[str, str] | None = None,
    on_progress: Progress | None = None,
    now: datetime | None = None,
) -> DncSummary:
    """Put every number of a CSV file (or of a plain list) on the do-not-call list.

    Bad rows go to a rejects file; the same import again is harmless. Raises ImportRefused where
    the file as a whole is no use, and whatever the database raises.
    """
    source = importer_source.inspect(path)
    layout = find_columns(path, source.sample, mapping or {}, region)
    summary = DncSummary(path, scope, layout.phone_columns)
    at = now or datetime.now(UTC)
    started = time.monotonic()
    with (
        closing(Rejects(path, layout, source.delimiter)) as rejects,
        db.bulk() as write,
        reading(source, layout, region) as batches,
    ):
        for batch in batches:
            for refusal in batch.refusals:
                rejects.add(refusal.record, refusal.reason)
                summary.rejects_file = rejects.path
            with write() as session:
                added = _forbid(session, batch, scope, reason or f"file {path.name}", at)
            _count(summary, batch, added)
            if on_progress is not None:
                on_progress(summary.rows, batch.bytes_read, source.size)
        with write() as session:
            audit(
                session,
                actor=actor,
                action="dnc.import",
                subject=str(path),
                now=at,
                scope=scope,
                added=summary.added,
                rejected=summary.rejected,
            )
    summary.seconds = time.monotonic() - started
    return summary


def _forbid(session: Session, batch: Batch, scope: Scope, reason: str, now: datetime) -> int:
    """Add a batch's numbers; return how many were new."""
    wanted = dict.fromkeys(number for row in batch.rows for number in row.numbers())
    there = session.scalars(
        select(DncEntry.number).where(
            among(session, DncEntry.number, wanted), DncEntry.scope == scope
        )
    )
    for number in there:
        del wanted[number]
    at = bulk.stamp(session, now)
    entries = [
        (entry_id, number, scope, "import", reason, at)
        for entry_id, number in zip(bulk.new_ids(len(wanted)), wanted, strict=True)
    ]
    bulk.insert_rows(session, DncEntry, _ENTRY, entries, ignore_conflicts=True)
    return len(entries)


def _count(summary: DncSummary, batch: Batch, added: int) -> None:
    summary.rows += batch.count
    summary.rejected += len(batch.refusals)
    summary.added += added
    summary.already += sum(len(row.others) + 1 for row in batch.rows) - added
