"""Campaigns as people handle them, and their status, on both databases."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from campaigns import campaigns, fill, leads, lists, status
from campaigns.errors import (
    BadSettings,
    CampaignExists,
    CampaignNotFound,
    IllegalMove,
    ListNotFound,
)
from campaigns.presets import Preset
from campaigns.settings import Settings
from store.database import Database
from store.models import AuditLog, CallRow, Campaign, CampaignState, Lead, LeadState
from tests.campaigns.fakes import NOON
from tests.campaigns.world import leads_of, make_campaign, make_list, numbers


def do(db: Database, verb: Any, name: str = "spring") -> Campaign:
    with db.write() as session:
        return verb(session, name, actor="lan", now=NOON)  # type: ignore[no-any-return]


def actions(db: Database) -> list[tuple[str, str]]:
    with db.read() as session:
        rows = session.scalars(select(AuditLog).where(AuditLog.action.startswith("campaign.")))
        return [(row.action, row.actor) for row in rows]


def test_the_life_of_a_campaign_is_audited(db: Database) -> None:
    make_list(db, numbers(3))
    make_campaign(db, started=False)
    for verb in (campaigns.start, campaigns.pause, campaigns.resume, campaigns.stop):
        do(db, verb)
    assert [action for action, _ in actions(db)] == [
        "campaign.create", "campaign.start", "campaign.pause", "campaign.resume", "campaign.stop",
    ]  # fmt: skip
    assert actions(db)[-1] == ("campaign.stop", "lan")
    with db.read() as session:
        campaign = campaigns.get(session, "spring")
    assert (campaign.started_at, campaign.finished_at) == (NOON, NOON)


def test_an_illegal_move_is_refused_and_leaves_no_trace(db: Database) -> None:
    make_list(db, numbers(3))
    make_campaign(db, started=False)
    with pytest.raises(
        IllegalMove, match=r"`spring` is draft: it cannot pause\. Possible now: start, stop"
    ):
        do(db, campaigns.pause)
    do(db, campaigns.stop)
    with pytest.raises(IllegalMove, match="create a new campaign instead"):
        do(db, campaigns.start)
    assert [action for action, _ in actions(db)] == ["campaign.create", "campaign.stop"]


def test_an_unknown_campaign_names_the_nearest(db: Database) -> None:
    make_list(db, numbers(1))
    make_campaign(db)
    with pytest.raises(CampaignNotFound, match=r"no campaign `sprnig`\. Did you mean `spring`"):
        do(db, campaigns.start, "sprnig")
    with pytest.raises(CampaignNotFound, match="`tongdai campaign status` lists them"):
        do(db, campaigns.start, "zzz")


@pytest.mark.parametrize(
    ("change", "error", "part"),
    [
        ({"name": "spring"}, CampaignExists, "There is a campaign `spring` already"),
        ({"name": " "}, BadSettings, "needs a name"),
        ({"list_name": "nobody"}, ListNotFound, "nobody"),
        ({"mode": "psychic"}, BadSettings, "`psychic` is not one this version dials"),
        ({"settings": Settings()}, BadSettings, "A broadcast needs a message"),
    ],
)
def test_what_cannot_be_created(
    db: Database, change: dict[str, Any], error: type[Exception], part: str
) -> None:
    make_list(db, numbers(1))
    make_campaign(db)
    right: dict[str, Any] = {
        "name": "summer", "mode": "broadcast", "list_name": "list", "trunk": "carrier",
        "settings": Settings(message_text="Xin chào"),
    }  # fmt: skip
    with pytest.raises(error, match=part), db.write() as session:
        campaigns.create(session, **right | change, preset=Preset.VN, actor="lan", now=NOON)
    with db.read() as session:
        assert [campaign.name for campaign in campaigns.all_of(session)] == ["spring"]


@pytest.mark.parametrize(
    ("hours", "beyond"), [(None, False), ("09:00-16:00", False), ("08:00-20:00", True)]
)
def test_hours_beyond_the_preset_are_kept_as_a_decision(
    db: Database, hours: str | None, beyond: bool
) -> None:
    make_list(db, numbers(1))
    make_campaign(db, purpose="advertising", hours=hours, preset=Preset.VN, started=False)
    with db.read() as session:
        [created] = session.scalars(select(AuditLog).where(AuditLog.action == "campaign.create"))
    assert created.data["beyond_preset"] is beyond


def test_leads_are_made_of_the_list_in_its_order(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "BATCH", 10)
    order = list(reversed(numbers(25)))
    make_list(db, order)
    campaign = make_campaign(db, started=False)
    found = leads_of(db, campaign)
    assert list(found) == order
    assert {(lead.state, lead.attempts, lead.next_at) for lead in found.values()} == {
        ("waiting", 0, NOON)
    }
    assert all(lead.id.version == 7 for lead in found.values())
    ids = [lead.id for lead in found.values()]
    assert ids == sorted(ids)
    assert len(set(ids)) == 25
    assert len({lead_id.int & (1 << 40) - 1 for lead_id in ids}) == 25, "no randomness"
    assert ids[0].int >> 80 == int(NOON.timestamp() * 1000)
    with db.read() as session:
        assert fill.filled_upto(session, campaign) == 25
        assert not fill.has_new_members(session, session.get_one(Campaign, campaign))


def test_only_new_numbers_become_leads(db: Database) -> None:
    make_list(db, numbers(5))
    campaign = make_campaign(db)
    with db.write() as session:
        session.scalars(select(Lead)).first().state = LeadState.DONE  # type: ignore[union-attr]
        session.scalars(select(Lead)).first().reason = "answered"  # type: ignore[union-attr]
    make_list(db, numbers(2, start=50))
    seen: list[int] = []
    assert fill.make_leads(db, campaign, now=NOON, on_progress=seen.append) == 2
    assert seen == [2]
    with db.read() as session:
        assert leads.count(session, campaign) == leads.LeadCounts(done=1, waiting=6, live=0)


def test_a_completed_campaign_starts_again_for_new_numbers_only(db: Database) -> None:
    make_list(db, numbers(2))
    campaign = make_campaign(db)
    with db.write() as session:
        assert not campaigns.complete(session, campaign, now=NOON)
        for lead in session.scalars(select(Lead)):
            lead.state, lead.reason = LeadState.DONE, "answered"
    with db.write() as session:
        assert campaigns.complete(session, campaign, now=NOON)
    with pytest.raises(IllegalMove, match="every number of its list is done: add numbers"):
        do(db, campaigns.start)
    make_list(db, numbers(1, start=9))
    assert do(db, campaigns.start).state == CampaignState.RUNNING


def test_status_is_the_contract(db: Database) -> None:
    make_list(db, numbers(4))
    campaign = make_campaign(db, started=False)
    with db.write() as session:
        for lead, result, keys in zip(
            session.scalars(select(Lead).order_by(Lead.position)), ["answered", "answered", "busy"],
            ["1", "12", ""], strict=False,
        ):  # fmt: skip
            lead.state, lead.reason = LeadState.DONE, result
            session.add(_call(campaign, lead, result, keys))
    with db.read() as session:
        found = status.status(session, "spring", now=NOON)
    assert {key: found[key] for key in ("name", "mode", "state", "leads", "results", "keys")} == {
        "name": "spring",
        "mode": "broadcast",
        "state": "draft",
        "leads": {"total": 4, "done": 3, "waiting": 1, "live": 0},
        "results": {"answered": 2, "busy": 1},
        "keys": {"1": 2, "2": 1},
    }
    assert found["outcomes"] == {"interested": 2}
    assert found["next_due_at"] == "2026-11-23T05:00:00+00:00"
    assert found["blocked_by"]["rule"] == "draft"


def test_status_of_nobody(db: Database) -> None:
    make_list(db, [])
    make_campaign(db)
    with db.read() as session:
        found = status.status(session, "spring", now=NOON)
        assert found["leads"] == {"total": 0, "done": 0, "waiting": 0, "live": 0}
        assert found["results"] == found["keys"] == {}
        assert found["next_due_at"] is found["blocked_by"] is None


def test_a_wait_for_the_next_attempt_is_said(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db)
    with db.write() as session:
        for lead in session.scalars(select(Lead)):
            lead.next_at = NOON + timedelta(minutes=10)
    with db.read() as session:
        blocked = status.why_blocked(session, session.get_one(Campaign, campaign), NOON)
    assert blocked is not None
    assert (blocked.rule, blocked.until) == ("retry", NOON + timedelta(minutes=10))


def test_a_list_in_use_cannot_be_pulled_away(db: Database) -> None:
    make_list(db, numbers(1))
    make_campaign(db)
    with pytest.raises(lists.ListInUse), db.write() as session:
        lists.delete(session, "list")


def _call(campaign: uuid.UUID, lead: Lead, result: str, keys: str) -> CallRow:
    return CallRow(
        direction="out", campaign_id=campaign, lead_id=lead.id, number=lead.number, result=result,
        keys=keys, outcome="interested" if keys else None, started_at=NOON, ended_at=NOON,
    )  # fmt: skip
