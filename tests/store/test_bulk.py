"""Many rows at once, ids in bulk, and statements spelled per database."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, StatementError

from store import bulk
from store.audit import audit
from store.database import Database
from store.models import AuditLog, CallList, Contact
from store.queries import among, chunks, insert_new, like_pattern
from store.types import new_id

NOW = datetime(2026, 3, 2, 1, 0, 0, 123456, tzinfo=UTC)
COLUMNS = ("id", "kind", "name", "name_key", "fields", "created_at", "updated_at")


def test_rows_come_back_as_if_the_orm_had_written_them(db: Database) -> None:
    contact_id = bulk.new_ids(1)[0]
    with db.write() as session:
        at = bulk.stamp(session, NOW)
        row = (contact_id, "person", "Mai %s ?", "mai", '{"Nhóm": "cũ"}', at, at)
        bulk.insert_rows(session, Contact, COLUMNS, [row])
        bulk.insert_rows(session, Contact, COLUMNS, [])
    with db.read() as session:
        found = session.scalars(select(Contact)).one()
    assert (found.id.hex, found.name, found.created_at) == (contact_id, "Mai %s ?", NOW)
    assert found.fields == {"Nhóm": "cũ"}


def test_conflicts_are_ignored_only_on_request(db: Database) -> None:
    columns = ("id", "name", "created_at")
    with db.write() as session:
        at = bulk.stamp(session, NOW)
        rows = [(one, "same", at) for one in bulk.new_ids(2)]
        bulk.insert_rows(session, CallList, columns, rows, ignore_conflicts=True)
    with db.read() as session:
        assert len(session.scalars(select(CallList)).all()) == 1
    with pytest.raises(IntegrityError), db.write() as session:
        bulk.insert_rows(session, CallList, columns, rows)


def test_ids_are_uuid7_rising_and_of_now() -> None:
    before = new_id()
    ids = [uuid.UUID(text) for text in bulk.new_ids(10_000)]
    assert len(set(ids)) == 10_000
    assert ids == sorted(ids)
    assert {(one.version, one.variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert 0 <= (ids[0].int >> 80) - (before.int >> 80) < 60_000  # milliseconds


def test_ids_of_two_batches_do_not_meet() -> None:
    first, second = set(bulk.new_ids(5000)), set(bulk.new_ids(5000))
    assert not first & second


def test_times_are_utc_whatever_zone_they_came_in(db: Database) -> None:
    vietnam = timezone(timedelta(hours=7))
    with db.write() as session:
        session.add(CallList(name="x", created_at=NOW.astimezone(vietnam)))
    with db.read() as session:
        stored = session.scalars(select(CallList.created_at)).one()
    assert stored == NOW
    assert stored.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(db: Database) -> None:
    refused = pytest.raises(StatementError, match="without a time zone")
    naive = NOW.replace(tzinfo=None)
    with refused, db.write() as session:
        session.add(CallList(name="x", created_at=naive))


def test_insert_new_says_whether_it_was(db: Database) -> None:
    with db.write() as session:
        assert insert_new(session, CallList, name="x", created_at=NOW)
        assert not insert_new(session, CallList, name="x", created_at=NOW)
    with db.read() as session:
        assert session.scalars(select(CallList)).one().id.version == 7


@pytest.mark.parametrize(
    "wanted", [[], ["a"], ["a", "c", "x'y", "ạ"], [str(n) for n in range(40_000)]]
)
def test_among_any_number_of_values(db: Database, wanted: list[str]) -> None:
    with db.write() as session:
        for name in ("a", "b", "x'y", "ạ"):
            insert_new(session, CallList, name=name, created_at=NOW)
    with db.read() as session:
        found = set(
            session.scalars(select(CallList.name).where(among(session, CallList.name, wanted)))
        )
    assert found == {"a", "b", "x'y", "ạ"} & set(wanted)


def test_chunks() -> None:
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks([])) == []


def test_like_patterns_take_their_text_literally(db: Database) -> None:
    with db.write() as session:
        for name in ("100%", "1000", "a_b", "axb", "c\\d"):
            insert_new(session, CallList, name=name, created_at=NOW)

    def matching(text: str) -> set[str]:
        condition = CallList.name.like(like_pattern(text), escape="\\")
        with db.read() as session:
            return set(session.scalars(select(CallList.name).where(condition)))

    assert matching("0%") == {"100%"}
    assert matching("a_") == {"a_b"}
    assert matching("\\") == {"c\\d"}


def test_the_audit_log_is_part_of_the_transaction(db: Database) -> None:
    with db.write() as session:
        audit(session, actor="hoa", action="dnc.remove", subject="+84912", now=NOW, scope="all")
    with db.write() as session:
        audit(session, actor="hoa", action="dnc.add", subject="+84912", now=NOW)
        session.rollback()
    with db.read() as session:
        line = session.scalars(select(AuditLog)).one()
    assert (line.actor, line.action, line.data) == ("hoa", "dnc.remove", {"scope": "all"})
