"""A server process for the crash tests: dials with a fake phone and writes down every INVITE.

Each INVITE is one line of a log, `number call-id`, written unbuffered in the instant it leaves.
It runs until it is killed, or until the campaign is over.
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from datetime import timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

from campaigns import campaigns
from campaigns.dialler import Dialler
from campaigns.presets import Compliance, Preset
from ivr.result import Result
from store.database import Database
from store.models import CampaignState
from tests.campaigns.fakes import Customer, FakePhone, SilentPrompts


def hurried(number: str, _nth: int) -> Customer:
    """A customer of milliseconds."""
    result = random.choice([Result.ANSWERED, Result.ANSWERED, Result.NO_ANSWER, Result.BUSY])
    keys = random.choice(["", "1", "2"])
    return Customer(result, rings=random.random() / 50, listens=0.05, keys=keys, presses_after=0.01)


def serve(url: str, home: str, log: str, up: Event) -> None:
    """Dial until the campaign is over; `up` is set once dialling has begun."""
    asyncio.run(_serve(url, home, log, up))


async def _serve(url: str, home: str, log: str, up: Event) -> None:
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def invited(number: str, call_id: uuid.UUID) -> None:
        os.write(out, f"{number} {call_id}\n".encode())

    db = await asyncio.to_thread(Database.open, url)
    dialler = Dialler(
        db, FakePhone(hurried, on_invite=invited, channels=8), SilentPrompts(0.02),
        home=Path(home), node="test", compliance=Compliance(Preset.VN), poll=0.05,
        lease=timedelta(seconds=30),
    )  # fmt: skip
    await dialler.start()
    up.set()
    while True:
        campaign = await db.run(lambda session: campaigns.get(session, "spring"), write=False)
        if campaign.state == CampaignState.COMPLETED:
            break
        await asyncio.sleep(0.05)
    await dialler.drain(5)
