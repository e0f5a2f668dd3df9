"""One row of a file: what will be written of it, or why nothing is."""

from __future__ import annotations

import json
import unicodedata
from typing import NamedTuple

from campaigns.importer_columns import Layout
from campaigns.importer_source import Record
from crm.contacts import as_written
from crm.numbers import BadNumber, Number, Repair, normalise_all


class Phone(NamedTuple):
    """A number to keep, and how it was written where more than its spelling was mended."""

    e164: str
    raw: str | None


class Row(NamedTuple):
    """A row to import: the first number goes into the list, all of them to the contact."""

    phone: Phone
    others: tuple[Phone, ...]
    name: str
    fields: str  # JSON
    repairs: tuple[Repair, ...]
    bad: BadNumber | None  # a further number in the row that is none


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
    (text, number), *others = good
    return Row(
        Phone(number.e164, as_written(text, number)),
        _different(number, others) if others else (),
        _name(cells, layout),
        _fields(cells, layout),
        number.repairs,
        None if bad is None or bad.code == "empty" else bad,
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


def _different(number: Number, others: list[tuple[str, Number]]) -> tuple[Phone, ...]:
    kept = {
        other.e164: Phone(other.e164, as_written(text, other))
        for text, other in others
        if other.e164 != number.e164
    }
    return tuple(kept.values())


def _name(cells: list[str], layout: Layout) -> str:
    parts = [cells[index] for index in layout.names if index < len(cells)]
    # NFC, because Windows-1258 and macOS write accents as characters of their own
    return unicodedata.normalize("NFC", " ".join(" ".join(parts).split()))


def _fields(cells: list[str], layout: Layout) -> str:
    fields = {name: cells[index].strip() for index, name in layout.custom if index < len(cells)}
    for index in range(len(layout.header), len(cells)):
        fields[f"Column {index + 1}"] = cells[index].strip()
    filled = {name: value for name, value in fields.items() if value}
    return json.dumps(filled, ensure_ascii=False) if filled else "{}"
