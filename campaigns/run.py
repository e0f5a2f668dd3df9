"""One running campaign: slots taken, leads claimed, calls made, until none is left.

The intake is one task: it waits until a lead is due, takes the campaign's and the trunk's slot,
and hands both to a task of the call's own, which claims the lead and sees the call through. A
pause cancels the intake; calls that are up are left alone.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from campaigns import broadcast, campaigns, fill, leads, status
from campaigns.claim import Claim, Claiming, NothingDue, NotRunning, claim
from campaigns.conversation import Conversation
from campaigns.figures import CampaignFigures, Figures
from campaigns.office import Office
from campaigns.settings import Settings
from campaigns.settle import Settled
from ivr.media.errors import MediaError
from ivr.slots import Channels, Pace, Slot
from ivr.trunks import TrunkDown
from store.errors import StoreError
from store.models import Campaign, LeadState

log = logging.getLogger(__name__)

T = TypeVar("T")
Look = Claim | NothingDue | NotRunning

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between tries while something is out of order


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign as its row has it."""

    id: uuid.UUID
    name: str
    trunk: str
    settings: Settings

    @classmethod
    def of(cls, campaign: Campaign) -> Plan:
        """Read a row. Raises BadSettings."""
        return cls(campaign.id, campaign.name, campaign.trunk, Settings.load(campaign.settings))


class CampaignRun:
    """A campaign this process dials. `unsettled`: leads whose call is not on record as over."""

    def __init__(self, office: Office, plan: Plan) -> None:
        self.office = office
        self.plan = plan
        self.law = plan.settings.law(office.compliance)
        self.figures = Figures()
        self.condition = ""
        self.unsettled: set[uuid.UUID] = set()
        self.calls: set[asyncio.Task[None]] = set()
        self.filled_upto = -1
        self._sounds: broadcast.Broadcast | None = None
        self._intake: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._next_due: datetime | None = office.now()  # None: no lead waits
        self._channels = Channels(plan.settings.max_calls) if plan.settings.max_calls else None
        self._pace = Pace(plan.settings.cps) if plan.settings.cps else None

    # -- from outside ----------------------------------------------------------------------

    @property
    def dialling(self) -> bool:
        """Whether new calls may be made."""
        return self._intake is not None and not self._intake.done()

    def open(self) -> None:
        """Begin to dial, or go on."""
        if not self.dialling:
            self.condition = ""
            self._next_due = self.office.now()
            self._intake = asyncio.create_task(self._dial_all(), name=f"dial {self.plan.name}")

    async def close(self) -> None:
        """Dial nothing new."""
        if self._intake is not None:
            self._intake.cancel()
            await asyncio.gather(self._intake, return_exceptions=True)

    def wake(self, due: datetime | None = None) -> None:
        """Look again: a lead is due at `due`, or (None) may have come to wait unseen."""
        due = due or self.office.now()
        self._next_due = due if self._next_due is None else min(self._next_due, due)
        self._wake.set()

    async def fill(self, upto: int) -> None:
        """Make leads of the list's members up to a position, if that has not been done."""
        if self.filled_upto < 0:
            self.filled_upto = await self._read(fill.filled_upto)
        while self.filled_upto < upto:
            made, reached = await self.office.db.run(self._fill_batch)
            if reached == self.filled_upto:
                break
            self.filled_upto = reached
            if made:
                log.info("campaign %s: %d numbers of its list are new", self.plan.name, made)
                self.wake()

    def snapshot(self) -> CampaignFigures:
        """The live figures."""
        figures = self.figures
        return CampaignFigures(
            name=self.plan.name,
            trunk=self.plan.trunk,
            running=self.dialling,
            calls=tuple(figures.up),
            answered=sum(figures.up.values()),
            calls_per_second=figures.calls_per_second(asyncio.get_running_loop().time()),
            results=dict(figures.results),
            keys=dict(figures.keys),
            outcomes=dict(figures.outcomes),
            condition=self.condition,
        )

    # -- the intake ------------------------------------------------------------------------

    async def _dial_all(self) -> None:
        """Dial until no lead is left; whatever is out of order is said, waited for and retried."""
        pause = FIRST_PAUSE
        while True:
            try:
                if not await self._until_due():
                    return
                self._next_due = None  # whoever wakes us from here on is not forgotten
                look = await self._try_one()
                if isinstance(look, NotRunning):
                    return
                await self._take_note(look)
                pause = FIRST_PAUSE
                continue
            except (TrunkDown, StoreError, MediaError, OSError) as error:
                self._say(f"waiting: {error}", logging.WARNING)
            except Exception as error:
                log.exception("campaign %s stumbled", self.plan.name)
                self._say(f"internal error, trying again: {error!r}", logging.ERROR)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            self.wake()

    def _say(self, condition: str, level: int = logging.INFO) -> None:
        if condition and condition != self.condition:
            log.log(level, "campaign %s: %s", self.plan.name, condition)
        self.condition = condition

    async def _until_due(self) -> bool:
        """Wait until a lead may be due; False: the campaign is over."""
        if self._sounds is None:
            await self._prepare()
        while self._next_due is None or self._next_due > self.office.now():
            if self._next_due is None and not self.unsettled and await self._is_over():
                return False
            self._wake.clear()
            try:
                async with asyncio.timeout(self._patience()):
                    await self._wake.wait()
            except TimeoutError:
                await self._look_again()
        return True

    def _patience(self) -> float:
        """Seconds until the database is looked at again, even if nobody wakes us."""
        if self._next_due is None:
            return self.office.poll
        left = (self._next_due - self.office.now()).total_seconds()
        return max(0.0, min(self.office.poll, left))

    async def _look_again(self) -> None:
        """Ask the database when the first lead is due; somebody may wake us meanwhile."""
        self._next_due = None
        if due := await self._read(leads.next_due):
            self.wake(due)

    async def _prepare(self) -> None:
        """What has to be there before the first call: sounds, and the figures so far."""
        office, plan = self.office, self.plan
        sounds = await broadcast.prepare(plan.settings, office.prompts, office.home)
        so_far = await office.db.run(
            lambda session: status.status(session, plan.name, now=office.now()), write=False
        )
        self.figures.results.update(so_far["results"])
        self.figures.keys.update(so_far["keys"])
        self.figures.outcomes.update(so_far["outcomes"])
        self._sounds = sounds

    async def _is_over(self) -> bool:
        """Complete the campaign if nothing waits, nothing is live and the list has no more."""
        office, plan = self.office, self.plan
        if await self._read(_has_new):
            self.filled_upto = 0  # a number's place may be lower than the last one's
            await self.fill(sys.maxsize)
            return False
        over = await office.db.run(
            lambda session: campaigns.complete(session, plan.id, now=office.now())
        )
        if over:
            self._say("")
            log.info("campaign %s is completed", plan.name)
        return over

    async def _take_note(self, look: Claim | NothingDue) -> None:
        """Draw the conclusion from what the last look found."""
        if isinstance(look, Claim):
            self._say("")
            self.wake()
            return
        if look.next_at is not None:
            self.wake(look.next_at)
            self._say(await self._read(self._why_blocked))

    # -- one attempt -----------------------------------------------------------------------

    async def _try_one(self) -> Look:
        """Take slots and give them to a call; returns as soon as its lead is claimed, or none is.

        Whatever becomes of the call's task, cancelled before its first step included, the slots
        go back when it is done.
        """
        with ExitStack() as held:
            slot = await self._slot(held)
            looked: asyncio.Future[Look] = asyncio.get_running_loop().create_future()
            call = asyncio.create_task(self._call(slot, looked), name=f"call of {self.plan.name}")
            give_back = held.pop_all().close
        self.calls.add(call)
        call.add_done_callback(lambda _: give_back())
        call.add_done_callback(self.calls.discard)
        call.add_done_callback(lambda _: looked.cancel())
        return await looked

    async def _slot(self, held: ExitStack) -> Slot:
        """Take one channel of the campaign's and one of the trunk's, each with its rate."""
        if self._channels is not None:
            await self._channels.take()
            held.callback(self._channels.give_back)
        if self._pace is not None:
            await self._pace.take()
        return held.enter_context(await self.office.phone.reserve(self.plan.trunk))

    async def _call(self, slot: Slot, looked: asyncio.Future[Look]) -> None:
        try:
            look = await self._look(slot, looked)
        except Exception as error:
            if not looked.done():
                looked.set_exception(error)
            return
        if not looked.done():
            looked.set_result(look)
        if not isinstance(look, Claim):
            return
        if looked.cancelled():  # the intake was closed while we looked
            self._conversation(look).give_back()
        else:
            await self._conversation(look).hold(slot)

    async def _look(self, slot: Slot, looked: asyncio.Future[Look]) -> Look:
        """Claim a lead. At closing time all are refused, in several looks, before none is left."""
        while True:
            look = await self._claim(slot)
            if (
                not isinstance(look, NothingDue)
                or looked.done()
                or not look.more(self.office.now())
            ):
                return look

    async def _claim(self, slot: Slot) -> Look:
        """Claim a lead; a claim made while we were cancelled is given back, not lost."""
        what = Claiming(
            campaign_id=self.plan.id,
            owner=self.office.owner,
            trunk=slot.trunk,
            law=self.law,
            lease=self.office.lease,
            caller_ids=self.plan.settings.caller_ids or slot.caller_ids,
        )
        claiming = asyncio.ensure_future(
            self.office.db.run(lambda session: claim(session, what, self.office.now()))
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with suppress(StoreError):
                if isinstance(look := await claiming, Claim):
                    self._conversation(look).give_back()
            raise

    def _conversation(self, claimed: Claim) -> Conversation:
        assert self._sounds is not None  # prepared before the first claim
        self.unsettled.add(claimed.lead_id)
        return Conversation(
            self.office, claimed, self.plan.settings, self._sounds, self.figures, self._settled
        )

    def _settled(self, claimed: Claim, moved: Settled | None) -> None:
        self.unsettled.discard(claimed.lead_id)
        if moved is not None and moved.next_at is not None:
            self.wake(moved.next_at)
        self._wake.set()

    # -- the database ----------------------------------------------------------------------

    async def _read(self, look: Callable[[Session, uuid.UUID], T]) -> T:
        return await self.office.db.run(lambda session: look(session, self.plan.id), write=False)

    def _why_blocked(self, session: Session, campaign_id: uuid.UUID) -> str:
        campaign = session.get_one(Campaign, campaign_id)
        blocked = status.why_blocked(session, campaign, self.office.now())
        if blocked is None or blocked.until is None:
            return ""
        local = blocked.until.astimezone(ZoneInfo(self.office.compliance.home))
        return f"waiting until {local:%Y-%m-%d %H:%M:%S %Z}: {blocked.detail}"

    def _fill_batch(self, session: Session) -> tuple[int, int]:
        campaign = session.get_one(Campaign, self.plan.id)
        return fill.fill(session, campaign, after=self.filled_upto, now=self.office.now())


def _has_new(session: Session, campaign_id: uuid.UUID) -> bool:
    """Whether all leads are done and the list has a number that is no lead yet."""
    if leads.is_any(session, campaign_id, LeadState.WAITING, LeadState.LIVE):
        return False
    return fill.has_new_members(session, session.get_one(Campaign, campaign_id))
