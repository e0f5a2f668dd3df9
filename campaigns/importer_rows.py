"""One row of a file: what will be written of it, or why nothing is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from json.encoder import encode_basestring as _json
from typing import NamedTuple

from campaigns.importer_columns import Layout
from campaigns.importer_source import Record
from crm.contacts import as_written, name_key
from crm.numbers import BadNumber, Number, Repair, normalise_all


class Row(NamedTuple):
    """A row to import: the number goes into the list, the others are kept with the contact.

    Plain values only: rows cross from the reading process to the writing one.
    """

    number: str  # E.164
    written: str | None  # how it stood in the file, where more than its spelling was mended
    others: tuple[tuple[str, str | None], ...]  # the same two of each
    name: str
    name_key: str
    fields: str  # JSON
    repairs: tuple[Repair, ...]
    flaw: str  # why a further number in the row was left out; empty: none was

    def numbers(self) -> Iterator[str]:
        """All the row's numbers, the first one first."""
        yield self.number
        for number, _ in self.others:
            yield number


class Reject(NamedTuple):
    """A row to leave out, and why."""

    code: str
    reason: str


def read_row(record: Record, layout: Layout, region: str) -> Row | Reject:
    """Read one record; its problem, or the first bad number's, is the reason of a reject."""
    cells = record.cells
    if record.problem:
        return Reject("unreadable", record.problem)
    good: list[tuple[str, Number]] = []
    bad: BadNumber | None = None
    for index in layout.phones:
        text = cells[index] if index < len(cells) else ""
        for found in normalise_all(text, region):
            if isinstance(found, Number):
                good.append((text, found))
            elif bad is None or bad.code == "empty":
                bad = found
    if not good:
        return _refused(record, layout, bad)
    text, number = good[0]
    name = _name(cells, layout)
    return Row(
        number.e164,
        as_written(text, number),
        _others(good) if len(good) > 1 else (),
        name,
        name_key(name),
        _fields(cells, layout),
        number.repairs,
        "" if bad is None or bad.code == "empty" else bad.reason,
    )


def is_blank(record: Record) -> bool:
    """Say whether a row has nothing in it."""
    return not any(cell and not cell.isspace() for cell in record.cells)


def undecodable(record: Record) -> bool:
    """Say whether a row holds bytes that are not text in the file's encoding."""
    return any("\udc80" <= char <= "\udcff" for cell in record.cells for char in cell)


def _refused(record: Record, layout: Layout, bad: BadNumber | None) -> Reject:
    if len(record.cells) <= layout.phones[0]:
        return Reject(
            "ragged",
            f"The row has {len(record.cells)} of {len(layout.header)} columns and none "
            f"“{layout.header[layout.phones[0]]}”.",
        )
    return Reject(*bad) if bad else Reject("empty", "The phone number is empty.")


def _others(good: list[tuple[str, Number]]) -> tuple[tuple[str, str | None], ...]:
    first = good[0][1].e164
    kept = {number.e164: as_written(text, number) for text, number in good}
    return tuple((e164, written) for e164, written in kept.items() if e164 != first)


def _name(cells: list[str], layout: Layout) -> str:
    parts = [cells[index] for index in layout.names if index < len(cells)]
    # NFC, because Windows-1258 and macOS write accents as characters of their own
    return unicodedata.normalize("NFC", " ".join(" ".join(parts).split()))


def _fields(cells: list[str], layout: Layout) -> str:
    """Write the other columns as a JSON object; by hand, for the sake of a million rows."""
    written = [
        f"{_json(name)}: {_json(value)}"
        for index, name in layout.custom
        if index < len(cells) and (value := cells[index].strip())
    ]
    for index in range(len(layout.header), len(cells)):
        if value := cells[index].strip():
            written.append(f"{_json(f'Column {index + 1}')}: {_json(value)}")
    return "{" + ", ".join(written) + "}"
