"""Whatever happens, in any order: no slot leaks, no rule breaks, no lead is in two states."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import campaigns
from campaigns.dialler import Dialler
from campaigns.errors import IllegalMove
from campaigns.presets import Compliance, Preset
from store.database import Database
from store.errors import DatabaseBusy
from store.models import CampaignState
from tests.campaigns.fakes import (
    FakePhone,
    SilentPrompts,
    SimulatedDatabase,
    WallClock,
    crowd,
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

CHANNELS, MOST = 12, 7  # of the trunk; of one campaign


class Storm:
    """A server that lives through a list of events, restarts included."""

    def __init__(self, db: SimulatedDatabase, seed: int, home: Path) -> None:
        self.db, self.home = db, home
        self.random = random.Random(seed)
        self.clock = WallClock()
        self.phone = FakePhone(crowd(seed, exploding=True), now=self.clock, channels=CHANNELS)
        self.failing = 0.0
        self._real = db.run
        db.run = self._flaky  # type: ignore[method-assign]
        self.dialler = self._new()

    def _new(self) -> Dialler:
        return Dialler(
            self.db, self.phone, SilentPrompts(), home=self.home, node="test", now=self.clock,
            compliance=Compliance(Preset.VN), poll=3600.0, lease=timedelta(hours=4),
        )  # fmt: skip

    async def _flaky(self, fn: Any, *, write: bool = True) -> Any:
        if self.failing and self.random.random() < self.failing:
            await asyncio.sleep(self.random.random())
            raise DatabaseBusy("The database is locked by another program.")
        return await self._real(fn, write=write)

    async def pause(self) -> None:
        await self._move(campaigns.pause)

    async def resume(self) -> None:
        await self._move(campaigns.resume)

    async def stop(self) -> None:
        await self._move(campaigns.stop, "doomed")

    async def _move(self, verb: Callable[..., Any], name: str = "spring") -> None:
        try:
            await self._real(lambda s: verb(s, name, actor="me", now=self.clock()) and None)
        except IllegalMove:
            return
        self.dialler.wake()

    async def trunk_down(self) -> None:
        self.phone.down = "down: no answer to OPTIONS"

    async def trunk_up(self) -> None:
        self.phone.down = ""

    async def database_shaky(self) -> None:
        self.failing = 0.3

    async def database_well(self) -> None:
        self.failing = 0.0

    async def numbers_added(self) -> None:
        await self._real(
            lambda _: make_list(self.db, numbers(5, start=self.random.randrange(10**6)))
        )

    async def cancel_a_call(self) -> None:
        running = [task for run in self.dialler._runs.values() for task in run.calls]
        if running:
            self.random.choice(running).cancel()

    async def restart(self) -> None:
        """SIGTERM with little patience, then a new process."""
        failing, self.failing = self.failing, 0.0
        await self.dialler.drain(self.random.choice([0, 5, 60]))
        assert self.phone.in_use == 0
        self.dialler = self._new()
        await self.dialler.start()
        self.failing = failing

    async def live_through(self, events: list[tuple[str, int]]) -> None:
        await self.dialler.start()
        for event, seconds in events:
            await asyncio.sleep(seconds)
            await getattr(self, event)()
            assert self.phone.most_up <= CHANNELS
            for run in self.dialler.snapshot():
                assert run.name != "spring" or len(run.calls) <= MOST
        self.failing, self.phone.down = 0.0, ""
        await self.resume()
        await asyncio.sleep(6 * 86400)
        await self.dialler.drain(600)
        assert self.phone.in_use == 0, "a slot leaked"
        assert self.phone.given == self.phone.returned


EVENTS = [
    "pause", "resume", "resume", "stop", "trunk_down", "trunk_up", "trunk_up", "database_shaky",
    "database_well", "numbers_added", "cancel_a_call", "cancel_a_call", "restart",
]  # fmt: skip
storms = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 900)), max_size=12)


@pytest.mark.slow
@pytest.mark.timeout(300)
@given(events=storms, seed=st.integers(0, 10**6))
@settings(
    max_examples=8, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_no_storm_breaks_a_rule(
    never_block_the_loop: BlockBuster, events: list[tuple[str, int]], seed: int
) -> None:
    never_block_the_loop.deactivate()  # the database works inline here, to be quick
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/tongdai.db"
        db = SimulatedDatabase.open(url, migrate=True)
        db.inline = True
        try:
            _weather(db, events, seed, Path(folder))
        finally:
            db.close()


def _weather(db: SimulatedDatabase, events: list[tuple[str, int]], seed: int, home: Path) -> None:
    make_list(db, numbers(30))
    make_list(db, numbers(10), name="some of them")
    make_list(db, numbers(10, start=5000), name="others")
    ads = {"purpose": "advertising", "preset": Preset.VN}
    spring = make_campaign(db, max_calls=MOST, **ads)
    make_campaign(db, name="second", list_name="some of them", **ads)
    doomed = make_campaign(db, name="doomed", list_name="others", **ads)
    invites: list[Any] = []

    def main() -> Coroutine[Any, Any, None]:
        async def run() -> None:
            storm = Storm(db, seed, home)
            invites.extend([storm.phone])
            await storm.live_through(events)

        return run()

    simulate(main)
    del db.run  # the flaky one
    check_everything(db, invites[0], spring, doomed)


def check_everything(db: Database, phone: FakePhone, spring: Any, doomed: Any) -> None:
    check_invariants(db, live=0)
    on_record = {call.id: call for call in calls(db)}
    assert {call_id for _, _, call_id in phone.invites} <= set(on_record), "an unknown INVITE"
    reached = [
        (call.started_at, call.number)
        for call in on_record.values()
        if call.ringing_at or call.answered_at or (call.result == "failed" and call.invited_at)
    ]
    check_cap(reached, 1)
    for lead in leads_of(db, spring).values():
        assert lead.state == "done", f"{lead.number} still {lead.state} after six days"
        assert lead.attempts <= 3
    with db.read() as session:
        state = session.get_one(campaigns.Campaign, doomed).state
    reasons = {lead.reason for lead in leads_of(db, doomed).values()}
    assert state in {CampaignState.STOPPED, CampaignState.COMPLETED}
    assert state == CampaignState.STOPPED or "stopped" not in reasons
