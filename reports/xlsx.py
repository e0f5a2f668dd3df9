"""The call report as a workbook: dates are dates, numbers are numbers, text is never a formula."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from reports.calls import CallLine
from reports.columns import CALL_COLUMNS, Cell, Kind, cells
from reports.errors import TooManyRows
from reports.metrics import DEFINITIONS, Totals

MAX_CALLS = 1_048_576 - 2  # what a worksheet holds, less the header and the totals
MAX_TEXT = 32_767  # characters in a cell
FORMATS = {
    Kind.TEXT: "@",
    Kind.TIME: "yyyy-mm-dd hh:mm:ss",
    Kind.WHOLE: "0",
    Kind.DECIMAL: "0.0",
    Kind.FINE: "0.00",
}
# Row by row to disk, so that memory stays flat. What looks like a formula, a number or a link
# stays the text it is.
OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
    "nan_inf_to_errors": True,
}


def write_xlsx(
    lines: Iterable[CallLine], path: Path, totals: Totals, about: Mapping[str, str]
) -> None:
    """Write the workbook: the sheet Calls (frozen header, filter, totals), the sheet About.

    `totals` is what `lines` adds up to while it is read (`render.tallied`). Times are local to
    the zone named in `about`, because a spreadsheet's dates know no zone. Raises TooManyRows.
    """
    with tempfile.TemporaryDirectory(prefix="tongdai-") as scratch:
        # Put together there: a ZIP that runs out of disk complains once more when it is forgotten.
        whole = Path(scratch) / "book.xlsx"
        _write_book(lines, whole, totals, about)
        shutil.copyfile(whole, path)


def _write_book(
    lines: Iterable[CallLine], path: Path, totals: Totals, about: Mapping[str, str]
) -> None:
    with xlsxwriter.Workbook(path, {**OPTIONS, "tmpdir": str(path.parent)}) as book:
        book.set_properties({"title": "Calls", "author": "Tongdai"})
        styles = {kind: book.add_format({"num_format": code}) for kind, code in FORMATS.items()}
        styles[Kind.TIME].set_align("left")  # apart from the text at its right
        bold = book.add_format({"bold": True, "bottom": 1})
        sheet = book.add_worksheet("Calls")
        _head(sheet, styles, bold)
        rows = _body(sheet, lines, styles)
        _totals(sheet, rows, totals, book.add_format({"bold": True, "top": 1, "num_format": "0.0"}))
        _about(book.add_worksheet("About"), totals, about, bold)


def _head(sheet: Worksheet, styles: Mapping[Kind, Format], bold: Format) -> None:
    sheet.freeze_panes(1, 0)
    sheet.set_landscape()
    sheet.repeat_rows(0)
    for index, column in enumerate(CALL_COLUMNS):
        sheet.set_column(index, index, column.width, styles[column.kind])
        sheet.write_string(0, index, column.title, bold)


def _body(sheet: Worksheet, lines: Iterable[CallLine], styles: Mapping[Kind, Format]) -> int:
    rows = 0
    for rows, line in enumerate(lines, start=1):
        if rows > MAX_CALLS:
            raise TooManyRows(
                f"More than {MAX_CALLS:,} calls do not fit a worksheet: narrow the period with "
                "--from and --to, or write CSV."
            )
        for index, (column, cell) in enumerate(zip(CALL_COLUMNS, cells(line), strict=True)):
            _write(sheet, rows, index, cell, styles[column.kind])
    sheet.autofilter(0, 0, max(rows, 1), len(CALL_COLUMNS) - 1)
    return rows


def _write(sheet: Worksheet, row: int, index: int, cell: Cell, style: Format) -> None:
    if cell is None or cell == "":
        return
    if isinstance(cell, datetime):
        sheet.write_datetime(row, index, cell.replace(tzinfo=None), style)
    elif isinstance(cell, int | float):
        sheet.write_number(row, index, cell, style)
    else:
        assert isinstance(cell, str | uuid.UUID)
        sheet.write_string(row, index, str(cell)[:MAX_TEXT], style)


def _totals(sheet: Worksheet, rows: int, totals: Totals, style: Format) -> None:
    """The last row: SUBTOTAL, so that the figures follow the filter someone sets."""
    last = rows + 1
    sheet.write_string(last, 0, "Total", style)
    for index, column in enumerate(CALL_COLUMNS):
        letter = xl_col_to_name(index)
        cells_above = f"{letter}2:{letter}{max(rows, 1) + 1}"
        if column.key == "number":
            sheet.write_formula(last, index, f"=SUBTOTAL(103,{cells_above})", style, rows)
        elif column.key == "talk_seconds":
            value = round(totals.talk_seconds, 3)
            sheet.write_formula(last, index, f"=SUBTOTAL(109,{cells_above})", style, value)


def _about(sheet: Worksheet, totals: Totals, about: Mapping[str, str], bold: Format) -> None:
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 1, 100)
    row = 0
    for title, section in _sections(totals, about).items():
        sheet.write_string(row, 0, title, bold)
        for offset, (name, value) in enumerate(section.items(), start=1):
            sheet.write_string(row + offset, 0, name)
            sheet.write(row + offset, 1, value)
        row += len(section) + 2


def _sections(
    totals: Totals, about: Mapping[str, str]
) -> dict[str, Mapping[str, str] | Mapping[str, float]]:
    return {"Report": about, "Calls": _figures(totals), "Definitions": DEFINITIONS}


def _figures(totals: Totals) -> dict[str, float]:
    ratios = {
        "ASR": totals.answer_seizure_ratio,
        "NER": totals.network_effectiveness_ratio,
        "ACD": totals.average_call_duration,
        "talk seconds": totals.talk_seconds,
    }
    known = {name: round(value, 2) for name, value in ratios.items() if value is not None}
    return {"calls": totals.calls, **totals.results, **known}
