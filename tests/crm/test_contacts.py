"""Contacts: added once per number, found by number and by name without accents."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crm import contacts
from crm.errors import ContactNotFound, NumberRefused
from store.database import Database

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Nguyễn Thị Mai", "nguyen thi mai"),
        ("ĐỖ  Ánh", "do anh"),
        ("Đặng\tQuốc\u00a0Bảo", "dang quoc bao"),
        ("Mỹ-Linh (Zalo)", "my linh zalo"),
        ("Nguye\u0302\u0303n", "nguyen"),  # as Windows-1258 and macOS write it
        ("Straße", "strasse"),
        ("王小明", "王小明"),
        ("", ""),
    ],
)
def test_names_are_folded(name: str, key: str) -> None:
    assert contacts.name_key(name) == key


@given(st.text(max_size=50))
@example("𝑨")
@example("İ")
def test_folding_twice_changes_nothing_more(name: str) -> None:
    once = contacts.name_key(name)
    assert contacts.name_key(once) == once


def test_adding_is_idempotent_on_the_number(db: Database) -> None:
    with db.write() as session:
        first = contacts.add(session, "0912 345 678", name="Mai", now=NOW)
        again = contacts.add(session, "+84912345678", name="Another", now=LATER)
    assert (first.created, again.created) == (True, False)
    assert first.contact.id == again.contact.id
    with db.read() as session:
        page = contacts.search(session)
        assert page.total == 1
        assert (page.contacts[0].name, page.contacts[0].updated_at) == ("Mai", NOW)


def test_a_known_contact_is_filled_in_not_overwritten(db: Database) -> None:
    with db.write() as session:
        contacts.add(session, "0912345678", fields={"Nhóm": "cũ"}, now=NOW)
    with db.write() as session:
        contacts.add(
            session,
            "0912345678",
            name="Mai",
            language="vi",
            fields={"Nhóm": "mới", "Gói": "12 tháng", "Trống": ""},
            now=LATER,
        )
    with db.read() as session:
        card = contacts.show(session, "0912345678")
    assert (card.name, card.language, card.updated_at) == ("Mai", "vi", LATER)
    assert card.fields == {"Nhóm": "cũ", "Gói": "12 tháng"}


def test_what_is_no_number_is_refused_and_nothing_is_written(db: Database) -> None:
    with pytest.raises(NumberRefused, match="has too few digits"), db.write() as session:
        contacts.add(session, "0912", name="Mai", now=NOW)
    with db.read() as session:
        assert contacts.search(session).total == 0


def test_a_company_with_its_number_as_written(db: Database) -> None:
    with db.write() as session:
        added = contacts.add(session, "04 3936 0147 (nhánh 3)", kind="company", now=NOW)
        card = contacts.cards(session, [added.contact])[0]
    assert (card.kind, card.phones) == ("company", ("+842439360147",))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0912000101", {"Nguyễn Thị Mai"}),
        ("+84 912 000 101", {"Nguyễn Thị Mai"}),
        ("mai", {"Nguyễn Thị Mai", "Mai Thị Tuyết"}),
        ("MAI TUYET", set()),
        ("thi tuyết", {"Mai Thị Tuyết"}),
        ("nguyễn", {"Nguyễn Thị Mai"}),
        ("100%", {"Giảm 100% Shop"}),
        ("_", {"Nguyễn Thị Mai", "Mai Thị Tuyết", "Giảm 100% Shop"}),  # folded away: no words
        ("0999999999", set()),
    ],
)
def test_searching(db: Database, text: str, found: set[str]) -> None:
    with db.write() as session:
        contacts.add(session, "0912000101", name="Nguyễn Thị Mai", now=NOW)
        contacts.add(session, "0912000102", name="Mai Thị Tuyết", now=NOW)
        contacts.add(session, "0912000103", name="Giảm 100% Shop", now=NOW)
    with db.read() as session:
        assert {card.name for card in contacts.search(session, text).contacts} == found


def test_pages_are_newest_first_and_tell_the_total(db: Database) -> None:
    with db.write() as session:
        for number in range(5):
            contacts.add(
                session, f"091200010{number}", name=str(number), now=NOW + timedelta(hours=number)
            )
    with db.read() as session:
        page = contacts.search(session, limit=2, offset=1)
    assert ([card.name for card in page.contacts], page.total) == (["3", "2"], 5)


def test_showing_by_number_or_id(db: Database) -> None:
    with db.write() as session:
        added = contacts.add(session, "0912345678", now=NOW)
    with db.read() as session:
        for text in ("0912 345 678", str(added.contact.id), added.contact.id.hex):
            assert contacts.show(session, text).id == added.contact.id


@pytest.mark.parametrize("text", ["0987654321", str(uuid.UUID(int=7)), "Mai", ""])
def test_showing_nobody(db: Database, text: str) -> None:
    with pytest.raises(ContactNotFound, match="No contact has the number or id"), db.read() as s:
        contacts.show(s, text)
