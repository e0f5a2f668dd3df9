"""Stand-ins for the world: virtual time, a phone with scripted customers, silent prompts."""

from __future__ import annotations

import asyncio
import random
import selectors
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from campaigns.ports import Script
from ivr.media.prompts import Prompt
from ivr.result import Result
from ivr.slots import Channels, Pace, Slot
from ivr.story import CallFailed, CallStory, OnStory, StoryEvent
from ivr.trunks import TrunkDown
from store.database import Database

T = TypeVar("T")

NOON = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)  # a Monday, 12:00 in Vietnam


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer whenever nothing is left to do now.

    Work on database threads is waited for in real time, with the clock standing still.
    """

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.busy = 0  # jobs on threads
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self.elapsed

    def rest(self) -> None:
        self.busy -= 1


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if self.loop.busy:
            return super().select(None if timeout is None or timeout > 0 else 0)
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen again: the test hangs")
        if not ready and timeout:
            # A hair more, or rounding leaves the timer a tick ahead of the clock.
            self.loop.elapsed += timeout + 1e-9
        return ready


class SimulatedDatabase(Database):
    """A database for virtual time, which stands still while its threads work.

    `inline` does without threads: much quicker, where a test is not about them.
    """

    inline = False

    async def run(self, fn: Callable[[Session], T], *, write: bool = True) -> T:
        if self.inline:
            await asyncio.sleep(0)
            return self._transact(fn, self.write if write else self.read)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.busy += 1
        job = asyncio.ensure_future(super().run(fn, write=write))
        job.add_done_callback(lambda _: loop.rest())
        return await asyncio.shield(job)


async def in_thread(work: Callable[..., T], *args: Any, **options: Any) -> T:
    """Run something on a thread, as `asyncio.to_thread` does; virtual time stands still for it."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.busy += 1
    job = asyncio.ensure_future(asyncio.to_thread(work, *args, **options))
    job.add_done_callback(lambda _: loop.rest())
    return await asyncio.shield(job)


def simulate(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.run_until_complete(_finish(loop))
        loop.close()


async def _finish(loop: VirtualLoop) -> None:
    """Let database threads hand in what nobody waits for any more."""
    while loop.busy:  # noqa: ASYNC110 (there is no event to wait for)
        await asyncio.sleep(0)


class WallClock:
    """A wall clock that follows the running virtual loop, and can be set by hand."""

    def __init__(self, start: datetime = NOON) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop, self.start, self.offset = loop, start, timedelta(0)

    def __call__(self) -> datetime:
        return self.start + self.offset + timedelta(seconds=self.loop.elapsed)


@dataclass(frozen=True)
class Customer:
    """What one person does when the phone rings. Times in seconds."""

    result: Result = Result.ANSWERED
    rings: float = 8.0
    listens: float = 20.0  # then hangs up, if the script has not ended
    keys: str = ""  # pressed after `presses_after` seconds of listening
    presses_after: float = 5.0
    explodes: str = ""  # where the phone itself fails: "dial" or "run"


SIP_CODES = {
    Result.BUSY: 486, Result.NO_ANSWER: 487, Result.REJECTED: 603, Result.INVALID_NUMBER: 404,
    Result.UNREACHABLE: 480, Result.CONGESTION: 503, Result.FORBIDDEN: 403, Result.FAILED: 400,
}  # fmt: skip
RINGS = {Result.ANSWERED, Result.MACHINE, Result.NO_ANSWER, Result.BUSY, Result.REJECTED}

Behaviour = Callable[[str, int], Customer]  # (number, how many calls it had) -> what it does


@dataclass
class FakePhone:
    """A phone whose customers are scripted. Counts what must never leak or be exceeded."""

    behaviour: Behaviour = lambda _number, _nth: Customer()
    channels: int = 100
    rate: float = 1000.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    caller_ids: tuple[str, ...] = ("+842873000000",)
    on_invite: Callable[[str, uuid.UUID], None] = lambda _number, _call_id: None
    down: str = ""  # why the trunk is down
    invites: list[tuple[datetime, str, uuid.UUID]] = field(default_factory=list)
    calls_of: Counter[str] = field(default_factory=Counter)
    up: set[str] = field(default_factory=set)
    most_up: int = 0
    given: int = 0
    returned: int = 0

    def __post_init__(self) -> None:
        self._channels = Channels(self.channels)
        self._pace = Pace(self.rate)

    @property
    def in_use(self) -> int:
        return self._channels.in_use

    async def reserve(self, trunk: str) -> Slot:
        if self.down:
            raise TrunkDown(trunk, self.down)
        await self._channels.take()
        try:
            await self._pace.take()
        except BaseException:
            self._channels.give_back()
            raise
        self.given += 1
        return Slot(trunk, self.caller_ids, self._give_back)

    def _give_back(self) -> None:
        self.returned += 1
        self._channels.give_back()

    async def dial(
        self,
        number: str,
        *,
        slot: Slot,
        caller_id: str,
        ring_timeout: float,
        call_id: uuid.UUID,
        on_event: OnStory,
    ) -> FakeCall:
        nth = self.calls_of[number]
        self.calls_of[number] += 1
        customer = self.behaviour(number, nth)
        if customer.explodes == "dial":
            raise RuntimeError("the phone fell over")
        story = CallStory(
            call_id, "out", number, caller_id=caller_id, trunk=slot.trunk, started_at=self.now()
        )
        assert number not in self.up, f"{number} is rung twice at once"
        self.on_invite(number, call_id)
        story.invited_at = self.now()
        self.invites.append((story.invited_at, number, call_id))
        on_event(StoryEvent(self.now(), "invite", {}))
        self.up.add(number)
        self.most_up = max(self.most_up, len(self.up))
        call = FakeCall(self, customer, story, slot, on_event)
        try:
            await self._ring(call, ring_timeout)
        except BaseException:
            call.end("us")
            raise
        return call

    async def _ring(self, call: FakeCall, ring_timeout: float) -> None:
        customer, story = call.customer, call.story
        if customer.result in RINGS:
            story.ringing_at = self.now()
        await asyncio.sleep(min(customer.rings, ring_timeout))
        if customer.result in {Result.ANSWERED, Result.MACHINE}:
            story.answered_at = self.now()
            return
        story.result, story.sip_code = customer.result, SIP_CODES[customer.result]
        call.end("us" if customer.result is Result.NO_ANSWER else "them")
        raise CallFailed(story)


@dataclass
class FakeCall:
    """An answered call with a scripted customer."""

    phone: FakePhone
    customer: Customer
    story: CallStory
    slot: Slot
    on_event: OnStory
    over: bool = False
    typed: str = ""
    _pressed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, script: Script) -> CallStory:
        if self.customer.explodes == "run":
            self.phone.up.discard(self.story.number)  # and the slot is left for the dialler
            raise RuntimeError("the call fell over")
        hang_up = asyncio.ensure_future(self._behave())
        task = asyncio.ensure_future(_as_coroutine(script(self)))
        try:
            await asyncio.wait({task, hang_up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            by = "them" if hang_up.done() else "us"
            for each in (task, hang_up):
                each.cancel()
            outcome, _ = await asyncio.gather(task, hang_up, return_exceptions=True)
            self.story.result = self.customer.result
            if isinstance(outcome, Exception):
                self.story.result, self.story.note = Result.FAILED, repr(outcome)
            self.end(by)
        return self.story

    async def _behave(self) -> None:
        before = min(self.customer.presses_after, self.customer.listens)
        await asyncio.sleep(before)
        for key in self.customer.keys:
            self.story.keys += key
            self.typed += key
            self.on_event(StoryEvent(self.phone.now(), "key", {"digit": key}))
            self._pressed.set()
        await asyncio.sleep(self.customer.listens - before)

    async def play(self, prompt: Prompt, *, barge_in: bool = True) -> str:
        if not barge_in:
            await asyncio.sleep(prompt.seconds)
            return ""
        await self._key_within(prompt.seconds)
        return self.typed[:1]

    async def collect(self, *, max_digits: int = 1, timeout: float = 5.0) -> str:
        await self._key_within(timeout)
        keys, self.typed = self.typed[:max_digits], self.typed[max_digits:]
        return keys

    async def _key_within(self, seconds: float) -> None:
        if self.typed:
            return
        self._pressed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._pressed.wait()
        except TimeoutError:
            pass

    async def detect_machine(self) -> str:
        await asyncio.sleep(2.0)
        self.story.amd = "machine" if self.customer.result is Result.MACHINE else "human"
        return self.story.amd

    async def record(self, path: Path) -> None:
        self.on_event(StoryEvent(self.phone.now(), "record", {"file": path.name}))

    def end(self, by: Any) -> None:
        if self.over:
            return
        self.over = True
        self.story.ended_at = self.phone.now()
        self.story.hangup_by = self.story.hangup_by or by
        self.phone.up.discard(self.story.number)
        self.slot.release()


async def _as_coroutine(script: Awaitable[None]) -> None:
    await script


class SilentPrompts:
    """Prompts of a set length that make no sound."""

    def __init__(self, seconds: float = 10.0) -> None:
        self.frames = int(seconds * 50)
        self.said: list[str] = []
        self.trouble: Exception | None = None

    async def load(self, path: Path) -> Prompt:
        return await self.say(str(path))

    async def say(self, text: str, language: str = "vi") -> Prompt:
        if self.trouble is not None:
            raise self.trouble
        self.said.append(text)
        return Prompt(text, {}, self.frames)


def crowd(seed: int, *, exploding: bool = False) -> Behaviour:
    """Customers of every kind, in roughly the shares of a real list; the same for one seed."""
    kinds = [
        (40, Customer()),
        (8, Customer(keys="1")),
        (5, Customer(keys="2")),
        (3, Customer(listens=0.5)),
        (4, Customer(Result.MACHINE, rings=15)),
        (22, Customer(Result.NO_ANSWER, rings=999)),
        (8, Customer(Result.BUSY, rings=1)),
        (3, Customer(Result.REJECTED, rings=4)),
        (2, Customer(Result.INVALID_NUMBER, rings=1)),
        (3, Customer(Result.UNREACHABLE, rings=5)),
        (1, Customer(Result.CONGESTION, rings=0.1)),
        (1, Customer(Result.FAILED, rings=0.1)),
    ]
    if exploding:
        kinds += [(4, Customer(explodes="dial")), (4, Customer(explodes="run"))]
    weights, customers = [weight for weight, _ in kinds], [who for _, who in kinds]

    def behave(number: str, nth: int) -> Customer:
        return random.Random(f"{seed} {number} {nth}").choices(customers, weights)[0]

    return behave
