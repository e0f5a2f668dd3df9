"""The call report as CSV, JSON and a table for the terminal."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO

from reports.calls import CallLine
from reports.columns import CALL_COLUMNS, Column, Kind, cells
from reports.metrics import Totals

BRIEF = [column for column in CALL_COLUMNS if column.brief]
PLACES = {Kind.DECIMAL: 1, Kind.FINE: 2}
# What a spreadsheet would run as a formula when it opens a CSV file (OWASP, "CSV injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PHONE = re.compile(r"\+\d+")


def tallied(lines: Iterable[CallLine], totals: Totals) -> Iterator[CallLine]:
    """Pass the lines through, adding each to `totals` on the way."""
    for line in lines:
        totals.add(
            direction=line.direction,
            result=line.result,
            invited_at=line.invited_at,
            answered_at=line.answered_at,
            talk_seconds=line.talk_seconds,
        )
        yield line


def write_csv(lines: Iterable[CallLine], stream: IO[str]) -> None:
    """Write CSV (RFC 4180, one header line, times in ISO 8601 with offset).

    Text that a spreadsheet would run as a formula gets an apostrophe in front; a phone number
    in E.164 is left alone, since other programs must be able to read it back.
    """
    writer = csv.writer(stream)
    writer.writerow([column.key for column in CALL_COLUMNS])
    for line in lines:
        writer.writerow([_csv_cell(cell) for cell in _plain(line)])


def write_json(lines: Iterable[CallLine], stream: IO[str]) -> None:
    """Write a JSON array, one call an element and a line."""
    stream.write("[")
    separator = "\n"
    for line in lines:
        stream.write(separator + json.dumps(record(line), ensure_ascii=False))
        separator = ",\n"
    stream.write("\n]\n")


def record(line: CallLine) -> dict[str, str | int | float | None]:
    """One call by the names of its columns, ready for JSON."""
    return dict(zip((column.key for column in CALL_COLUMNS), _plain(line), strict=True))


def brief(lines: Iterable[CallLine]) -> Iterator[list[str]]:
    """The cells of BRIEF, for a terminal; everything else is in the other formats."""
    for line in lines:
        yield [shown(line, column) for column in BRIEF]


def shown(line: CallLine, column: Column) -> str:
    """One cell as people read it."""
    cell = getattr(line, column.key)
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, float):
        return f"{cell:.{PLACES[column.kind]}f}"
    return str(cell)


def summary(totals: Totals) -> str:
    """The figures under a table, in two lines: the counts by result, then the ratios."""
    counts = " · ".join(f"{name} {number}" for name, number in totals.results.most_common())
    ratios = [
        _figure("ASR", totals.answer_seizure_ratio, "%"),
        _figure("NER", totals.network_effectiveness_ratio, "%"),
        _figure("ACD", totals.average_call_duration, "s"),
        f"talk {totals.talk_seconds:.1f} s",
    ]
    calls = "1 call" if totals.calls == 1 else f"{totals.calls} calls"
    return f"{calls}: {counts}\n" + " · ".join(filter(None, ratios)) if totals.calls else calls


def _figure(name: str, value: float | None, unit: str) -> str:
    return "" if value is None else f"{name} {value:.1f} {unit}"


def _plain(line: CallLine) -> Iterator[str | int | float | None]:
    """The cells as text and numbers: what CSV and JSON hold."""
    for cell in cells(line):
        if cell is None or isinstance(cell, int | str):
            yield cell
        elif isinstance(cell, float):
            yield round(cell, 3)
        elif isinstance(cell, datetime):
            yield cell.isoformat(timespec="milliseconds")
        else:
            yield str(cell)


def _csv_cell(cell: str | int | float | None) -> str | int | float | None:
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _PHONE.fullmatch(cell):
        return f"'{cell}"
    return cell
