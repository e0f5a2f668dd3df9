"""Opening a database, transactions, and work off the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from store import engines, errors
from store.database import Database
from store.models import CallList

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def add_list(session: Session, name: str = "March") -> None:
    session.add(CallList(name=name, created_at=NOW))


def add_list_and_fail(session: Session) -> None:
    add_list(session, "undone")
    session.flush()
    raise ZeroDivisionError


def add_lists_on_a_full_disk(session: Session) -> None:
    pages = session.execute(text("PRAGMA page_count")).scalar_one()
    session.execute(text(f"PRAGMA max_page_count = {pages}"))  # as if the disk ended here
    session.add_all(CallList(name=f"{n:0500}", created_at=NOW) for n in range(1000))
    session.flush()


def names(db: Database) -> list[str]:
    with db.read() as session:
        return list(session.scalars(select(CallList.name).order_by(CallList.name)))


def test_a_missing_file_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(errors.DatabaseNotReady, match=r"There is no database .*tongdai init"):
        Database.open("sqlite:///tongdai.db", home=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_is_under_home(tmp_path: Path) -> None:
    db = Database.open("sqlite:///tongdai.db", home=tmp_path, migrate=True)
    db.close()
    assert (tmp_path / "tongdai.db").is_file()
    assert repr(db) == f"Database('sqlite:///{tmp_path}/tongdai.db')"


def test_an_absolute_path_is_itself(tmp_path: Path) -> None:
    Database.open(f"sqlite:///{tmp_path}/a.db", home=Path("/elsewhere"), migrate=True).close()
    assert (tmp_path / "a.db").is_file()


@pytest.mark.parametrize(
    "url",
    ["", "tongdai.db", "sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/n", "oracle://h"],
)
def test_other_databases_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(errors.UnsupportedDatabase, match="sqlite:///FILE or postgresql") as caught:
        Database.open(url, home=tmp_path, migrate=True)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["postgresql", "postgresql+psycopg"])
def test_both_names_of_postgresql_are_taken(name: str) -> None:
    url = engines.parse_url(f"{name}://u:secret@localhost/n", Path())
    assert url.drivername == "postgresql+psycopg"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("this is a shopping list, not a database\n" * 100)
    with pytest.raises(errors.DatabaseUnreachable, match=r"notes\.txt is not a SQLite database"):
        Database.open("sqlite:///notes.txt", home=tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.DatabaseUnreachable, match=r"nowhere/t\.db cannot be used"):
        Database.open("sqlite:///nowhere/t.db", home=tmp_path, migrate=True)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    url = "postgresql+psycopg://tongdai:secret@127.0.0.1:1/tongdai"
    with pytest.raises(
        errors.DatabaseUnreachable, match=r"127\.0\.0\.1:1/.* cannot be reached"
    ) as e:
        Database.open(url)
    assert "secret" not in str(e.value)


def test_a_database_without_a_schema_is_not_ready(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "t.db").close()
    (tmp_path / "t.db").touch()
    with pytest.raises(errors.DatabaseNotReady, match="has not been prepared"):
        Database.open("sqlite:///t.db", home=tmp_path)


def test_an_older_schema_is_not_ready_until_migrated(fresh_db_url: str) -> None:
    set_revision(fresh_db_url, "0000")
    with pytest.raises(errors.DatabaseNotReady, match="run `tongdai init`"):
        Database.open(fresh_db_url)


def test_a_newer_schema_is_refused_even_by_migration(fresh_db_url: str) -> None:
    set_revision(fresh_db_url, "9999")
    for migrate in (False, True):
        with pytest.raises(errors.DatabaseTooNew, match=r"schema 9999.*upgrade Tongdai"):
            Database.open(fresh_db_url, migrate=migrate)


def set_revision(url: str, revision: str) -> None:
    db = Database.open(url)
    with db.write() as session:
        session.execute(text("update alembic_version set version_num = :new"), {"new": revision})
    db.close()


def test_writes_are_kept_and_failures_undone(db: Database) -> None:
    with db.write() as session:
        add_list(session, "kept")
    with pytest.raises(ZeroDivisionError), db.write() as session:
        add_list_and_fail(session)
    assert names(db) == ["kept"]


def test_what_was_read_can_be_used_afterwards(db: Database) -> None:
    with db.write() as session:
        add_list(session)
    with db.read() as session:
        found = session.scalars(select(CallList)).one()
    assert (found.name, found.created_at) == ("March", NOW)


def test_reading_cannot_write(db: Database) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"), db.read() as session:
        session.execute(text("delete from call_list"))
    assert names(db) == []
    with db.write() as session:  # and the connection is not spoilt for writing
        add_list(session)


def test_a_reader_sees_one_snapshot(db: Database) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads what is committed, statement by statement")
    with db.read() as session:
        assert count(session) == 0
        with db.write() as other:
            add_list(other)
        assert count(session) == 0
    assert names(db) == ["March"]


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(CallList)) or 0


def test_a_broken_rule_is_the_callers(db: Database) -> None:
    with db.write() as session:
        add_list(session)
    with pytest.raises(IntegrityError), db.write() as session:
        add_list(session)


def test_foreign_keys_are_kept(db: Database) -> None:
    with pytest.raises(IntegrityError), db.write() as session:
        session.execute(
            text(
                "insert into campaign (id, name, mode, state, list_id, trunk, settings, created_at)"
                " values (:id, 'x', 'broadcast', 'draft', :id, 't', '{}', '2026-01-01')"
            ),
            {"id": "0" * 31 + "1"},
        )


async def test_run_returns_and_raises(db: Database) -> None:
    await db.run(add_list)
    assert await db.run(count, write=False) == 1
    with pytest.raises(IntegrityError):
        await db.run(add_list)


async def test_many_writers_queue_and_none_is_lost(db: Database) -> None:
    def rename(session: Session) -> None:
        found = session.scalars(select(CallList).with_for_update()).one()
        found.name = str(int(found.name) + 1)

    await db.run(lambda session: add_list(session, "0"))
    await asyncio.gather(*(db.run(rename) for _ in range(100)))
    assert await db.run(lambda session: session.scalar(select(CallList.name)), write=False) == "100"


def test_writers_in_several_processes_wait_for_each_other(db_url: str) -> None:
    """Two openings of one file share nothing, as two processes share nothing."""
    databases = [Database.open(db_url), Database.open(db_url)]

    def write(db: Database) -> None:
        for _ in range(50):
            with db.write() as session:
                before = count(session)  # a read lock must not have to become a write lock
                add_list(session, f"{id(db)} {before}")

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, databases))  # raises what they raised
    assert len(names(databases[0])) == 100
    for db in databases:
        db.close()


def test_a_lock_held_too_long_is_explained(db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.05)
    patient, hasty = Database.open(db_url), Database.open(db_url)
    with patient.write() as session:
        if patient.engine.dialect.name == "postgresql":
            session.execute(text("lock table call_list in exclusive mode"))
        else:
            add_list(session)
            session.flush()
        sorry = pytest.raises(errors.DatabaseBusy, match="locked by another program")
        with sorry, hasty.write() as other:
            add_list(other)
    patient.close()
    hasty.close()


def test_a_full_disk_is_explained_and_nothing_is_half_written(tmp_path: Path) -> None:
    db = Database.open("sqlite:///t.db", home=tmp_path, migrate=True)
    full = pytest.raises(errors.DatabaseFull, match="is full: nothing of this step was saved")
    with full, db.write() as session:
        add_lists_on_a_full_disk(session)
    assert names(db) == []
    db.close()


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("53100", errors.DatabaseFull),
        ("55P03", errors.DatabaseBusy),
        ("40P01", errors.DatabaseBusy),
        ("08006", errors.DatabaseUnreachable),
        ("57P01", errors.DatabaseUnreachable),
        ("3D000", errors.DatabaseUnreachable),
        ("42601", None),
    ],
)
def test_postgresql_states_are_explained(state: str, kind: type[Exception] | None) -> None:
    cause = type("FakeError", (Exception,), {"sqlstate": state})("it went wrong\nDETAIL: so")
    explained = errors.explain(OperationalError("select 1", {}, cause), "postgresql://h/n")
    assert type(explained) is (kind or type(None))
    assert "\n" not in str(explained)


def test_a_driver_without_words_is_explained_by_its_name() -> None:
    cause = TimeoutError()
    explained = errors.explain(OperationalError(None, None, cause), "postgresql://h/n")
    assert "(TimeoutError)" in str(explained)


def test_bulk_settings_are_undone(tmp_path: Path) -> None:
    db = Database.open("sqlite:///t.db", home=tmp_path, migrate=True)

    def cache(session: Session) -> int:
        return int(session.execute(text("PRAGMA cache_size")).scalar_one())

    with db.write() as session:
        before = cache(session)
    with db.bulk() as write:
        with write() as session:
            assert cache(session) == -65536
            add_list(session, "first")
        with pytest.raises(ZeroDivisionError), write() as session:
            add_list_and_fail(session)
    with db.write() as session:
        assert cache(session) == before
    assert names(db) == ["first"]
    db.close()


async def test_close_finishes_what_was_begun(db_url: str) -> None:
    db = await asyncio.to_thread(Database.open, db_url)
    work = [asyncio.ensure_future(db.run(lambda s, n=n: add_list(s, str(n)))) for n in range(5)]
    await asyncio.sleep(0)
    await asyncio.to_thread(db.close)
    await asyncio.gather(*work)
    again = await asyncio.to_thread(Database.open, db_url)
    assert await again.run(count, write=False) == 5
    await asyncio.to_thread(again.close)
