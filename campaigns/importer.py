"""Importing a file of people into a call list.

The file is streamed: a batch of rows is read and mended, then written in one transaction. An
import that was interrupted is simply run again: what it wrote is recognised and left alone.
Good rows are kept whatever stands beside them; a bad row goes to the rejects file with its reason.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from campaigns import importer_batch, importer_source
from campaigns.importer_batch import Counts, Seen
from campaigns.importer_columns import Layout, find_columns
from campaigns.importer_rejects import Rejects
from campaigns.importer_rows import Reject, Row, is_blank, read_row, undecodable
from campaigns.importer_source import Reader, Record, Source
from crm.numbers import Repair
from store.database import Database

BATCH = 5000  # rows in a transaction: what other writers of a SQLite file wait for
_RACES = 3  # times a batch is tried when another program adds one of its numbers meanwhile

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
    run = _Run(db, source, layout, summary, region=region, now=now or datetime.now(UTC))
    started = time.monotonic()
    with source.open() as reader, run.rejects:
        for batch in run.batches(reader):
            run.store(batch)
            if on_progress is not None:
                on_progress(summary.rows, reader.bytes_read, source.size)
    summary.seconds = time.monotonic() - started
    return summary


class _Run:
    """One import under way."""

    def __init__(
        self,
        db: Database,
        source: Source,
        layout: Layout,
        summary: ImportSummary,
        *,
        region: str,
        now: datetime,
    ) -> None:
        self.rejects = Rejects(source.path, layout, source.delimiter)
        self.summary = summary
        self._db = db
        self._source = source
        self._layout = layout
        self._region = region
        self._now = now
        self._first: int | None = None
        self._seen: Seen = {}

    def batches(self, reader: Reader) -> Iterator[list[Row]]:
        """Read the file's good rows, a batch at a time; the others are rejected on the way."""
        batch: list[Row] = []
        header = self._layout.has_header
        for record in reader:
            if is_blank(record):
                continue
            if header:
                header = False
                continue
            self.summary.rows += 1
            row = self._read(record)
            if isinstance(row, Reject):
                self._reject(record, row)
                continue
            if row.bad is not None:
                self._note_incomplete(record, row)
            if row.repairs:
                self.summary.repairs.update(row.repairs)
            batch.append(row)
            if len(batch) == BATCH:
                yield batch
                batch = []
        yield batch

    def store(self, batch: list[Row]) -> None:
        """Write one batch, or with dry_run find out what writing it would do."""
        if not batch:
            return
        name = self.summary.list_name
        if self.summary.dry_run:
            with self._db.read() as session:
                counts = importer_batch.rehearse(session, batch, name, self._seen)
        else:
            counts, self._first = self._write(batch, name)
        self.summary.counts.add(counts)

    def _write(self, batch: list[Row], name: str) -> tuple[Counts, int]:
        for _ in range(_RACES - 1):
            try:
                with self._db.write() as session:
                    return importer_batch.write(session, batch, name, self._first, self._now)
            except IntegrityError:
                continue
        with self._db.write() as session:
            return importer_batch.write(session, batch, name, self._first, self._now)

    def _read(self, record: Record) -> Row | Reject:
        if not self._source.encoding.clean and undecodable(record):
            return Reject("encoding", f"The row is not {self._source.encoding.codec} text.")
        return read_row(record, self._layout, self._region)

    def _reject(self, record: Record, reject: Reject) -> None:
        self.summary.rejected += 1
        self.summary.reasons[reject.code] += 1
        self._write_reject(record, reject.reason)

    def _note_incomplete(self, record: Record, row: Row) -> None:
        assert row.bad is not None
        self.summary.incomplete += 1
        self._write_reject(record, f"{row.bad.reason} (Imported with {row.phone.e164}.)")

    def _write_reject(self, record: Record, reason: str) -> None:
        if not self.summary.dry_run:
            self.rejects.add(record, reason)
            self.summary.rejects_file = self.rejects.path
