"""Whatever ends a call, and whenever: nothing of it is left on either side."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

import pytest

from ivr.call import Call
from ivr.media.prompts import Prompt, PromptStore
from ivr.phone import Phone
from ivr.result import Result
from ivr.slots import Slot
from ivr.story import CallFailed, CallStory, StoryEvent
from ivr.trunks import TrunkDown
from tests.ivr.calling import NUMBER, dial, hold, pair, ring_for_ever, settled, wait
from tests.ivr.conftest import PhoneMaker
from tests.ivr.hearing import tone
from tests.ivr.stepping import Stepping
from tests.waiting import until

MOST_WAITS = 60  # more than a call ever has


async def converse(call: Call, prompt: Prompt) -> None:
    await call.play(prompt)
    await call.collect(timeout=0.05)


async def test_an_outgoing_call_cancelled_at_any_wait(
    make_phone: PhoneMaker, prompts: PromptStore
) -> None:
    """Reserving, dialling, talking, hanging up: each wait of it once, once more right after."""
    short = await prompts.from_pcm("short", tone(440, seconds=0.1))

    async def whole_call(ours: Phone) -> CallStory:
        with await ours.reserve("carrier") as slot:
            call = await ours.dial(NUMBER, slot=slot)
            return await call.run(lambda call: converse(call, short))

    async def customer(call: Call) -> None:
        call.ring()
        await hold(call)

    cancelled = 0
    async with pair(make_phone, customer, max_calls=2) as (ours, far):
        for k in range(1, MOST_WAITS):
            for cancel_at in ({k}, {k, k + 1}):
                stepping = Stepping(cancel_at)
                task = asyncio.ensure_future(_awaited(stepping, whole_call(ours)))
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait_for(task, 10)
                cancelled += task.cancelled()
                await settled(ours, far)
            if stepping.waits < k:
                break
    assert cancelled >= 6
    assert stepping.waits < k, "the call has more waits than were tried"


async def test_an_incoming_call_cancelled_at_any_wait(
    make_phone: PhoneMaker, prompts: PromptStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = await prompts.from_pcm("short", tone(440, seconds=0.1))

    async def answer(call: Call) -> None:
        await call.answer()
        await converse(call, short)

    cancelled = 0
    async with pair(make_phone, answer) as (ours, far):
        take = far._take
        for k in range(1, MOST_WAITS):
            stepping = Stepping({k})
            monkeypatch.setattr(
                far, "_take", lambda session, s=stepping: _awaited(s, take(session))
            )
            with contextlib.suppress(CallFailed):
                call = await asyncio.wait_for(dial(ours), 10)
                await asyncio.wait_for(call.run(wait), 10)
            await settled(ours, far)
            if stepping.waits < k:
                break
            cancelled += 1
    assert cancelled >= 3
    assert stepping.waits < k, "the call has more waits than were tried"


async def _awaited(stepping: Stepping, work: Any) -> Any:
    return await stepping.run(work)


async def test_a_story_that_nobody_can_hear_keeps_no_call_from_ending(
    make_phone: PhoneMaker,
) -> None:
    def deaf(*_: object) -> None:
        raise RuntimeError("the listener is broken")

    async with pair(make_phone, hold) as (ours, far):
        far.on_story = deaf
        call = await dial(ours, on_event=deaf)
        assert (await call.finish()).result is Result.ANSWERED
        await settled(ours, far)


async def test_a_handler_of_incoming_calls_that_raises(make_phone: PhoneMaker) -> None:
    async def broken(call: Call) -> None:
        raise LookupError("no such flow")

    stories: list[CallStory] = []

    def note(story: CallStory, event: StoryEvent) -> None:
        if event.kind == "end":
            stories.append(story)

    async with pair(make_phone, broken) as (ours, far):
        far.on_story = note
        with pytest.raises(CallFailed) as failed:
            await dial(ours)
        assert failed.value.story.sip_code == 480
        await settled(ours, far)
    assert [(story.result, story.hangup_by) for story in stories] == [(Result.FAILED, "us")]


async def test_two_ends_at_once_are_one(make_phone: PhoneMaker) -> None:
    events: list[StoryEvent] = []
    async with pair(make_phone, hold) as (ours, far):
        call = await dial(ours, on_event=events.append)
        one, other, _ = await asyncio.gather(call.finish(), call.finish(), call.hangup())
        assert one is other
        assert [event.kind for event in events].count("end") == 1
        await settled(ours, far)


async def test_a_call_that_nobody_ends_is_ended(make_phone: PhoneMaker) -> None:
    async with pair(make_phone, hold) as (ours, far):
        ours.config = type(ours.config)(bind=ours.config.bind, max_seconds=0.3)
        story = await asyncio.wait_for((await dial(ours)).run(wait), 10)
        assert (story.result, story.hangup_by) == (Result.ANSWERED, "us")
        assert story.note == "hung up after 0.3 s, the longest a call may last"
        await settled(ours, far)


async def test_a_caller_that_rings_for_ever_is_let_go(make_phone: PhoneMaker) -> None:
    async with pair(make_phone, ring_for_ever) as (ours, far):
        far.config = type(far.config)(bind=far.config.bind, max_seconds=0.3)
        with pytest.raises(CallFailed) as failed:
            await asyncio.wait_for(dial(ours), 10)
        assert (failed.value.story.result, failed.value.story.sip_code) == (Result.NO_ANSWER, 480)
        await settled(ours, far)


@pytest.mark.parametrize("number", ["", "+1", "+\r\nX-Evil: 1", "1 2"])
async def test_a_number_that_cannot_be_dialled_gives_its_slot_back(
    make_phone: PhoneMaker, number: str
) -> None:
    async with pair(make_phone, hold, number_format="national") as (ours, far):
        slot = await ours.reserve("carrier")
        with contextlib.suppress(CallFailed):
            call = await ours.dial(number, slot=slot)
            assert "X-Evil" not in call.session.request.headers
            await call.finish()
        await settled(ours, far)


async def test_closing_with_calls_in_every_state(make_phone: PhoneMaker) -> None:
    """Each dial ends, the far side hears of it, and nothing is running afterwards."""
    before = asyncio.all_tasks()
    kinds: list[str] = []

    async def customer(call: Call) -> None:
        kinds.append(call.story.caller_id)
        if call.story.caller_id.endswith("1"):
            await hold(call)
        if call.story.caller_id.endswith("2"):
            call.ring()
        await asyncio.Event().wait()

    async with make_phone({}) as far:
        far.on_call = customer
        port = far.endpoint.local.port
        async with make_phone({"port": port, "max_calls": 4}) as ours:

            async def calling(number: str) -> CallStory:
                call = await ours.dial(number, slot=await ours.reserve("carrier"))
                return await call.run(wait)

            numbers = ["+84912345671", "+84912345672", "+84912345673"]
            calls = [asyncio.create_task(calling(number)) for number in numbers]
            await until(lambda: len(kinds) == 3 and len(ours.calls) == 3)
            await until(lambda: any(call.story.answered_at for call in ours.calls.values()))
            slow = asyncio.create_task(calling("+84912345674"))  # its media is being opened
            await asyncio.sleep(0)
            await ours.close()
            ends = await asyncio.gather(*calls, slow, return_exceptions=True)
            with pytest.raises(TrunkDown, match="the phone is stopping"):
                await ours.reserve("carrier")
        await settled(far)
    results = [end.story if isinstance(end, CallFailed) else end for end in ends]
    assert [story.result for story in results if isinstance(story, CallStory)] == [
        Result.ANSWERED, Result.FAILED, Result.FAILED, Result.FAILED,
    ]  # fmt: skip
    await until(lambda: not asyncio.all_tasks() - before)


async def test_the_last_bye_is_said_again_when_it_is_lost(make_phone: PhoneMaker) -> None:
    """Closing waits for it: else the customer would listen to a dead line."""
    async with make_phone({}) as far:
        far.on_call = hold
        async with make_phone({"port": far.endpoint.local.port}) as ours:
            await dial(ours)
            send, lost = ours.endpoint._transport.send, list[bytes]()

            def lossy(data: bytes, *to: Any) -> None:
                if data.startswith(b"BYE") and not lost:
                    lost.append(data)
                else:
                    send(data, *to)

            ours.endpoint._transport.send = lossy  # type: ignore[method-assign]
        assert lost
        await settled(far)


async def test_closing_cancels_what_rings_and_waits_for_its_end(make_phone: PhoneMaker) -> None:
    cancelled = asyncio.Event()

    async def customer(call: Call) -> None:
        try:
            await ring_for_ever(call)
        finally:
            cancelled.set()

    async with make_phone({}) as far:
        far.on_call = customer
        async with make_phone({"port": far.endpoint.local.port}) as ours:
            dialling = asyncio.create_task(dial(ours))
            await until(lambda: any(call.story.ringing_at for call in ours.calls.values()))
        assert cancelled.is_set()
        with pytest.raises(CallFailed) as failed:
            await dialling
        assert failed.value.story.result is Result.FAILED
        await settled(far)


async def test_a_slot_is_free_though_nobody_ever_answers_the_cancel(
    make_phone: PhoneMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours keeps the end of a call from its owner: it is ended all the same."""
    monkeypatch.setattr("ivr.phone.GIVING_UP", 0.1)
    async with pair(make_phone, ring_for_ever) as (ours, far):
        dialling = asyncio.create_task(dial(ours, ring_timeout=0.3))
        await until(lambda: any(call.story.ringing_at for call in ours.calls.values()))
        far.endpoint.on_request = lambda _: None
        call = next(iter(ours.calls.values()))
        monkeypatch.setattr(call.session._out._transaction, "_on_response", _broken)
        with pytest.raises(CallFailed) as failed:
            await asyncio.wait_for(dialling, 5)
        assert failed.value.story.result is Result.NO_ANSWER
        assert ours.trunks["carrier"].calls == 0


def _broken(_: object) -> None:
    raise RuntimeError("broken")


async def test_a_slot_of_a_trunk_is_given_to_who_waits_longest(make_phone: PhoneMaker) -> None:
    """Nobody who comes later, `try_acquire` included, gets in before those who wait."""
    async with make_phone({"max_calls": 1}) as ours:
        trunk = ours.trunks["carrier"]
        held = await trunk.acquire()
        order: list[int] = []

        async def wait_for(number: int) -> None:
            with await trunk.acquire():
                order.append(number)
                assert trunk.try_acquire() is None
                await asyncio.sleep(0)

        waiting = [asyncio.create_task(wait_for(number)) for number in range(5)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        held.release()
        assert trunk.try_acquire() is None
        await asyncio.gather(*waiting, return_exceptions=True)
        assert order == [0, 2, 3, 4]
        assert trunk.calls == 0
        last = trunk.try_acquire()
        assert isinstance(last, Slot)
        last.release()


async def test_a_call_id_is_free_after_its_call(make_phone: PhoneMaker) -> None:
    call_id = uuid.uuid4()
    async with pair(make_phone, hold) as (ours, far):
        for _ in range(2):
            call = await dial(ours, call_id=call_id)
            assert ours.calls == {call_id: call}
            await call.finish()
            assert ours.calls == {}
        await settled(ours, far)
