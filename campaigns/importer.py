"""Importing a file of people into a call list.

The file is streamed: a batch of rows is read and mended, then written in one transaction. An
import that was interrupted is simply run again: what it wrote is recognised and left alone.
Good rows are kept whatever stands beside them; a bad row goes to the rejects file with its reason.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from campaigns import importer_batch, importer_source
from campaigns.importer_batch import Counts, Seen
from campaigns.importer_columns import Layout, find_columns
from campaigns.importer_reader import Batch, Refusal, reading
from campaigns.importer_rejects import Rejects
from campaigns.importer_rows import Row
from campaigns.importer_source import Source
from crm.numbers import Repair
from store.database import Database
from store.engines import OpenSession

_TRIES = 5  # times a batch is tried when another program adds one of its numbers meanwhile

Progress = Callable[[int, int, int], None]  # rows done, bytes done, bytes in all


@dataclass
class ImportSummary:
    """What an import did, or with `dry_run` would do.

    rows = added + known + already_listed + repeated + rejected.
    """

    file: Path
    list_name: str
    dry_run: bool
    encoding: str
    delimiter: str
    phone_columns: tuple[str, ...]
    name_columns: tuple[str, ...]
    rows: int = 0  # with anything in them, the header aside
    counts: Counts = field(default_factory=Counts)
    rejected: int = 0
    incomplete: int = 0  # imported, but a further number in the row was refused
    reasons: Counter[str] = field(default_factory=Counter)  # crm.numbers' codes → rejected rows
    repairs: Counter[Repair] = field(default_factory=Counter)
    rejects_file: Path | None = None  # none where nothing was refused
    seconds: float = 0.0


def import_file(
    db: Database,
    path: Path,
    list_name: str,
    *,
    region: str = "VN",
    mapping: Mapping[str, str] | None = None,
    dry_run: bool = False,
    on_progress: Progress | None = None,
    now: datetime | None = None,
) -> ImportSummary:
    """Import a CSV file into a list, which is made if need be.

    `mapping` names the columns of `phone` and `name` where their headers do not tell. With
    `dry_run` nothing is written, not even rejects, and the summary says what would have been.
    Raises ImportRefused where the file as a whole is no use, and whatever the database raises;
    the batches before that stay.
    """
    source = importer_source.inspect(path)
    layout = find_columns(path, source.sample, mapping or {}, region)
    summary = ImportSummary(
        file=path,
        list_name=list_name,
        dry_run=dry_run,
        encoding=source.encoding.codec,
        delimiter=source.delimiter,
        phone_columns=layout.phone_columns,
        name_columns=layout.name_columns,
    )
    run = _Run(db, source, layout, summary, now or datetime.now(UTC))
    started = time.monotonic()
    with (
        closing(run.rejects),
        db.bulk() as write,
        reading(source, layout, region) as batches,
    ):
        for batch in batches:
            run.take(batch, write)
            if on_progress is not None:
                on_progress(summary.rows, batch.bytes_read, source.size)
    summary.seconds = time.monotonic() - started
    return summary


class _Run:
    """One import under way."""

    def __init__(
        self, db: Database, source: Source, layout: Layout, summary: ImportSummary, now: datetime
    ) -> None:
        self.rejects = Rejects(source.path, layout, source.delimiter)
        self._db = db
        self._summary = summary
        self._now = now
        self._first: int | None = None
        self._seen: Seen = {}

    def take(self, batch: Batch, write: OpenSession) -> None:
        """Store a batch's good rows, write out its bad ones, and count both."""
        summary = self._summary
        summary.rows += batch.count
        for refusal in batch.refusals:
            self._refuse(refusal)
        for row in batch.rows:
            if row.repairs:
                summary.repairs.update(row.repairs)
        if batch.rows and summary.dry_run:
            summary.counts.add(self._rehearse(batch.rows))
        elif batch.rows:
            summary.counts.add(self._write(batch.rows, write))

    def _refuse(self, refusal: Refusal) -> None:
        summary = self._summary
        if refusal.imported:
            summary.incomplete += 1
        else:
            summary.rejected += 1
            summary.reasons[refusal.code] += 1
        if not summary.dry_run:
            self.rejects.add(refusal.record, refusal.reason)
            summary.rejects_file = self.rejects.path

    def _rehearse(self, rows: list[Row]) -> Counts:
        with self._db.read() as session:
            return importer_batch.rehearse(session, rows, self._summary.list_name, self._seen)

    def _write(self, rows: list[Row], write: OpenSession) -> Counts:
        """Plan while others may write, then write; plan again where they raced us."""
        name = self._summary.list_name
        for attempt in range(1, _TRIES + 1):
            with self._db.read() as session:
                prepared = importer_batch.prepare(session, rows, name, self._first, self._now)
            try:
                with write() as session:
                    importer_batch.write(session, prepared, name, self._now)
            except IntegrityError:
                if attempt == _TRIES:
                    raise
            else:
                self._first = prepared.first
                break
        return prepared.plan.counts
