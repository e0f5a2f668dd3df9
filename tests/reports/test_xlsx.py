"""The workbook, re-opened by openpyxl: types, not texts."""

from __future__ import annotations

import gc
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from reports import xlsx
from reports.calls import CallLine
from reports.columns import CALL_COLUMNS
from reports.errors import CannotWrite, TooManyRows
from reports.files import whole_file
from reports.metrics import Totals
from reports.render import tallied
from tests.reports.lines import ANSWERED, BUSY, line

ABOUT = {"report": "calls, one row a call", "time zone": "Asia/Ho_Chi_Minh"}


def write(path: Path, *lines: CallLine) -> Any:
    totals = Totals()
    xlsx.write_xlsx(tallied(lines, totals), path, totals, ABOUT)
    return load_workbook(path)


def cells_of(book: Any, row: int) -> dict[str, Any]:
    sheet = book["Calls"]
    return {
        column.key: sheet.cell(row, index) for index, column in enumerate(CALL_COLUMNS, start=1)
    }


def test_dates_are_dates_and_numbers_are_numbers(tmp_path: Path) -> None:
    cells = cells_of(write(tmp_path / "a.xlsx", ANSWERED), 2)
    assert cells["started_at"].is_date
    # Excel's days have a resolution of some microseconds.
    assert abs(cells["started_at"].value - datetime(2026, 11, 20, 12, 0, 0, 123_456)).seconds == 0  # noqa: DTZ001 (a spreadsheet's dates know no zone)
    assert cells["started_at"].number_format == "yyyy-mm-dd hh:mm:ss"
    assert cells["talk_seconds"].value == 12.5
    assert cells["talk_seconds"].data_type == "n"
    assert cells["sip_code"].value == 200
    assert cells["attempt"].data_type == "n"


def test_phone_numbers_and_keys_are_text(tmp_path: Path) -> None:
    cells = cells_of(write(tmp_path / "a.xlsx", line(keys="0012")), 2)
    for key, value in {"number": "+84912345678", "keys": "0012"}.items():
        assert (cells[key].value, cells[key].data_type) == (value, "s")


@pytest.mark.parametrize("text", ["=1+1", "{=1}", "https://example.com/", "+1", "0912", "1e5"])
def test_no_text_becomes_a_formula_a_link_or_a_number(tmp_path: Path, text: str) -> None:
    cell = cells_of(write(tmp_path / "a.xlsx", line(contact=text)), 2)["contact"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s", None)


def test_what_is_unknown_is_empty(tmp_path: Path) -> None:
    cells = cells_of(write(tmp_path / "a.xlsx", BUSY), 2)
    assert [cells[key].value for key in ("talk_seconds", "ringing_at", "outcome", "keys")] == [
        None
    ] * 4


def test_head_filter_and_totals(tmp_path: Path) -> None:
    book = write(tmp_path / "a.xlsx", ANSWERED, BUSY)
    sheet = book["Calls"]
    assert [cell.value for cell in sheet[1]] == [column.title for column in CALL_COLUMNS]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:AE3"
    assert sheet.column_dimensions["A"].width == pytest.approx(20, abs=1)
    totals = cells_of(book, 4)
    assert totals["started_at"].value == "Total"
    assert totals["number"].value == "=SUBTOTAL(103,D2:D3)"
    assert totals["talk_seconds"].value == "=SUBTOTAL(109,R2:R3)"
    values = cells_of(load_workbook(tmp_path / "a.xlsx", data_only=True), 4)
    assert (values["number"].value, values["talk_seconds"].value) == (2, 12.5)


def test_the_second_sheet_says_what_the_first_is(tmp_path: Path) -> None:
    about = write(tmp_path / "a.xlsx", ANSWERED, BUSY)["About"]
    said = {row[0].value: row[1].value for row in about.iter_rows(max_col=2) if row[0].value}
    assert said["time zone"] == "Asia/Ho_Chi_Minh"
    assert (said["calls"], said["answered"], said["busy"]) == (2, 1, 1)
    assert said["Talk"] == "seconds from the answer to the end of the call"


def test_a_report_without_calls_is_a_workbook_too(tmp_path: Path) -> None:
    sheet = write(tmp_path / "a.xlsx")["Calls"]
    assert sheet.max_row == 2
    assert sheet["A2"].value == "Total"


def test_more_rows_than_a_sheet_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MAX_CALLS", 1)
    with pytest.raises(TooManyRows) as refused, whole_file(tmp_path / "a.xlsx") as path:
        xlsx.write_xlsx([ANSWERED, BUSY], path, Totals(), ABOUT)
    assert str(refused.value) == (
        "More than 1 calls do not fit a worksheet: narrow the period with --from and --to, or "
        "write CSV."
    )
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    wanted = tmp_path / "nowhere" / "a.xlsx"
    with pytest.raises(CannotWrite) as refused, whole_file(wanted) as path:
        xlsx.write_xlsx([ANSWERED], path, Totals(), ABOUT)
    assert str(refused.value) == (
        f"{wanted} cannot be written (No such file or directory): choose another place with "
        "--output, or make room."
    )


def test_a_full_disk_is_one_error_and_no_more(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(OSError, match="No space left"):
        xlsx.write_xlsx([ANSWERED], Path("/dev/full"), Totals(), ABOUT)
    gc.collect()  # what is forgotten must not complain either
    assert not [*recwarn]
