"""Claiming and settling leads, on both databases."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from campaigns import campaigns, dnc
from campaigns.claim import Claim, Claiming, NothingDue, NotRunning, claim
from campaigns.presets import Compliance, Law, Preset
from campaigns.reconcile import close_calls, expired, left_by, reconcile, renew
from campaigns.settings import Settings
from campaigns.settle import LOST, Settled, settle
from ivr.result import Result
from ivr.story import CallStory, StoryEvent
from store.database import Database
from store.models import CallEvent, CallRow, DncEntry, Lead, LeadState, Suppression
from tests.campaigns.fakes import NOON
from tests.campaigns.world import (
    calls,
    check_invariants,
    leads_of,
    make_campaign,
    make_list,
    numbers,
)

LEASE = timedelta(seconds=60)
OURS = "here#1"
SETTINGS = Settings(message_text="Xin chào")
ADS = SETTINGS.law(Compliance(Preset.VN))


def claiming(campaign_id: uuid.UUID, *, law: Law = Law(), owner: str = OURS) -> Claiming:  # noqa: B008 (frozen)
    return Claiming(campaign_id, owner, "carrier", law, LEASE, ("+842873000000", "+842873000001"))


def take(db: Database, what: Claiming, now: datetime = NOON) -> Any:
    with db.write() as session:
        return claim(session, what, now)


def end(
    db: Database,
    call: Claim,
    result: Result,
    *,
    now: datetime = NOON,
    owner: str = OURS,
    **facts: Any,
) -> Settled | None:
    story = CallStory(
        call.call_id, "out", call.number, caller_id=call.caller_id, trunk="carrier",
        **{"invited_at": now, "ended_at": now, "result": result} | facts,
    )  # fmt: skip
    with db.write() as session:
        events = [StoryEvent(now, "invite", {"to": "x"}), StoryEvent(now, "end")]
        return settle(session, call, story, events, settings=SETTINGS, owner=owner, now=now)


def suppressions(db: Database) -> list[tuple[str, str, datetime | None]]:
    with db.read() as session:
        rows = session.scalars(select(Suppression).order_by(Suppression.at, Suppression.number))
        return [(row.number, row.rule, row.until) for row in rows]


def test_a_claim_is_on_record_before_anything_is_dialled(db: Database) -> None:
    make_list(db, numbers(3))
    campaign = make_campaign(db)
    taken = take(db, claiming(campaign))
    assert taken.number == numbers(1)[0]
    [row] = calls(db)
    assert (row.id, row.number, row.result, row.owner, row.attempt) == (
        taken.call_id, taken.number, None, OURS, 1,
    )  # fmt: skip
    lead = leads_of(db, campaign)[taken.number]
    assert (lead.state, lead.attempts, lead.lease_owner) == ("live", 1, OURS)
    assert lead.lease_until == NOON + LEASE
    assert lead.caller_id == row.caller_id == taken.caller_id
    check_invariants(db, live=1)


def test_leads_come_in_the_order_of_the_list(db: Database) -> None:
    order = list(reversed(numbers(4)))
    make_list(db, order)
    campaign = make_campaign(db)
    assert [take(db, claiming(campaign)).number for _ in order] == order
    assert take(db, claiming(campaign)) == NothingDue(None)


def test_only_a_running_campaign_is_dialled(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db, started=False)
    assert take(db, claiming(campaign)) == NotRunning(campaigns.CampaignState.DRAFT)
    assert not calls(db)


def test_a_retry_is_due_when_it_is_due(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db)
    settled = end(db, take(db, claiming(campaign)), Result.BUSY)
    due = NOON + timedelta(minutes=10)
    assert settled == Settled(LeadState.WAITING, due, None)
    assert take(db, claiming(campaign), due - timedelta(seconds=1)) == NothingDue(due)
    again = take(db, claiming(campaign), due)
    assert again.attempt == 2
    check_invariants(db, live=1)


def test_dnc_is_looked_at_when_it_is_dialled(db: Database) -> None:
    first, second = numbers(2)
    make_list(db, [first, second])
    campaign = make_campaign(db)
    with db.write() as session:
        dnc.add(session, first, now=NOON, source="cli", actor="me", scope="voice")
        dnc.add(session, second, now=NOON, source="cli", actor="me", scope="sms")
    assert take(db, claiming(campaign)).number == second
    assert suppressions(db) == [(first, "dnc", None)]
    assert leads_of(db, campaign)[first].reason == "dnc"
    check_invariants(db, live=1)


def test_one_person_is_on_one_call_and_capped_across_campaigns(db: Database) -> None:
    make_list(db, numbers(1))
    one, other = make_campaign(db), make_campaign(db, name="other")
    call = take(db, claiming(one, law=ADS))
    five_past = NOON + timedelta(minutes=5)
    assert take(db, claiming(other)) == NothingDue(five_past)
    end(db, call, Result.NO_ANSWER)
    day_later = NOON + timedelta(hours=24)
    assert take(db, claiming(other, law=ADS), five_past) == NothingDue(day_later)
    assert isinstance(take(db, claiming(other, law=ADS), day_later), Claim)
    assert [rule for _, rule, _ in suppressions(db)] == ["on_call", "daily_cap"]


def test_a_refusal_is_on_record_once_and_not_once_a_look(db: Database) -> None:
    make_list(db, numbers(700))
    campaign = make_campaign(db)
    night = NOON + timedelta(hours=8)
    morning = NOON + timedelta(hours=20)
    looks = 0
    while (look := take(db, claiming(campaign, law=ADS), night)).more(night):
        looks += 1
    assert look == NothingDue(morning)
    assert looks < 5, "one by one would take the night"
    assert suppressions(db) == [(number, "hours", morning) for number in numbers(700)]
    assert take(db, claiming(campaign, law=ADS), night) == NothingDue(morning)
    assert take(db, claiming(campaign, law=ADS), morning).number == numbers(1)[0]
    assert len(suppressions(db)) == 700


def test_refusing_many_is_cut_short(db: Database) -> None:
    make_list(db, numbers(120))
    campaign = make_campaign(db)
    with db.write() as session:
        for number in numbers(120):
            dnc.add(session, number, now=NOON, source="cli", actor="me")
    looks = [take(db, claiming(campaign)) for _ in range(3)]
    assert [look.more(NOON) for look in looks] == [True, True, False]
    assert {lead.state for lead in leads_of(db, campaign).values()} == {"done"}


@pytest.mark.parametrize("workers", [4])
def test_many_at_once_claim_each_lead_once(db: Database, workers: int) -> None:
    make_list(db, numbers(60))
    campaign = make_campaign(db)
    barrier = threading.Barrier(workers)

    def work(owner: int) -> list[str]:
        barrier.wait()
        mine = []
        while isinstance(got := take(db, claiming(campaign, owner=f"node{owner}#1")), Claim):
            mine.append(got.number)
        return mine

    with ThreadPoolExecutor(workers) as pool:
        claimed = [number for mine in pool.map(work, range(workers)) for number in mine]
    assert sorted(claimed) == numbers(60)
    check_invariants(db, live=60)


def test_many_at_once_never_ring_one_person_in_two_campaigns(db: Database) -> None:
    make_list(db, numbers(20))
    both = [make_campaign(db, name=name) for name in ("one", "two")]
    barrier = threading.Barrier(2)

    def work(campaign: uuid.UUID) -> list[str]:
        barrier.wait()
        mine = []
        while isinstance(got := take(db, claiming(campaign, law=ADS)), Claim):
            mine.append(got.number)
        return mine

    with ThreadPoolExecutor(2) as pool:
        claimed = [number for mine in pool.map(work, both) for number in mine]
    assert sorted(claimed) == numbers(20)


def test_settling_stores_the_story(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db)
    call = take(db, claiming(campaign))
    facts = {"answered_at": NOON, "keys": "1", "sip_code": 200, "codec": "PCMA", "mos": 4.3}
    assert end(db, call, Result.ANSWERED, **facts) == Settled(LeadState.DONE, None, "answered")
    [row] = calls(db)
    assert (row.result, row.keys, row.outcome, row.codec, row.mos) == (
        "answered", "1", "interested", "PCMA", 4.3,
    )  # fmt: skip
    with db.read() as session:
        events = session.execute(
            select(CallEvent.kind, CallEvent.data).order_by(CallEvent.id)
        ).all()
    assert [tuple(event) for event in events] == [("invite", {"to": "x"}), ("end", {})]
    check_invariants(db, live=0)


def test_settling_twice_changes_nothing(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db)
    call = take(db, claiming(campaign))
    end(db, call, Result.BUSY)
    assert end(db, call, Result.BUSY) is None
    with db.read() as session:
        assert len(session.scalars(select(CallEvent)).all()) == 2
    assert leads_of(db, campaign)[call.number].attempts == 1


def test_a_refusal_by_key_is_listed_with_its_call_as_evidence(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db)
    call = take(db, claiming(campaign))
    end(db, call, Result.ANSWERED, keys="12")
    with db.read() as session:
        [entry] = session.scalars(select(DncEntry)).all()
    assert (entry.number, entry.source, entry.call_id) == (call.number, "key", call.call_id)
    assert calls(db)[0].outcome == "do_not_call"


def test_what_never_reached_the_customer_gives_the_attempt_back(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db)
    now, pauses = NOON, []
    while isinstance(call := take(db, claiming(campaign), now), Claim):
        assert call.attempt == 1
        settled = end(db, call, Result.CONGESTION, now=now)
        assert settled is not None
        if settled.next_at is None:
            break
        pauses.append((settled.next_at - now).total_seconds())
        now = settled.next_at
    assert pauses[:6] == [30, 60, 120, 240, 480, 900]
    assert len(pauses) == 19
    assert leads_of(db, campaign)[call.number].reason == "congestion"


def test_a_retry_of_a_stopped_campaign_is_closed_with_its_reason(db: Database) -> None:
    make_list(db, numbers(2))
    campaign = make_campaign(db)
    call = take(db, claiming(campaign))
    with db.write() as session:
        campaigns.stop(session, "spring", actor="me", now=NOON)
    assert campaigns.close_leads(db, campaign, now=NOON) == 1
    assert end(db, call, Result.BUSY) == Settled(LeadState.DONE, None, "stopped")
    assert [rule for _, rule, _ in suppressions(db)] == ["stopped", "stopped"]
    check_invariants(db, live=0)


# -- what a dead process leaves behind -----------------------------------------------------


def reconciled(db: Database, which: Any, now: datetime = NOON) -> Any:
    with db.write() as session:
        return reconcile(session, which, now)


def test_a_call_nobody_saw_the_end_of_is_failed_and_not_dialled_at_once(db: Database) -> None:
    make_list(db, numbers(2))
    campaign = make_campaign(db, attempts=2)
    call = take(db, claiming(campaign))
    found = reconciled(db, left_by("here", "here#2"))
    assert (found.calls, found.waiting, found.done) == (1, 1, 0)
    [row] = calls(db)
    assert (row.result, row.note, row.ended_at, row.invited_at) == ("failed", LOST, NOON, NOON)
    lead = leads_of(db, campaign)[call.number]
    assert (lead.state, lead.attempts) == ("waiting", 1)
    assert lead.next_at == NOON + timedelta(minutes=30)
    # It may have rung: it counts against the cap.
    later = NOON + timedelta(minutes=31)
    with db.write() as session:
        session.execute(
            update(Lead).where(Lead.number != call.number).values(state="done", reason="x")
        )
    assert take(db, claiming(campaign, law=ADS), later) == NothingDue(NOON + timedelta(hours=24))
    check_invariants(db, live=0)


def test_only_what_is_left_is_reconciled(db: Database) -> None:
    make_list(db, numbers(4))
    campaign = make_campaign(db)
    mine = take(db, claiming(campaign, owner="here#2"))
    take(db, claiming(campaign, owner="there#1"))
    take(db, claiming(campaign, owner="heretic#1"))
    assert not reconciled(db, left_by("here", "here#2"))
    assert not reconciled(db, expired(NOON + LEASE))
    too_late = NOON + LEASE + timedelta(seconds=1)
    assert reconciled(db, expired(too_late, but={mine.lead_id}), too_late).waiting == 2
    assert leads_of(db, campaign)[mine.number].state == "live"
    check_invariants(db, live=1)


def test_a_lease_is_renewed_while_the_call_is_up(db: Database) -> None:
    make_list(db, numbers(2))
    campaign = make_campaign(db)
    mine, other = (take(db, claiming(campaign, owner=owner)) for owner in ("here#2", "there#1"))
    until = NOON + timedelta(minutes=5)
    with db.write() as session:
        assert renew(session, {mine.lead_id, other.lead_id}, "here#2", until) == 1
    assert leads_of(db, campaign)[mine.number].lease_until == until


def test_a_true_story_that_arrives_late_wins(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db)
    call = take(db, claiming(campaign))
    reconciled(db, expired(NOON + timedelta(hours=1)), NOON)
    assert end(db, call, Result.ANSWERED, keys="1") == Settled(LeadState.DONE, None, "answered")
    assert calls(db)[0].result == "answered"
    check_invariants(db, live=0)


def test_a_late_story_does_not_move_a_lead_that_was_called_again(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db)
    call = take(db, claiming(campaign))
    reconciled(db, expired(NOON + timedelta(hours=1)), NOON)
    again = take(db, claiming(campaign, owner="there#1"), NOON + timedelta(minutes=30))
    assert end(db, call, Result.ANSWERED) is None
    assert leads_of(db, campaign)[call.number].lease_owner == "there#1"
    assert [row.result for row in calls(db)] == ["answered", None]
    assert end(db, again, Result.BUSY, owner="there#1") is not None


def test_the_last_attempt_is_not_repeated_after_a_crash(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db, attempts=1)
    take(db, claiming(campaign))
    assert reconciled(db, left_by("here", "here#2")).done == 1
    assert [lead.reason for lead in leads_of(db, campaign).values()] == ["failed"]


def test_open_calls_without_a_lead_are_closed(db: Database) -> None:
    with db.write() as session:
        for owner in ("here#1", "here#2", "there#1"):
            session.add(
                CallRow(direction="in", number="+84912345678", owner=owner, started_at=NOON)
            )
    with db.write() as session:
        assert close_calls(session, "here", "here#2", NOON) == 1
    assert [call.result for call in calls(db) if call.owner == "here#1"] == ["failed"]


def test_a_caller_id_stays_while_it_is_in_the_pool(db: Database) -> None:
    make_list(db, numbers(1))
    campaign = make_campaign(db)
    what = claiming(campaign)
    shown = take(db, what).caller_id
    now = NOON
    for pool, keeps in [((shown, "+842873000009"), True), (("+842873000007",), False), ((), False)]:
        with db.write() as session:
            session.execute(update(Lead).values(state="waiting", lease_owner=None, next_at=now))
            session.execute(update(CallRow).values(ended_at=now, result="busy"))
        call = take(db, replace(what, caller_ids=pool), now)
        assert (call.caller_id == shown) is keeps
        assert call.caller_id in {*pool, ""}
