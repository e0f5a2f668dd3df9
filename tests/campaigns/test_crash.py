"""kill -9 at random instants: nothing is lost, and nobody is rung twice within the rule."""

from __future__ import annotations

import multiprocessing
import random
import signal
import uuid
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest

from campaigns.presets import Preset
from campaigns.reconcile import left_by, reconcile
from store.database import Database
from store.models import LeadState
from tests.campaigns import dialler_process
from tests.campaigns.world import (
    calls,
    check_invariants,
    leads_of,
    make_campaign,
    make_list,
    numbers,
)

RUNS = 40
PEOPLE = 1500


# Forked from a process that has everything imported: a fresh one in milliseconds.
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tests.campaigns.dialler_process"])


def killed_after(url: str, home: Path, log: Path, invites: int, seconds: float) -> None:
    """Run a server process and kill it so many INVITEs, and then seconds, after it is up."""
    before = len(rung(log))
    up = context.Event()
    process = context.Process(
        target=dialler_process.serve, args=(url, str(home), str(log), up), daemon=True
    )
    process.start()
    assert up.wait(60)
    deadline = monotonic() + 60
    while len(rung(log)) < before + invites:
        assert monotonic() < deadline, "it does not dial"
        process.join(0.005)
    process.join(seconds)
    assert process.exitcode is None, "the campaign was over before the end of the test"
    process.kill()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


def rung(log: Path) -> list[tuple[str, uuid.UUID]]:
    """Every INVITE that left; a line cut short by the kill left none."""
    if not log.exists():
        return []
    lines = log.read_bytes().split(b"\n")[:-1]
    return [(number.decode(), uuid.UUID(call.decode())) for number, call in map(bytes.split, lines)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_kill_loses_a_lead_or_rings_a_number_twice(
    db: Database, db_url: str, tmp_path: Path
) -> None:
    make_list(db, numbers(PEOPLE))
    now = datetime.now(UTC)
    campaign = make_campaign(db, purpose="advertising", preset=Preset.VN, now=now, attempts=5)
    log = tmp_path / "invites"
    chance = random.Random(20261121)
    runs = RUNS if db.engine.dialect.name == "sqlite" else RUNS // 4
    for _ in range(runs):
        killed_after(db_url, tmp_path, log, chance.randrange(20), chance.random() / 20)
        check_invariants(db)  # as the dead process left it: a live lead has one open call
        on_record = {call.id for call in calls(db)}
        assert {call_id for _, call_id in rung(log)} <= on_record, "an INVITE is not on record"
    with db.write() as session:
        reconcile(session, left_by("test", ""), datetime.now(UTC))
    check_invariants(db, live=0)
    leads = leads_of(db, campaign)
    assert len(leads) == PEOPLE
    assert {lead.state for lead in leads.values()} <= {LeadState.WAITING, LeadState.DONE}
    dialled = [number for number, _ in rung(log)]
    assert len(dialled) > runs, "the processes hardly dialled"
    assert len(dialled) == len(set(dialled)), "a number was rung twice within its rule"
