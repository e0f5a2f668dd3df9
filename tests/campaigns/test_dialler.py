"""The dialler against scripted customers, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from blockbuster import BlockBuster
from sqlalchemy import select

from campaigns import campaigns, status
from campaigns.dialler import Dialler
from campaigns.presets import Compliance, Preset
from ivr.result import Result
from store.database import Database
from store.models import CallEvent, CallRow, DncEntry, Suppression
from tests.campaigns.fakes import (
    Behaviour,
    Customer,
    FakePhone,
    SilentPrompts,
    SimulatedDatabase,
    WallClock,
    crowd,
    in_thread,
    simulate,
)
from tests.campaigns.world import (
    calls,
    check_cap,
    check_invariants,
    leads_of,
    make_campaign,
    make_list,
    numbers,
)

T = TypeVar("T")


@dataclass
class World:
    """A dialler in virtual time."""

    db: Database
    clock: WallClock
    phone: FakePhone
    prompts: SilentPrompts
    dialler: Dialler

    async def until(self, holds: Callable[[], Any], within: float = 7 * 86400) -> None:
        """Wait in virtual time until something holds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while not holds():
            assert loop.time() < deadline, "it never came to that"
            await asyncio.sleep(1)

    async def until_state(self, name: str, state: str) -> None:
        async def reached() -> bool:
            found = await self.db.run(lambda s: campaigns.get(s, name).state, write=False)
            return found == state

        for _ in range(10_000):
            if await reached():
                return
            await asyncio.sleep(300)
        raise AssertionError(f"{name} never became {state}")

    async def status(self, name: str = "spring") -> dict[str, Any]:
        return await self.db.run(
            lambda session: status.status(session, name, now=self.clock()), write=False
        )


@pytest.fixture
def dial(db_url: str, tmp_path: Path, never_block_the_loop: BlockBuster) -> Callable[..., Any]:
    """Return a function that runs a scenario against a dialler in virtual time.

    With `threads` the database works on its threads as it really does, and blocking the loop
    fails the test; without, long scenarios are quick.
    """

    def run(
        scenario: Callable[[World], Coroutine[Any, Any, T]],
        behaviour: Behaviour = lambda _number, _nth: Customer(),
        *,
        compliance: Compliance | None = None,
        threads: bool = False,
        drain: float = 600.0,
        poll: float = 600.0,
        **phone: Any,
    ) -> T:
        db = SimulatedDatabase.open(db_url)
        db.inline = not threads
        if not threads:
            never_block_the_loop.deactivate()

        async def main() -> T:
            clock = WallClock()
            world = World(
                db, clock, FakePhone(behaviour, now=clock, **phone), SilentPrompts(),
                None,  # type: ignore[arg-type]
            )  # fmt: skip
            world.dialler = Dialler(
                db, world.phone, world.prompts, home=tmp_path, node="test", now=clock, poll=poll,
                compliance=compliance or Compliance(Preset.NONE), lease=timedelta(hours=2),
            )  # fmt: skip
            await world.dialler.start()
            try:
                return await scenario(world)
            finally:
                await world.dialler.drain(drain)
                assert world.phone.in_use == 0, "a slot leaked"
                assert world.phone.given == world.phone.returned

        try:
            found = simulate(main)
            if not threads:
                never_block_the_loop.activate()
            check_invariants(db, live=0)
            return found
        finally:
            db.close()

    return run


def test_a_campaign_runs_to_its_end(db: Database, dial: Callable[..., Any]) -> None:
    make_list(db, numbers(30))
    make_campaign(db)

    async def scenario(world: World) -> None:
        await world.until_state("spring", "completed")
        found = await world.status()
        assert found["leads"] == {"total": 30, "done": 30, "waiting": 0, "live": 0}
        assert found["results"] == {"answered": 30}
        assert len(world.phone.invites) == 30
        assert [number for _, number, _ in world.phone.invites] == numbers(30)

    dial(scenario, threads=True)
    with db.read() as session:
        assert session.scalars(select(CallEvent.kind)).all().count("invite") == 30


def test_every_kind_of_customer_ends_as_the_rules_say(
    dial: Callable[..., Any], db: Database
) -> None:
    kinds = {
        Result.ANSWERED: 1, Result.BUSY: 3, Result.NO_ANSWER: 3, Result.REJECTED: 1,
        Result.INVALID_NUMBER: 1, Result.UNREACHABLE: 3, Result.CONGESTION: 20, Result.FAILED: 3,
    }  # fmt: skip
    who = dict(zip(numbers(len(kinds)), kinds, strict=True))
    make_list(db, list(who))
    campaign = make_campaign(db)

    async def scenario(world: World) -> None:
        await world.until_state("spring", "completed")
        assert {who[n]: times for n, times in world.phone.calls_of.items()} == kinds

    dial(scenario, lambda number, _nth: Customer(who[number], rings=1))
    leads = leads_of(db, campaign)
    assert {who[number]: lead.reason for number, lead in leads.items()} == {k: k for k in kinds}
    assert {lead.attempts for lead in leads.values()} == {0, 1, 3}


def test_retries_keep_their_delay_and_their_caller_id(
    dial: Callable[..., Any], db: Database
) -> None:
    make_list(db, numbers(5))
    make_campaign(db, retry={"busy": 600})

    async def scenario(world: World) -> None:
        await world.until_state("spring", "completed")

    dial(
        scenario,
        lambda _number, nth: Customer(Result.BUSY if nth < 2 else Result.ANSWERED, rings=1),
        caller_ids=("+842873000001", "+842873000002", "+842873000003"),
    )
    by_number: dict[str, list[CallRow]] = {}
    for call in calls(db):
        by_number.setdefault(call.number, []).append(call)
    for of_one in by_number.values():
        assert [call.attempt for call in of_one] == [1, 2, 3]
        assert len({call.caller_id for call in of_one}) == 1
        for first, second in itertools.pairwise(of_one):
            assert timedelta(seconds=600) <= second.started_at - first.ended_at  # type: ignore[operator]
            assert second.started_at - first.started_at < timedelta(seconds=670)


def test_keys_are_taken_and_never_again_means_before_the_next_dial(
    dial: Callable[..., Any], db: Database
) -> None:
    ask, refuse, *others = numbers(6)
    make_list(db, [refuse, ask, *others])
    make_list(db, [refuse], name="second")
    make_campaign(db)
    later = make_campaign(db, name="later", list_name="second", started=False)
    pressed = {ask: "1", refuse: "2"}

    async def scenario(world: World) -> None:
        await world.until_state("spring", "completed")
        found = await world.status()
        assert found["keys"] == {"1": 1, "2": 1}
        assert found["outcomes"] == {"do_not_call": 1, "interested": 1}
        await world.db.run(
            lambda s: campaigns.start(s, "later", actor="me", now=world.clock()) and None
        )
        world.dialler.wake()
        await world.until_state("later", "completed")

    dial(scenario, lambda number, _nth: Customer(keys=pressed.get(number, "")))
    assert leads_of(db, later)[refuse].reason == "dnc"
    with db.read() as session:
        [entry] = session.scalars(select(DncEntry)).all()
        assert (entry.number, entry.source) == (refuse, "key")
        call = session.get_one(CallRow, entry.call_id)
    assert call.ended_at is not None
    assert entry.created_at < call.ended_at, "listed only when the call was over"
    with db.read() as session:
        [suppression] = session.scalars(select(Suppression)).all()
        assert (suppression.number, suppression.rule, suppression.until) == (refuse, "dnc", None)
    assert [c.outcome for c in calls(db) if c.number == ask] == ["interested"]


def test_a_refusal_while_the_choice_is_confirmed_counts(
    dial: Callable[..., Any], db: Database
) -> None:
    make_list(db, numbers(1))
    make_campaign(db)

    async def scenario(world: World) -> None:
        await world.until_state("spring", "completed")

    dial(scenario, lambda _number, _nth: Customer(keys="12"))
    assert [call.outcome for call in calls(db)] == ["do_not_call"]
    with db.read() as session:
        assert session.scalars(select(DncEntry.number)).all() == numbers(1)


def test_the_message_is_repeated_until_a_valid_key(dial: Callable[..., Any], db: Database) -> None:
    make_list(db, numbers(2))
    make_campaign(db, repeats=1, key_timeout=5)
    silent, mistaken = numbers(2)

    async def scenario(world: World) -> None:
        await world.until_state("spring", "completed")

    customers = {silent: Customer(listens=999), mistaken: Customer(keys="91", listens=999)}
    dial(scenario, lambda number, _nth: customers[number])
    talk = {c.number: (c.ended_at - c.answered_at).total_seconds() for c in calls(db)}  # type: ignore[operator]
    assert talk[silent] == pytest.approx(2 * (10 + 5), abs=0.1)  # twice message and time-out
    assert talk[mistaken] == pytest.approx(5 + 10, abs=0.1)  # 9, the 1 typed ahead, confirmation
    assert {c.number: c.outcome for c in calls(db)} == {silent: None, mistaken: "interested"}


@pytest.mark.parametrize(("machine", "attempts"), [("hang_up", 3), ("leave_message", 1)])
def test_answering_machines(
    dial: Callable[..., Any], db: Database, machine: str, attempts: int
) -> None:
    make_list(db, numbers(2))
    make_campaign(db, amd=True, machine=machine)
    human, beep = numbers(2)

    async def scenario(world: World) -> None:
        await world.until_state("spring", "completed")

    kinds = {human: Customer(), beep: Customer(Result.MACHINE, listens=60)}
    dial(scenario, lambda number, _nth: kinds[number])
    assert [c.result for c in calls(db) if c.number == beep] == ["machine"] * attempts
    assert {c.amd for c in calls(db) if c.number == human} == {"human"}


def test_limits_of_the_campaign_and_of_the_trunk_hold(
    dial: Callable[..., Any], db: Database
) -> None:
    make_list(db, numbers(60))
    make_list(db, numbers(60, start=100), name="second")
    make_campaign(db, max_calls=4)
    make_campaign(db, name="other", list_name="second", cps=1.0)
    at_once = {"spring": 0}

    async def scenario(world: World) -> None:
        async def watch() -> None:
            while True:
                for figures in world.dialler.snapshot():
                    most = max(at_once.get(figures.name, 0), len(figures.calls))
                    at_once[figures.name] = most
                await asyncio.sleep(0.25)

        task = asyncio.create_task(watch())
        await world.until_state("spring", "completed")
        await world.until_state("other", "completed")
        task.cancel()
        assert world.phone.most_up == 10

    dial(scenario, channels=10)
    assert at_once["spring"] == 4
    started = sorted(c.started_at for c in calls(db) if c.number >= "+84910000100")
    assert all(b - a > timedelta(seconds=0.9) for a, b in zip(started, started[2:], strict=False))


def test_pause_lets_calls_end_and_resume_goes_on(dial: Callable[..., Any], db: Database) -> None:
    make_list(db, numbers(40))
    make_campaign(db)

    async def scenario(world: World) -> None:
        async def move(verb: Callable[..., Any]) -> None:
            await world.db.run(lambda s: verb(s, "spring", actor="me", now=world.clock()) and None)
            world.dialler.wake()

        await world.until(lambda: len(world.phone.invites) >= 12)
        await move(campaigns.pause)
        dialled = len(world.phone.invites)
        await world.until(lambda: not world.phone.up)
        await asyncio.sleep(3600)
        assert len(world.phone.invites) == dialled
        found = await world.status()
        assert found["state"] == "paused"
        assert found["blocked_by"]["rule"] == "paused"
        assert found["leads"] == {
            "total": 40, "done": dialled, "waiting": 40 - dialled, "live": 0,
        }  # fmt: skip
        await move(campaigns.resume)
        await world.until_state("spring", "completed")
        assert world.phone.calls_of == dict.fromkeys(numbers(40), 1)

    dial(scenario, channels=6, threads=True)


def test_stop_lets_calls_end_and_closes_what_waits(dial: Callable[..., Any], db: Database) -> None:
    make_list(db, numbers(40))
    campaign = make_campaign(db)

    async def scenario(world: World) -> None:
        await world.until(lambda: len(world.phone.invites) >= 12)
        await world.db.run(
            lambda s: campaigns.stop(s, "spring", actor="me", now=world.clock()) and None
        )
        world.dialler.wake()
        await world.until(lambda: not world.phone.up)
        await asyncio.sleep(7200)

    dial(scenario, lambda _number, _nth: Customer(Result.BUSY, rings=20), channels=6)
    leads = leads_of(db, campaign)
    assert {lead.reason for lead in leads.values()} == {"stopped"}
    assert {lead.result for lead in leads.values()} == {"busy", None}
    with db.read() as session:
        suppressed = session.scalars(select(Suppression.number)).all()
    assert sorted(suppressed) == numbers(40)


def test_numbers_added_while_it_runs_and_after_it_completed_are_called(
    dial: Callable[..., Any], db: Database
) -> None:
    make_list(db, numbers(10))
    make_campaign(db)

    async def scenario(world: World) -> None:
        await world.until(lambda: len(world.phone.invites) >= 3)
        await in_thread(make_list, db, numbers(5, start=50))
        await world.until_state("spring", "completed")
        assert len(world.phone.invites) == 15
        await in_thread(make_list, db, numbers(2, start=80))
        await world.db.run(
            lambda s: campaigns.start(s, "spring", actor="me", now=world.clock()) and None
        )
        world.dialler.wake()
        await world.until_state("spring", "completed")
        assert len(world.phone.invites) == 17

    dial(scenario, channels=2)


def test_a_number_taken_off_the_list_is_not_called(dial: Callable[..., Any], db: Database) -> None:
    from campaigns import lists

    make_list(db, numbers(3))
    campaign = make_campaign(db)
    with db.write() as session:
        lists.remove(session, "list", [numbers(3)[1]])

    async def scenario(world: World) -> None:
        await world.until_state("spring", "completed")

    dial(scenario)
    assert [lead.reason for lead in leads_of(db, campaign).values()] == [
        "answered", "delisted", "answered",
    ]  # fmt: skip


def test_calling_hours_and_the_daily_cap_of_vietnam(dial: Callable[..., Any], db: Database) -> None:
    make_list(db, numbers(700))
    make_list(db, numbers(30), name="same people")
    make_campaign(db, purpose="advertising", hours=None, preset=Preset.VN)
    make_campaign(
        db, name="other", list_name="same people", purpose="advertising", hours=None,
        preset=Preset.VN,
    )  # fmt: skip

    async def scenario(world: World) -> None:
        await asyncio.sleep(8 * 3600)  # 20:00
        night = (await world.status())["blocked_by"]
        assert night["rule"] in {"hours", "daily_cap"}
        assert night["until"] == "2026-11-24T01:00:00+00:00"  # 08:00 in Vietnam
        assert any("08:00-17:00" in text for text in world.dialler.conditions().values())
        await world.until_state("spring", "completed")
        await world.until_state("other", "completed")

    dial(
        scenario, crowd(3),
        compliance=Compliance(Preset.VN), channels=1,
    )  # fmt: skip
    local = [c.started_at + timedelta(hours=7) for c in calls(db)]
    assert all(8 <= at.hour < 17 for at in local)
    assert len({at.date() for at in local}) > 2
    reached = [
        (c.started_at, c.number) for c in calls(db) if c.ringing_at is not None or c.answered_at
    ]
    check_cap(reached, 1)
    with db.read() as session:
        rules = session.execute(
            select(Suppression.lead_id, Suppression.rule, Suppression.until)
        ).all()
    assert {"hours", "daily_cap"} <= {rule for _, rule, _ in rules}
    assert len(set(rules)) == len(rules), "one refusal is on record twice"


def test_a_trunk_that_is_down_is_a_condition_and_not_an_end(
    dial: Callable[..., Any], db: Database
) -> None:
    make_list(db, numbers(10))
    make_campaign(db)

    async def scenario(world: World) -> None:
        world.phone.down = "down: 127.0.0.1 does not answer OPTIONS"
        await asyncio.sleep(600)
        assert not world.phone.invites
        assert world.dialler.conditions() == {
            "spring": "waiting: trunk carrier is down: 127.0.0.1 does not answer OPTIONS"
        }
        world.phone.down = ""
        await world.until_state("spring", "completed")
        assert world.dialler.conditions() == {}

    dial(scenario)


def test_a_message_that_cannot_be_prepared_is_a_condition(
    dial: Callable[..., Any], db: Database
) -> None:
    from ivr.media.errors import PromptError

    make_list(db, numbers(3))
    make_campaign(db)

    async def scenario(world: World) -> None:
        world.prompts.trouble = PromptError("loi.mp3 has no sound in it")
        await asyncio.sleep(300)
        assert world.dialler.conditions() == {"spring": "waiting: loi.mp3 has no sound in it"}
        world.prompts.trouble = None
        await world.until_state("spring", "completed")

    dial(scenario)


def test_a_database_that_fails_loses_no_result(dial: Callable[..., Any], db: Database) -> None:
    from store.errors import DatabaseBusy

    make_list(db, numbers(40))
    make_campaign(db)

    async def scenario(world: World) -> None:
        real = world.db.run
        failing = {"now": False, "times": 0}

        async def flaky(fn: Any, *, write: bool = True) -> Any:
            if failing["now"]:
                failing["times"] += 1
                await asyncio.sleep(0.01)
                raise DatabaseBusy("The database is locked by another program.")
            return await real(fn, write=write)

        world.db.run = flaky  # type: ignore[method-assign]
        await world.until(lambda: len(world.phone.invites) >= 10)
        failing["now"] = True
        await asyncio.sleep(120)
        assert not world.phone.up
        assert "locked" in world.dialler.conditions()["spring"]
        assert failing["times"] < 100, "it does not back off"
        failing["now"] = False
        await world.until_state("spring", "completed")
        assert world.phone.calls_of == dict.fromkeys(numbers(40), 1)
        assert (await world.status())["results"] == {"answered": 40}

    dial(scenario, channels=5, threads=True)


def test_the_clock_stepping_back_rings_nobody_twice(dial: Callable[..., Any], db: Database) -> None:
    make_list(db, numbers(20))
    make_campaign(db, purpose="advertising", hours="00:00-24:00", preset=Preset.VN)

    async def scenario(world: World) -> None:
        await world.until(lambda: len(world.phone.invites) >= 10)
        world.clock.offset = timedelta(hours=-5)
        await world.until_state("spring", "completed")
        real = [world.clock.start + timedelta(seconds=at) for at in rang_at]
        check_cap(list(zip(real, (n for _, n, _ in world.phone.invites), strict=True)), 1)

    rang_at: list[float] = []
    dial(
        scenario,
        lambda _number, nth: Customer(Result.NO_ANSWER if nth == 0 else Result.ANSWERED, rings=20),
        compliance=Compliance(Preset.VN),
        channels=2,
        on_invite=lambda _number, _id: rang_at.append(asyncio.get_running_loop().time()),
    )


def test_draining_lets_calls_end_and_hangs_up_the_late_ones(
    dial: Callable[..., Any], db: Database
) -> None:
    make_list(db, numbers(20))
    campaign = make_campaign(db)
    quick = set(numbers(20)[:5])

    async def scenario(world: World) -> None:
        await world.until(lambda: len(world.phone.up) == 10)
        began = asyncio.get_running_loop().time()
        assert await world.dialler.drain(30) == 5
        assert asyncio.get_running_loop().time() - began < 60
        assert len(world.phone.invites) == 10

    dial(
        scenario, lambda n, _nth: Customer(listens=10 if n in quick else 9999), channels=10,
        threads=True,
    )  # fmt: skip
    found = calls(db)
    assert [c.result for c in found].count("failed") == 5 or {c.hangup_by for c in found} >= {"us"}
    assert all(c.ended_at for c in found)
    states = [lead.state for lead in leads_of(db, campaign).values()]
    assert states.count("live") == 0


def test_a_list_of_none_completes_at_once(dial: Callable[..., Any], db: Database) -> None:
    make_list(db, [])
    make_campaign(db)

    async def scenario(world: World) -> None:
        await world.until_state("spring", "completed")

    dial(scenario)
