"""The simulated carrier and its pyVoIP phones, called by an endpoint over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np

from ivr.media.g711 import decode, encode
from ivr.media.tones import pause, tone
from server.demo.ear import load, share_heard
from server.demo.people import Act
from tests.demo.caller import DEADLINE, Attempt, Caller
from tests.demo.conftest import NUMBER, World

SOUND = np.concatenate([pause(200), tone(350, 440, ms=2600), pause(200)])
MESSAGE = decode(encode(SOUND, "PCMA"), "PCMA")  # as it is on the wire

Story = list[tuple[str, dict[str, object]]]


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition, within a deadline."""
    deadline = time.monotonic() + DEADLINE
    while not await asyncio.to_thread(true):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def story(world: World, attempt: Attempt, last: str) -> Story:
    """The diary of a call once it ends with `last`."""
    await until(lambda: any(e.what == last for e in world.diary(attempt.call_id)))
    entries = await asyncio.to_thread(world.diary, attempt.call_id)
    return [(entry.what, entry.detail) for entry in entries]


async def someone_listens_to_the_end(world: World, caller: Caller) -> None:
    attempt = await caller.call(NUMBER[Act.LISTENS])
    response = await attempt.answered()
    assert attempt.statuses == [401, 180, 200]
    assert len(response.headers.get("record-route")) == world.record_route
    await attempt.line.send(MESSAGE, attempt.media)
    assert await attempt.bye() == 200
    assert not attempt.hung_up.is_set()
    told = await story(world, attempt, "heard")
    assert [what for what, _ in told] == [
        "put through", "rang", "answered", "caller hung up", "heard",
    ]  # fmt: skip
    heard = await asyncio.to_thread(load, world.folder / str(told[-1][1]["file"]))
    assert share_heard(heard, MESSAGE) == 1.0
    assert attempt.line.payload_types == {8}


def someone_presses(act: Act, key: str, how: str) -> Callable[[World, Caller], Awaitable[None]]:
    async def presses(world: World, caller: Caller) -> None:
        attempt = await caller.call(NUMBER[act])
        await attempt.answered()
        await attempt.line.send(MESSAGE, attempt.media)
        await until(lambda: attempt.line.keys != "")
        assert (attempt.line.keys, attempt.line.how) == (key, how)
        assert await attempt.bye() == 200
        assert ("pressed", {"key": key, "how": how}) in await story(world, attempt, "heard")

    return presses


async def someone_hangs_up_at_once(world: World, caller: Caller) -> None:
    attempt = await caller.call(NUMBER[Act.HANGS_UP])
    await attempt.answered()
    await asyncio.wait_for(attempt.hung_up.wait(), DEADLINE)
    told = await story(world, attempt, "hung up")
    assert [what for what, _ in told] == ["put through", "rang", "answered", "hung up"]


async def a_machine_greets_and_listens(world: World, caller: Caller) -> None:
    attempt = await caller.call(NUMBER[Act.MACHINE])
    await attempt.answered()
    await attempt.line.send(MESSAGE, attempt.media)
    assert await attempt.bye() == 200
    assert (await story(world, attempt, "heard"))[1] == ("rang", {"act": Act.MACHINE})


def someone_refuses(act: Act, statuses: list[int]) -> Callable[[World, Caller], Awaitable[None]]:
    async def refuses(world: World, caller: Caller) -> None:
        attempt = await caller.call(NUMBER[act])
        await attempt.answered()
        assert attempt.statuses == statuses
        told = await story(world, attempt, "refused")
        assert told[-1] == ("refused", {"status": statuses[-1]})

    return refuses


async def someone_never_answers(world: World, caller: Caller) -> None:
    attempt = await caller.call(NUMBER[Act.NO_ANSWER])
    await until(lambda: 180 in attempt.statuses)
    attempt.cancel()
    assert (await attempt.answered()).status_code == 487
    await story(world, attempt, "caller gave up")


EVERYONE: dict[Act, Callable[[World, Caller], Awaitable[None]]] = {
    Act.LISTENS: someone_listens_to_the_end,
    Act.PRESSES_1: someone_presses(Act.PRESSES_1, "1", "telephone-event"),
    Act.PRESSES_1_INBAND: someone_presses(Act.PRESSES_1_INBAND, "1", "in-band"),
    Act.PRESSES_2: someone_presses(Act.PRESSES_2, "2", "telephone-event"),
    Act.HANGS_UP: someone_hangs_up_at_once,
    Act.MACHINE: a_machine_greets_and_listens,
    Act.BUSY: someone_refuses(Act.BUSY, [401, 180, 486]),
    Act.NO_ANSWER: someone_never_answers,
    Act.DECLINES: someone_refuses(Act.DECLINES, [401, 180, 603]),
    Act.SWITCHED_OFF: someone_refuses(Act.SWITCHED_OFF, [401, 480]),
    Act.UNKNOWN: someone_refuses(Act.UNKNOWN, [401, 404]),
}


async def test_everyone_takes_the_call_as_he_is_meant_to(world: World, caller: Caller) -> None:
    """All at the same time: a call takes seconds of real audio."""
    assert set(EVERYONE) == set(Act)
    outcomes = await asyncio.gather(
        *(takes(world, caller) for takes in EVERYONE.values()), return_exceptions=True
    )
    failed = {act: e for act, e in zip(EVERYONE, outcomes, strict=True) if e is not None}
    assert not failed


async def test_only_the_customer_may_call(world: World) -> None:
    stranger = Caller(world.port, password="guess")
    await stranger.open()
    try:
        attempt = await stranger.call(NUMBER[Act.LISTENS])
        assert (await attempt.answered()).status_code == 401
        assert not await asyncio.to_thread(world.diary, attempt.call_id)
    finally:
        await stranger.close()
