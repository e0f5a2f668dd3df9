"""The do-not-call list: scopes, checks, the audit log, files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from campaigns import dnc, dnc_import
from campaigns.dnc import Channel, Scope
from campaigns.errors import ImportRefused
from crm.errors import NumberRefused
from store.database import Database
from store.models import AuditLog, DncEntry

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def add(db: Database, number: str, scope: Scope = "all") -> bool:
    with db.write() as session:
        return dnc.add(session, number, now=NOW, source="cli", actor="hoa", scope=scope)


def audited(db: Database) -> list[tuple[str, str, str]]:
    with db.read() as session:
        lines = session.scalars(select(AuditLog).order_by(AuditLog.id)).all()
        return [(line.actor, line.action, line.data["scope"]) for line in lines]


@pytest.mark.parametrize(
    ("scope", "voice", "sms"),
    [("all", True, True), ("voice", True, False), ("sms", False, True)],
)
def test_a_scope_forbids_its_channels(db: Database, scope: Scope, voice: bool, sms: bool) -> None:
    add(db, "0912 000 101", scope)
    forbidden: dict[Channel, bool] = {"voice": voice, "sms": sms}
    with db.read() as session:
        for channel, expected in forbidden.items():
            assert (dnc.check(session, "+84912000101", channel=channel) is not None) is expected
            listed = dnc.listed(session, ["+84912000101", "+84912000102"], channel=channel)
            assert listed == ({"+84912000101"} if expected else set())


def test_adding_twice_is_harmless_and_audited_once(db: Database) -> None:
    assert add(db, "0912000101")
    assert not add(db, "84912000101")
    assert add(db, "0912000101", "sms")
    assert audited(db) == [("hoa", "dnc.add", "all"), ("hoa", "dnc.add", "sms")]


def test_removing_one_scope_or_all(db: Database) -> None:
    for scope in ("all", "voice", "sms"):
        add(db, "0912000101", scope)  # type: ignore[arg-type]  # a tuple of literals widens
    with db.write() as session:
        assert dnc.remove(session, "0912000101", scope="sms", now=NOW, actor="an") == 1
        assert dnc.remove(session, "0912000101", scope="sms", now=NOW, actor="an") == 0
        assert dnc.check(session, "0912000101", channel="sms") is not None  # still under "all"
        assert dnc.remove(session, "0912000101", now=NOW, actor="an") == 2
        assert dnc.check(session, "0912000101") is None
    removed = {scope for actor, action, scope in audited(db) if action == "dnc.remove"}
    assert removed == {"all", "voice", "sms"}


def test_what_is_no_number_is_refused(db: Database) -> None:
    with pytest.raises(NumberRefused):
        add(db, "Mai")
    with pytest.raises(NumberRefused), db.read() as session:
        dnc.check(session, "")


def test_many_numbers_are_checked_at_once(db: Database) -> None:
    add(db, "0912000101")
    numbers = [f"+849{n:08}" for n in range(40_000)]
    with db.read() as session:
        assert dnc.listed(session, [*numbers, "+84912000101"]) == {"+84912000101"}
        assert dnc.listed(session, []) == set()


def test_entries_are_listed_newest_first(db: Database) -> None:
    for number in ("0912000101", "0912000102", "0912000103"):
        add(db, number)
    with db.read() as session:
        assert dnc.count(session) == 3
        page = dnc.entries(session, limit=2, offset=1)
    assert [entry.number for entry in page] == ["+84912000102", "+84912000101"]


@pytest.mark.parametrize(
    "content",
    [
        "0912000101\n0912.000.102\nkhông\n84912000101\n",
        "SĐT,Lý do\n0912000101,phàn nàn\n0912.000.102,\nkhông,\n84912000101,\n",
        "Điện thoại\n0912000101\n0912.000.102\nkhông\n84912000101\n",
    ],
    ids=["plain list", "two columns", "one column"],
)
def test_importing_a_file(db: Database, tmp_path: Path, content: str) -> None:
    path = tmp_path / "register.csv"
    path.write_text(content, encoding="utf-8")
    add(db, "0912000102")
    summary = dnc_import.import_file(db, path, actor="hoa", now=NOW)
    assert (summary.rows, summary.added, summary.already, summary.rejected) == (4, 1, 2, 1)
    assert summary.rejects_file is not None
    assert "không" in summary.rejects_file.read_text("utf-8")
    assert audited(db)[-1] == ("hoa", "dnc.import", "all")
    with db.read() as session:
        entry = dnc.check(session, "0912000101")
        assert entry is not None
        assert (entry.source, entry.reason) == ("import", "file register.csv")


def test_importing_again_adds_nothing(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_text("0912000101 / 0912000102\n", encoding="utf-8")
    first = dnc_import.import_file(db, path, actor="hoa", scope="voice", reason="register", now=NOW)
    again = dnc_import.import_file(db, path, actor="hoa", scope="voice", now=NOW)
    other = dnc_import.import_file(db, path, actor="hoa", scope="sms", now=NOW)
    assert [s.added for s in (first, again, other)] == [2, 0, 2]
    with db.read() as session:
        reasons = {tuple(row) for row in session.execute(select(DncEntry.scope, DncEntry.reason))}
    assert reasons == {("voice", "register"), ("sms", "file register.csv")}


def test_a_file_without_numbers_is_refused(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_text("Tên,Tuổi\nMai,30\n", encoding="utf-8")
    with pytest.raises(ImportRefused, match="no column of phone numbers"):
        dnc_import.import_file(db, path, actor="hoa")
    assert audited(db) == []
