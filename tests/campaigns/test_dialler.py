"""The dialler against scripted customers, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import select

from campaigns import campaigns, status
from campaigns.dialler import Dialler
from campaigns.presets import Compliance, Preset
from ivr.result import Result
from store.database import Database
from store.models import CallEvent, CallRow, DncEntry, Suppression
from tests.campaigns.fakes import (
    NOON,
    Behaviour,
    Customer,
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
            await asyncio.sleep(60)
        raise AssertionError(f"{name} never became {state}")

    async def status(self, name: str = "spring") -> dict[str, Any]:
        return await self.db.run(
            lambda session: status.status(session, name, now=self.clock()), write=False
        )


@pytest.fixture
def dial(db_url: str, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs a scenario against a dialler in virtual time."""

    def run(
        scenario: Callable[[World], Coroutine[Any, Any, T]],
        behaviour: Behaviour = lambda _number, _nth: Customer(),
        *,
        compliance: Compliance | None = None,
        drain: float = 600.0,
        poll: float = 30.0,
        **phone: Any,
    ) -> T:
        db = SimulatedDatabase.open(db_url)

        async def main() -> T:
            clock = WallClock()
            world = World(
                db, clock, FakePhone(behaviour, now=clock, **phone), SilentPrompts(),
                None,  # type: ignore[arg-type]
            )  # fmt: skip
            world.dialler = Dialler(
                db, world.phone, world.prompts, home=tmp_path, node="test", now=clock, poll=poll,
                compliance=compliance or Compliance(Preset.NONE),
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

    dial(scenario)
    with db.read() as session:
        assert session.scalars(select(CallEvent.kind)).all().count("invite") == 30
