"""A day of dialling 10,000 people, in seconds."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from blockbuster import BlockBuster

from campaigns.dialler import Dialler
from campaigns.presets import Compliance, Preset
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

PEOPLE = 4_000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_day_of_dialling(tmp_path: Path, never_block_the_loop: BlockBuster) -> None:
    never_block_the_loop.deactivate()  # the database works inline here, to be quick
    db = SimulatedDatabase.open(f"sqlite:///{tmp_path}/tongdai.db", migrate=True)
    db.inline = True
    people = numbers(PEOPLE)
    make_list(db, people)
    spring = make_campaign(db, purpose="advertising", hours=None, preset=Preset.VN, max_calls=30)
    most_up = 0

    async def day() -> None:
        nonlocal most_up
        clock = WallClock()
        phone = FakePhone(crowd(7), now=clock, channels=40, rate=5)
        dialler = Dialler(
            db, phone, SilentPrompts(), home=tmp_path, node="test", now=clock,
            compliance=Compliance(Preset.VN), poll=600.0, lease=timedelta(hours=1),
        )  # fmt: skip
        await dialler.start()
        await asyncio.sleep(24 * 3600)
        await dialler.drain(60)
        assert phone.in_use == 0
        most_up = phone.most_up

    simulate(day)
    check_invariants(db, live=0)
    made = calls(db)
    local = Counter((call.started_at + timedelta(hours=7)).hour for call in made)
    assert set(local) <= set(range(8, 17)), "called outside the hours"
    assert most_up == 30
    busiest = max(Counter(call.started_at.replace(microsecond=0) for call in made).values())
    assert busiest <= 6, "dialled faster than the trunk allows"
    check_cap([(c.started_at, c.number) for c in made if c.ringing_at or c.answered_at], 1)
    states = Counter(lead.state for lead in leads_of(db, spring).values())
    assert sum(states.values()) == PEOPLE
    assert states["done"] > PEOPLE / 2
    assert len(made) > PEOPLE / 2
    db.close()
