"""Reading a file into batches: in this process, or for a big file in one of its own.

A big file is read and its numbers mended on one core while another writes the batch before.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NamedTuple

from campaigns.errors import CampaignsError
from campaigns.importer_columns import Layout
from campaigns.importer_rows import Reject, Row, is_blank, read_row, undecodable
from campaigns.importer_source import Record, Source

BATCH = 20_000  # rows: half a second's writing at most, which other writers wait for
BIG = 2_000_000  # bytes: below that, starting a process takes longer than reading


class Refusal(NamedTuple):
    """A row for the rejects file."""

    record: Record
    code: str
    reason: str
    imported: bool  # the row is imported all the same: only a further number in it was refused


@dataclass
class Batch:
    """What was read at a stretch."""

    rows: list[Row] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    count: int = 0  # rows in the file, good and bad
    bytes_read: int = 0  # of the file so far


@contextmanager
def reading(source: Source, layout: Layout, region: str) -> Iterator[Iterator[Batch]]:
    """Read a file's batches, wherever that is quickest; leaving early ends the reading."""
    read = _read_elsewhere if source.size >= BIG else read_batches
    with closing(read(source, layout, region)) as batches:
        yield batches


def read_batches(source: Source, layout: Layout, region: str) -> Generator[Batch]:
    """Read a file's batches in this process."""
    skip = layout.has_header
    batch = Batch()
    with source.open() as reader:
        for record in reader:
            if is_blank(record):
                continue
            if skip:
                skip = False
                continue
            _read(batch, record, source, layout, region)
            if batch.count == BATCH:
                batch.bytes_read = reader.bytes_read
                yield batch
                batch = Batch()
        batch.bytes_read = reader.bytes_read
        yield batch


def _read(batch: Batch, record: Record, source: Source, layout: Layout, region: str) -> None:
    batch.count += 1
    if not source.encoding.clean and undecodable(record):
        reason = f"The row has bytes that are no {source.encoding.codec} text."
        batch.refusals.append(Refusal(record, "encoding", reason, imported=False))
        return
    row = read_row(record, layout, region)
    if isinstance(row, Reject):
        batch.refusals.append(Refusal(record, row.code, row.reason, imported=False))
        return
    batch.rows.append(row)
    if row.flaw:
        reason = f"{row.flaw} The row was imported with {row.number}."
        batch.refusals.append(Refusal(record, "incomplete", reason, imported=True))


def _read_elsewhere(source: Source, layout: Layout, region: str) -> Generator[Batch]:
    """Read a file's batches in a process of its own, one batch ahead of the caller."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(
        target=_send_batches, args=(there, source, layout, region), name="importer", daemon=True
    )
    child.start()
    there.close()  # the child holds the only writing end: when it dies, reading ends
    try:
        while isinstance(message := here.recv(), Batch):
            yield message
        if message is not None:
            raise message
    except (EOFError, OSError) as error:
        raise CampaignsError(
            f"The process that read {source.path} has died (exit code {child.exitcode}): "
            "run the import again; what it wrote already is recognised."
        ) from error
    finally:
        here.close()
        child.terminate()
        child.join()
        child.close()


def _send_batches(pipe: Connection, source: Source, layout: Layout, region: str) -> None:
    """Send batches, then None, or the exception that ended the reading; in the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent decides, and ends us
    try:
        for batch in read_batches(source, layout, region):
            pipe.send(batch)
        pipe.send(None)
    except CampaignsError as error:
        pipe.send(error)
