"""Two phones, one calling the other: what the tests of whole calls share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ivr.call import Call
from ivr.phone import Phone
from ivr.story import CallFailed, CallStory
from tests.ivr.conftest import PhoneMaker
from tests.waiting import until

NUMBER = "+84912345678"
CALLER = "+842873000000"


@contextlib.asynccontextmanager
async def pair(
    make_phone: PhoneMaker, answer: Callable[[Call], Awaitable[None]], **trunk: object
) -> AsyncIterator[tuple[Phone, Phone]]:
    """A phone, and the far side that its trunk leads to."""
    async with (
        make_phone({}) as far,
        make_phone({"port": far.endpoint.local.port, **trunk}) as ours,
    ):
        far.on_call = answer
        yield ours, far


async def dial(phone: Phone, **options: object) -> Call:
    slot = await phone.reserve("carrier")
    return await phone.dial(NUMBER, slot=slot, caller_id=CALLER, **options)  # type: ignore[arg-type]


async def fails(phone: Phone, **options: object) -> CallStory:
    with pytest.raises(CallFailed) as failed:
        await dial(phone, **options)
    return failed.value.story


async def settled(*phones: Phone) -> None:
    """Wait until no phone has a call, a slot, a session or media any more."""

    def left() -> list[object]:
        return [entry for phone in phones for entry in _held(phone)]

    await until(lambda: not left(), say=left)


def _held(phone: Phone) -> list[object]:
    """What a phone that has nothing to do must not have: calls, slots, media, live sessions."""
    channels = sum(trunk.calls for trunk in phone.trunks.values())
    parting = [session.id for session in phone.agent.sessions if session.parting]
    media = phone.plane.stats().sessions
    return [held for held in (list(phone.calls), channels, parting, media) if held]


async def hold(call: Call) -> None:
    """Answer and stay until the other side hangs up."""
    await call.answer()
    await asyncio.Event().wait()


async def ring_for_ever(call: Call) -> None:
    call.ring()
    await asyncio.Event().wait()


async def wait(call: Call) -> None:
    """A script that leaves the end to others."""
    await asyncio.Event().wait()
