"""Call lists: what goes in, what comes out, and what may not be deleted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from campaigns import lists
from campaigns.errors import CampaignsError, ListExists, ListInUse, ListNotFound
from crm import contacts
from crm.errors import NumberRefused
from store.database import Database
from store.models import Campaign, CampaignState

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def make(db: Database, *numbers: str) -> lists.Additions:
    with db.write() as session:
        lists.create(session, "March", now=NOW)
        return lists.add(session, "March", numbers, now=NOW)


def test_numbers_go_in_once_in_any_spelling(db: Database) -> None:
    result = make(db, "0912 000 101", "+84983000102", "912000101", "no number")
    assert result.added == ["+84912000101", "+84983000102"]
    assert result.already == ["+84912000101"]
    assert list(result.refused) == ["no number"]
    with db.read() as session:
        assert [(m.number, m.position) for m in lists.members(session, "March")] == [
            ("+84912000101", 1),
            ("+84983000102", 2),
        ]


def test_a_known_contact_is_added_by_its_number(db: Database) -> None:
    with db.write() as session:
        contacts.add(session, "0912000101", name="Mai", now=NOW)
    make(db, "0912000101")
    with db.read() as session:
        assert [m.name for m in lists.members(session, "March")] == ["Mai"]
        assert contacts.search(session).total == 1


def test_members_come_in_pages(db: Database) -> None:
    make(db, *(f"091200010{n}" for n in range(5)))
    with db.read() as session:
        page = lists.members(session, "March", limit=2, offset=3)
    assert [m.position for m in page] == [4, 5]


def test_removed_numbers_stay_contacts_and_positions_are_not_reused(db: Database) -> None:
    make(db, "0912000101", "0912000102")
    with db.write() as session:
        assert lists.remove(session, "March", ["0912.000.101", "0912000109"]) == 1
        lists.add(session, "March", ["0912000103"], now=NOW)
    with db.read() as session:
        assert [m.position for m in lists.members(session, "March")] == [2, 3]
        assert contacts.search(session).total == 3


def test_removing_what_is_no_number_changes_nothing(db: Database) -> None:
    make(db, "0912000101")
    with pytest.raises(NumberRefused, match="“Mai” is not a phone number"), db.write() as session:
        lists.remove(session, "March", ["0912000101", "Mai"])
    with db.read() as session:
        assert len(lists.members(session, "March")) == 1


def test_summaries_count_members_and_campaigns(db: Database) -> None:
    make(db, "0912000101", "0912000102")
    with db.write() as session:
        lists.create(session, "April", now=NOW)
    add_campaign(db, CampaignState.DRAFT)
    with db.read() as session:
        found = [(s.name, s.members, s.campaigns) for s in lists.summaries(session)]
    assert found == [("April", 0, 0), ("March", 2, 1)]


@pytest.mark.parametrize("name", ["", "  "])
def test_a_list_has_a_name(db: Database, name: str) -> None:
    with pytest.raises(CampaignsError, match="needs a name"), db.write() as session:
        lists.create(session, name, now=NOW)


def test_a_name_is_taken_once(db: Database) -> None:
    make(db)
    with pytest.raises(ListExists, match="a list “March” already"):
        make(db)
    with db.write() as session:
        assert lists.get_or_create(session, "March", now=NOW).name == "March"


def test_an_unknown_list_is_named(db: Database) -> None:
    with pytest.raises(ListNotFound, match="no list “May”"), db.read() as session:
        lists.members(session, "May")


@pytest.mark.parametrize(
    "state", [CampaignState.DRAFT, CampaignState.RUNNING, CampaignState.PAUSED]
)
def test_a_list_in_use_is_not_deleted(db: Database, state: CampaignState) -> None:
    make(db, "0912000101")
    add_campaign(db, state)
    with pytest.raises(ListInUse, match="is called by “Spring”"), db.write() as session:
        lists.delete(session, "March")
    with db.read() as session:
        assert len(lists.members(session, "March")) == 1


@pytest.mark.parametrize("state", lists.FINISHED)
def test_deleting_a_list_leaves_finished_campaigns_and_contacts(
    db: Database, state: CampaignState
) -> None:
    make(db, "0912000101")
    add_campaign(db, state)
    with db.write() as session:
        lists.delete(session, "March")
    with db.read() as session:
        assert lists.summaries(session) == []
        campaign = session.query(Campaign).one()
        assert (campaign.name, campaign.list_id) == ("Spring", None)
        assert contacts.search(session).total == 1


def add_campaign(db: Database, state: CampaignState) -> None:
    with db.write() as session:
        session.add(
            Campaign(
                name="Spring",
                mode="broadcast",
                state=state,
                list_id=lists.get(session, "March").id,
                trunk="carrier",
                created_at=NOW,
            )
        )
