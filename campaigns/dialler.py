"""The dialler: follows the campaigns in the database and dials those that run.

It never holds business state of its own: what is claimed, live and done is in the database, and
another process that finds an expired lease puts right what this one left behind.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from campaigns import leads
from campaigns.errors import CampaignsError
from campaigns.figures import CampaignFigures
from campaigns.office import Office, utc_now
from campaigns.outbox import Outbox
from campaigns.ports import Phone, Prompts
from campaigns.presets import Compliance
from campaigns.reconcile import Reconciled, close_calls, expired, left_by, reconcile, renew
from campaigns.run import CampaignRun, Plan
from store.database import Database
from store.errors import StoreError
from store.models import Campaign, CampaignState, Lead, LeadState, ListMember
from store.types import new_id

log = logging.getLogger(__name__)

HANG_UP_LIMIT = 10.0  # seconds for calls to hang up once they were told to
STORE_LIMIT = 30.0  # seconds for results to be stored when the server stops


@dataclass(frozen=True, slots=True)
class Followed:
    """What a look at the database found."""

    running: Sequence[tuple[Campaign, int]]  # with the last position of its list
    to_close: Sequence[uuid.UUID]  # stopped campaigns with leads that still wait


def node_name(home: Path) -> str:
    """This installation's name in leases: the same in each of its processes' lives."""
    return f"{socket.gethostname()}:{home.resolve()}"


class Dialler:
    """Dials every running campaign. One per server process, and one server process per home."""

    def __init__(
        self,
        db: Database,
        phone: Phone,
        prompts: Prompts,
        *,
        home: Path,
        node: str = "",
        compliance: Compliance | None = None,
        recordings: Path | None = None,
        now: Callable[[], datetime] = utc_now,
        lease: timedelta = timedelta(seconds=60),
        poll: float = 2.0,
    ) -> None:
        self.node = node or node_name(home)
        self.owner = f"{self.node}#{new_id()}"
        self._outbox = Outbox(db)
        self._office = Office(
            db, phone, prompts, self._outbox, self.owner, home,
            compliance or Compliance(), recordings, now, lease, poll,
        )  # fmt: skip
        self._runs: dict[uuid.UUID, CampaignRun] = {}
        self._broken: dict[str, str] = {}  # campaign -> why it cannot be dialled at all
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> Reconciled:
        """Put right what earlier processes of this node left behind, then begin to dial."""
        office = self._office
        found = await self._reconcile(left_by(self.node, self.owner))
        found += await self._reconcile(expired(office.now()))
        found += Reconciled(calls=await office.db.run(self._close_calls))
        if found:
            log.warning(
                "an earlier server process left %d calls without an end: %d leads wait again, "
                "%d are done", found.calls, found.waiting, found.done,
            )  # fmt: skip
        self._outbox.start()
        self._tasks = [
            asyncio.create_task(self._follow_all(), name="dialler: campaigns"),
            asyncio.create_task(self._keep_leases(), name="dialler: leases"),
        ]
        return found

    def wake(self) -> None:
        """Look at the database now: a campaign was started, paused, stopped, its list has grown."""
        self._wake.set()

    def snapshot(self) -> list[CampaignFigures]:
        """The live figures of the campaigns that run, and of those whose last calls end."""
        return [run.snapshot() for run in self._runs.values()]

    def conditions(self) -> dict[str, str]:
        """Why a running campaign does not dial now, by campaign; those that dial are left out."""
        found = {run.plan.name: run.condition for run in self._runs.values() if run.condition}
        if self._outbox.trouble:
            found |= {run.plan.name: self._outbox.trouble for run in self._runs.values()}
        return found | self._broken

    @property
    def calls_up(self) -> int:
        """Calls being set up or up."""
        return sum(len(run.figures.up) for run in self._runs.values())

    async def drain(self, limit: float, *, hurry: asyncio.Event | None = None) -> int:
        """Stop dialling, let calls end for at most `limit` seconds, store every result.

        Setting `hurry` ends the wait. Returns how many calls had to be cut short.
        """
        if not self._tasks:
            return 0
        follow, *others = self._tasks
        await _cancel(follow)
        await asyncio.gather(*(run.close() for run in self._runs.values()))
        calls = [task for run in self._runs.values() for task in run.calls]
        late: set[asyncio.Task[None]] = set()
        if calls:
            log.info("waiting up to %.0f s for %d calls to end", limit, len(calls))
            late = await _outlasting(calls, limit, hurry or asyncio.Event())
        for task in late:
            task.cancel()
        if late:
            log.warning("%d calls were still up and are hung up", len(late))
            await asyncio.wait(late, timeout=HANG_UP_LIMIT)
        await self._outbox.flush(STORE_LIMIT)
        await _cancel(*others)
        await self._outbox.close()
        self._tasks = []
        return len(late)

    # -- following the database --------------------------------------------------------------

    async def _follow_all(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._follow(await self._office.db.run(_look, write=False))
            except StoreError as error:
                log.error("the dialler cannot read the campaigns: %s", error)
            except Exception:
                log.exception("the dialler stumbled; it goes on")
            try:
                async with asyncio.timeout(self._office.poll):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _follow(self, found: Followed) -> None:
        """Open, fill and close runs so that they are what the database says."""
        self._broken.clear()
        running: set[uuid.UUID] = set()
        for campaign, last_position in found.running:
            running.add(campaign.id)
            try:
                run = self._run_of(campaign)
            except CampaignsError as error:
                self._broken[campaign.name] = str(error)
                continue
            run.open()
            await run.fill(last_position)
        for campaign_id in set(self._runs) - running:
            await self._retire(campaign_id)
        for campaign_id in found.to_close:
            while await self._office.db.run(partial(self._sweep, campaign_id=campaign_id)):
                pass

    def _run_of(self, campaign: Campaign) -> CampaignRun:
        run = self._runs.get(campaign.id)
        if run is None:
            run = self._runs[campaign.id] = CampaignRun(self._office, Plan.of(campaign))
        return run

    async def _retire(self, campaign_id: uuid.UUID) -> None:
        """A campaign runs no more: dial nothing new, forget it when its last call is settled."""
        run = self._runs[campaign_id]
        await run.close()
        if not run.calls and not run.unsettled:
            del self._runs[campaign_id]

    # -- leases ------------------------------------------------------------------------------

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._office.lease.total_seconds() / 3)
            try:
                found = await self._look_after_leases()
            except StoreError as error:
                log.error("leases cannot be renewed: %s", error)
                continue
            if found:
                log.warning("%d leads were left by a process that is gone", found.leads)
                for run in self._runs.values():
                    run.wake()

    async def _look_after_leases(self) -> Reconciled:
        """Renew the leases of live calls; put right those that others let expire."""
        office = self._office
        ours = {lead for run in self._runs.values() for lead in run.unsettled}
        until = office.now() + office.lease
        if ours:
            await office.db.run(lambda session: renew(session, ours, self.owner, until))
        return await self._reconcile(expired(office.now(), but=ours))

    async def _reconcile(self, which: ColumnElement[bool]) -> Reconciled:
        total = Reconciled()
        while found := await self._office.db.run(
            lambda session: reconcile(session, which, self._office.now())
        ):
            total += found
        return total

    def _close_calls(self, session: Session) -> int:
        return close_calls(session, self.node, self.owner, self._office.now())

    def _sweep(self, session: Session, campaign_id: uuid.UUID) -> int:
        return leads.sweep(session, campaign_id, now=self._office.now())


def _look(session: Session) -> Followed:
    """The campaigns that run, and those whose leads are to be closed."""
    last = (
        select(func.max(ListMember.position))
        .where(ListMember.list_id == Campaign.list_id)
        .scalar_subquery()
    )
    running = session.execute(
        select(Campaign, func.coalesce(last, 0)).where(Campaign.state == CampaignState.RUNNING)
    )
    waits = exists().where(Lead.campaign_id == Campaign.id, Lead.state == LeadState.WAITING)
    stopped = select(Campaign.id).where(Campaign.state == CampaignState.STOPPED, waits)
    return Followed([(row[0], row[1]) for row in running], session.scalars(stopped).all())


async def _outlasting(
    calls: Sequence[asyncio.Task[None]], limit: float, hurry: asyncio.Event
) -> set[asyncio.Task[None]]:
    """Wait for calls to end; those still up after `limit` seconds, or once `hurry` is set."""
    over = asyncio.create_task(asyncio.wait(calls))
    told = asyncio.create_task(hurry.wait())
    await asyncio.wait({over, told}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    await _cancel(over, told)
    return {call for call in calls if not call.done()}


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
