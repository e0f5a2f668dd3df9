"""Slots cannot leak: whatever is taken is given back, in the order of asking."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ivr.slots import Channels, Pace, Slot


async def test_those_who_wait_are_served_in_order() -> None:
    channels = Channels(1)
    await channels.take()
    served: list[int] = []

    async def wait(turn: int) -> None:
        await channels.take()
        served.append(turn)
        channels.give_back()

    waiting = [asyncio.create_task(wait(turn)) for turn in range(3)]
    await asyncio.sleep(0)
    assert not channels.try_take()  # nobody overtakes
    channels.give_back()
    await asyncio.gather(*waiting)
    assert served == [0, 1, 2]
    assert channels.in_use == 0


async def test_a_cancelled_wait_takes_nothing_even_at_the_last_moment() -> None:
    channels = Channels(1)
    await channels.take()
    first = asyncio.create_task(channels.take())
    second = asyncio.create_task(channels.take())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    channels.give_back()  # goes to `second`
    second.cancel()  # which is cancelled in the same instant
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert channels.in_use == 0
    assert channels.try_take()


def test_a_slot_is_given_back_once() -> None:
    given_back = []
    slot = Slot("carrier", (), lambda: given_back.append(1))
    with slot:
        slot.release()
    slot.release()
    assert given_back == [1]


@given(st.integers(1, 4), st.lists(st.sampled_from(["take", "give", "cancel"]), max_size=60))
def test_no_order_of_events_breaks_the_limit(limit: int, steps: list[str]) -> None:
    async def play() -> None:
        channels = Channels(limit)
        tasks: list[asyncio.Task[None]] = []
        held = 0
        for step in steps:
            if step == "take":
                tasks.append(asyncio.create_task(channels.take()))
            elif step == "cancel" and tasks:
                tasks[-1].cancel()
            elif step == "give" and held:
                channels.give_back()
                held -= 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            done = [task for task in tasks if task.done()]
            tasks = [task for task in tasks if not task.done()]
            held += sum(not task.cancelled() for task in done)
            assert channels.in_use == held <= limit
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert channels.in_use == held

    asyncio.run(play())


async def test_the_pace_is_kept() -> None:
    pace = Pace(1000)
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(150):  # a burst of 100, then 50 at 1,000 a second
        await pace.take()
    assert loop.time() - started >= 0.049  # a floor, not a ceiling: the rate is never exceeded
