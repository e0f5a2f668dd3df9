"""Importing files into lists: what is written, counted, rejected, and left alone."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from campaigns import importer_batch, importer_reader, lists
from campaigns.errors import CampaignsError, ImportRefused
from campaigns.importer import ImportSummary, import_file
from campaigns.importer_batch import Counts
from crm import contacts
from crm.numbers import Repair
from store.database import Database
from store.errors import DatabaseFull
from store.models import CallList, Contact, ContactPoint

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "examples" / "contacts-vn.csv"


@pytest.fixture(params=["here", "elsewhere"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in this process, or in one of its own as big files are."""
    if request.param == "elsewhere":
        monkeypatch.setattr(importer_reader, "BIG", 0)


def write(tmp_path: Path, text: str, name: str = "contacts.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def load(db: Database, path: Path, list_name: str = "March", **options: object) -> ImportSummary:
    return import_file(db, path, list_name, now=NOW, **options)  # type: ignore[arg-type]  # options of every kind


def members(db: Database, list_name: str = "March") -> list[tuple[str, str]]:
    with db.read() as session:
        return [(m.number, m.name) for m in lists.members(session, list_name, limit=1000)]


def totals(db: Database) -> tuple[int, int, int]:
    with db.read() as session:
        return tuple(
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Contact, ContactPoint, CallList)
        )  # type: ignore[return-value]  # three of them


def rejects(summary: ImportSummary, delimiter: str = ",") -> list[list[str]]:
    assert summary.rejects_file is not None
    with summary.rejects_file.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


@pytest.mark.usefixtures("reading")
def test_the_example_file(db: Database, tmp_path: Path) -> None:
    path = write(tmp_path, EXAMPLE.read_text("utf-8"))
    seen: list[tuple[int, int, int]] = []
    summary = load(db, path, on_progress=lambda *progress: seen.append(progress))
    assert (summary.rows, summary.rejected, summary.incomplete) == (66, 9, 0)
    assert summary.counts == Counts(added=54, repeated=3, other_numbers=1)
    assert (summary.phone_columns, summary.name_columns) == (("Số điện thoại",), ("Họ tên",))
    assert summary.repairs == {
        Repair.SPREADSHEET: 2,
        Repair.OLD_MOBILE: 2,
        Repair.LEADING_ZERO: 1,
        Repair.OLD_AREA_CODE: 1,
        Repair.NOTE: 1,
    }
    assert seen[-1] == (66, path.stat().st_size, path.stat().st_size)
    assert totals(db) == (54, 55, 1)
    found = members(db)
    assert len(set(found)) == 54
    assert found[0] == ("+84912000101", "Nguyễn Thị Mai")
    assert [row[-2:] for row in rejects(summary)[1:3]] == [
        [
            "“chưa có số” is not a phone number: expected a number like 0912 345 678, "
            "or one with + and its country code.",
            "35",
        ],
        ["The phone number is empty.", "37"],
    ]


def test_contacts_keep_names_fields_and_what_was_written(db: Database, tmp_path: Path) -> None:
    load(db, write(tmp_path, 'Tên,SĐT,Nhóm,Ghi chú\n"Đỗ  Ánh",912000101,cũ,"nói ""được"""\n'))
    with db.read() as session:
        card = contacts.search(session, "do anh").contacts[0]
        raw = session.scalar(select(ContactPoint.raw))
    assert card.name == "Đỗ Ánh"
    assert card.fields == {"Nhóm": "cũ", "Ghi chú": 'nói "được"'}
    assert (card.created_at, raw) == (NOW, "912000101")


def test_duplicates_are_told_apart(db: Database, tmp_path: Path) -> None:
    with db.write() as session:
        contacts.add(session, "0912000101", now=NOW)  # in the system
        lists.create(session, "March", now=NOW)
        lists.add(session, "March", ["0912000102"], now=NOW)  # in the list
    path = write(tmp_path, "SĐT\n0912000101\n0912.000.102\n0912000103\n+84912000103\n0912000101\n")
    expected = Counts(added=1, known=1, already_listed=1, repeated=2)
    assert load(db, path, dry_run=True).counts == expected
    assert load(db, path).counts == expected
    assert load(db, path).counts == Counts(already_listed=5)
    assert [number for number, _ in members(db)] == [
        "+84912000102",
        "+84912000101",
        "+84912000103",
    ]


def test_known_contacts_are_filled_in_not_overwritten(db: Database, tmp_path: Path) -> None:
    with db.write() as session:
        contacts.add(session, "0912000101", fields={"Nhóm": "cũ"}, now=NOW)
    load(db, write(tmp_path, "Tên,SĐT,Nhóm,Gói\nMai,0912000101,mới,A\nLan,0912000101,x,B\n"))
    with db.read() as session:
        card = contacts.show(session, "0912000101")
    assert (card.name, card.fields) == ("Mai", {"Nhóm": "cũ", "Gói": "A"})


def test_further_numbers_belong_to_the_same_contact(db: Database, tmp_path: Path) -> None:
    text = (
        "Tên,SĐT,Di động 2\nMai,0912000101 / 0912000102,0912000103\n,0912000102,\nLan,0912000104,\n"
    )
    summary = load(db, write(tmp_path, text))
    assert summary.counts == Counts(added=2, known=1, other_numbers=2)
    assert members(db) == [
        ("+84912000101", "Mai"),
        ("+84912000102", "Mai"),
        ("+84912000104", "Lan"),
    ]
    with db.read() as session:
        phones = contacts.show(session, "0912000103").phones
    assert set(phones) == {"+84912000101", "+84912000102", "+84912000103"}


def test_a_second_number_recognises_the_contact(db: Database, tmp_path: Path) -> None:
    with db.write() as session:
        contacts.add(session, "0912000102", name="Mai", now=NOW)
    summary = load(db, write(tmp_path, "SĐT\n0912000101; 0912000102\n"))
    assert summary.counts == Counts(known=1)
    assert members(db) == [("+84912000101", "Mai")]
    assert totals(db) == (1, 2, 1)


def test_a_row_with_one_bad_number_of_two_is_kept_and_told(db: Database, tmp_path: Path) -> None:
    summary = load(db, write(tmp_path, "Tên,SĐT\nMai,0912000101/679\n"))
    assert (summary.counts.added, summary.rejected, summary.incomplete) == (1, 0, 1)
    assert rejects(summary)[1][2].endswith("The row was imported with +84912000101.")


@pytest.mark.usefixtures("reading")
def test_a_dry_run_writes_nothing_and_counts_the_same(db: Database, tmp_path: Path) -> None:
    path = write(tmp_path, EXAMPLE.read_text("utf-8"))
    before = sorted(tmp_path.iterdir())
    rehearsed = load(db, path, dry_run=True)
    assert totals(db) == (0, 0, 0)
    assert sorted(tmp_path.iterdir()) == before
    real = load(db, path)
    for name in ("rows", "counts", "rejected", "incomplete", "reasons", "repairs"):
        assert getattr(rehearsed, name) == getattr(real, name), name


@pytest.mark.parametrize("dry_run", [False, True])
def test_batches_know_what_came_before(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    monkeypatch.setattr(importer_reader, "BATCH", 2)
    numbers = ["0912000101", "0912000102/0912000109", "0912000103", "0912000101", "0912000109"]
    summary = load(db, write(tmp_path, "\n".join(["SĐT", *numbers])), dry_run=dry_run)
    assert summary.counts == Counts(added=3, known=1, repeated=1, other_numbers=1)


def test_mended_rejects_can_be_imported(db: Database, tmp_path: Path) -> None:
    first = load(db, write(tmp_path, "Tên;SĐT;Nhóm\nMai;0912000101;a\nLan;09O2000102;b;thừa\n"))
    assert rejects(first, ";")[0] == ["Tên", "SĐT", "Nhóm", "import_reason", "import_line"]
    assert first.rejects_file is not None
    mended = first.rejects_file.read_text("utf-8-sig").replace("09O2", "0902")
    first.rejects_file.write_text(mended, "utf-8")
    second = load(db, first.rejects_file)
    assert (second.counts.added, second.rejected) == (1, 0)
    with db.read() as session:
        card = contacts.show(session, "0902000102")
    assert (card.name, card.fields) == ("Lan", {"Nhóm": "b", "Column 6": "thừa"})


def test_rejects_of_a_file_without_a_header_get_one(db: Database, tmp_path: Path) -> None:
    summary = load(db, write(tmp_path, "Mai,0912000101,x\nLan,hỏng,y\n"))
    assert rejects(summary) == [
        ["name", "phone", "Column 3", "import_reason", "import_line"],
        ["Lan", "hỏng", "y", rejects(summary)[1][3], "2"],
    ]


def test_an_earlier_rejects_file_is_never_overwritten(db: Database, tmp_path: Path) -> None:
    path = write(tmp_path, "SĐT\nhỏng\n0912000101\n")
    names = [load(db, path).rejects_file for _ in range(3)]
    assert [name.name for name in names if name] == [
        "contacts.rejects.csv",
        "contacts.rejects-2.csv",
        "contacts.rejects-3.csv",
    ]


def test_no_rejects_no_file(db: Database, tmp_path: Path) -> None:
    path = write(tmp_path, "SĐT\n0912000101\n")
    assert load(db, path).rejects_file is None
    assert [file.name for file in tmp_path.glob("*.csv")] == ["contacts.csv"]


def test_a_folder_that_may_not_be_written(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "SĐT\nhỏng\n")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("campaigns.importer_rejects.Path.open", full, raising=False)
    monkeypatch.setattr("campaigns.importer_source.Path.open", Path.open)
    with pytest.raises(CampaignsError, match=r"cannot be (written|read) \(No space left on device"):
        load(db, path)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("Mai", "ragged"),
        ("Mai,", "empty"),
        ("Mai,1900 1234", "premium-rate"),
        ("Mai,(08) 3822 1234", "old-area-code"),
        (f"Mai,{'x' * 10_000}", "too-long"),
        (f"{'y' * 140_000},0912000101", "unreadable"),
    ],
)
def test_bad_rows_leave_the_good_ones(db: Database, tmp_path: Path, row: str, code: str) -> None:
    summary = load(db, write(tmp_path, f"Tên,SĐT\nLan,0912000102\n{row}\nHà,0912000103\n"))
    assert (summary.counts.added, dict(summary.reasons)) == (2, {code: 1})
    assert rejects(summary)[1][-1] == "3"


def test_rows_in_broken_text_are_rejected_alone(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    good = "Tên,SĐT\nNguyễn Mai,0912000101\nTrần Hùng,0912000102\n".encode()
    path.write_bytes(good + b"Nguy\xe1n,0912000103\n")
    summary = load(db, path)
    assert (summary.counts.added, dict(summary.reasons)) == (2, {"encoding": 1})


def test_windows_1258_names_are_whole(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    text = "Tên,SĐT\n" + "Nguyê\u0303n Thi\u0323 Mai,0912000101\n"
    path.write_bytes(text.encode("cp1258"))
    assert load(db, path).encoding == "cp1258"
    assert members(db)[0][1] == "Nguyễn Thị Mai"


def test_blank_rows_and_spaces_are_nothing(db: Database, tmp_path: Path) -> None:
    summary = load(db, write(tmp_path, "\n,,\nSĐT,Tên\n , \n\n0912000101 , Mai \n,\n"))
    assert (summary.rows, summary.counts.added, summary.rejected) == (1, 1, 0)
    assert members(db) == [("+84912000101", "Mai")]


@pytest.mark.parametrize("text", ["Mã,Tên\nA1,Mai\n", "", "\n\n"])
def test_a_file_of_no_use_writes_nothing(db: Database, tmp_path: Path, text: str) -> None:
    with pytest.raises(ImportRefused, match=r"contacts\.csv"):
        load(db, write(tmp_path, text))
    assert totals(db) == (0, 0, 0)
    assert [file.name for file in tmp_path.glob("*.csv")] == ["contacts.csv"]


def test_a_file_of_bad_rows_makes_no_list(db: Database, tmp_path: Path) -> None:
    summary = load(db, write(tmp_path, "SĐT\nhỏng\n"))
    assert (summary.rejected, totals(db)) == (1, (0, 0, 0))


def test_a_region_other_than_vietnam(db: Database, tmp_path: Path) -> None:
    load(db, write(tmp_path, "phone\n(212) 555-0158\n0912345678\n"), region="US")
    assert [number for number, _ in members(db)] == ["+12125550158"]


def test_an_import_that_stopped_is_taken_up_again(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_reader, "BATCH", 10)

    def stop(rows: int, _done: int, _size: int) -> None:
        if rows == 40:
            raise KeyboardInterrupt

    path = write(tmp_path, EXAMPLE.read_text("utf-8"))
    with pytest.raises(KeyboardInterrupt):
        load(db, path, on_progress=stop)
    stopped = len(members(db))
    assert stopped == 36
    summary = load(db, path)
    assert summary.counts.added == 54 - stopped
    assert totals(db) == (54, 55, 1)


def test_a_batch_is_all_or_nothing(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_reader, "BATCH", 2)
    calls = 0

    def fail(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise DatabaseFull("The disk is full.")

    monkeypatch.setattr(importer_batch, "_fill", fail)
    path = write(tmp_path, "SĐT\n" + "".join(f"091200010{n}\n" for n in range(6)))
    with pytest.raises(DatabaseFull):
        load(db, path)
    assert len(members(db)) == 2
    assert totals(db) == (2, 2, 1)


def test_a_number_that_comes_in_meanwhile_is_recognised(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between planning a batch and writing it, somebody else adds one of its numbers."""
    prepare, raced = importer_batch.prepare, iter([True])

    def race(session: Session, *args: object) -> importer_batch.Prepared:
        prepared = prepare(session, *args)  # type: ignore[arg-type]  # passed through
        if next(raced, False):
            with db.write() as other:
                contacts.add(other, "0912000102", name="Lan", now=NOW)
        return prepared

    monkeypatch.setattr(importer_batch, "prepare", race)
    summary = load(db, write(tmp_path, "SĐT,Tên\n0912000101,Mai\n0912000102,Khác\n"))
    assert summary.counts == Counts(added=1, known=1)
    assert members(db) == [("+84912000101", "Mai"), ("+84912000102", "Lan")]


@pytest.mark.slow
def test_a_reader_that_dies_is_an_error(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_reader, "BIG", 0)
    path = write(tmp_path, "SĐT\n" + "".join(f"0912{n:06}\n" for n in range(100_000)))
    children: list[int] = []

    def kill(_rows: int, _done: int, _size: int) -> None:
        for child in multiprocessing.active_children():
            children.append(child.pid or 0)
            os.kill(child.pid or 0, signal.SIGKILL)

    with pytest.raises(CampaignsError, match=r"process that read .*contacts\.csv has died"):
        load(db, path, on_progress=kill)
    assert children
    assert load(db, path).counts.already_listed >= 20_000


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    """However an import ends, its reading process ends with it."""
    yield
    assert multiprocessing.active_children() == []
