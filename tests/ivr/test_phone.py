"""Calls between two phones on loopback: every layer is real, nothing is mocked."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from ivr.call import Call, CallOver
from ivr.media.events import MediaEvent, PlayEnded
from ivr.media.prompts import Prompt, PromptStore
from ivr.result import Result
from ivr.sip.message import parse_uri
from ivr.story import StoryEvent
from ivr.trunks import TrunkDown, TrunkState
from tests.ivr.calling import CALLER, dial, fails, hold, pair, ring_for_ever, settled, wait
from tests.ivr.conftest import PhoneMaker
from tests.ivr.hearing import loudest, recorded, tone


async def test_a_call_from_invite_to_hang_up(
    make_phone: PhoneMaker, prompts: PromptStore, tmp_path: Path
) -> None:
    high, low = await prompts.from_pcm("high", tone(1200)), await prompts.from_pcm("low", tone(500))
    events: list[StoryEvent] = []

    async def customer(call: Call) -> None:
        call.ring()
        await call.answer()
        await call.send_digits("12")
        await call.play(low, barge_in=False)

    async def script(call: Call) -> None:
        await call.record(Path("call.wav"))
        await call.play(high)  # the first key stops it
        assert await call.collect(max_digits=2, timeout=3) == "12"
        await call.play(high)
        await asyncio.Event().wait()

    async with pair(make_phone, customer) as (ours, far):
        call = await dial(ours, on_event=events.append)
        assert far.calls
        assert next(iter(far.calls.values())).story.number == CALLER
        story = await call.run(script)
        await settled(ours, far)

    assert story.result is Result.ANSWERED
    assert story.hangup_by == "them"
    assert story.keys == "12"
    assert (story.packets_lost, story.sip_code, story.codec) == (0, 200, "PCMA")
    assert story.mos is not None
    assert story.mos > 4
    times = (story.invited_at, story.ringing_at, story.answered_at, story.ended_at)
    assert None not in times
    assert list(times) == sorted(times)  # type: ignore[type-var]
    kinds = [event.kind for event in events]
    assert kinds == [
        "invite", "ringing", "answered", "record", "play", "key", "key", "play", "hangup", "end",
    ]  # fmt: skip
    assert loudest(tmp_path / "call.wav", channel=0) == pytest.approx(1200, abs=10)
    assert loudest(tmp_path / "call.wav", channel=1) == pytest.approx(500, abs=10)


@pytest.mark.parametrize(
    ("status", "ring", "result"),
    [
        (486, True, Result.BUSY),
        (600, False, Result.BUSY),
        (603, True, Result.REJECTED),
        (404, False, Result.INVALID_NUMBER),
        (480, True, Result.NO_ANSWER),
        (480, False, Result.UNREACHABLE),
        (503, False, Result.CONGESTION),
        (503, True, Result.UNREACHABLE),
        (500, False, Result.CONGESTION),
        (488, False, Result.FAILED),
        (302, False, Result.UNREACHABLE),
    ],
)
async def test_refusals(make_phone: PhoneMaker, status: int, ring: bool, result: Result) -> None:
    async def refuse(call: Call) -> None:
        if ring:
            call.ring()
        call.reject(status)

    async with pair(make_phone, refuse) as (ours, far):
        story = await fails(ours)
        assert (story.result, story.sip_code, story.hangup_by) == (result, status, "them")
        assert (story.ringing_at is not None) is ring
        await settled(ours, far)


@pytest.mark.parametrize("status", [403, 402])
async def test_a_trunk_that_refuses_us_is_stopped_until_it_is_checked(
    make_phone: PhoneMaker, status: int
) -> None:
    async def refuse(call: Call) -> None:
        call.reject(status)

    async with pair(make_phone, refuse) as (ours, _):
        assert (await fails(ours)).result is Result.FORBIDDEN
        trunk = ours.trunks["carrier"]
        assert trunk.state is TrunkState.FORBIDDEN
        with pytest.raises(TrunkDown, match=f"trunk carrier is forbidden: {status}"):
            await ours.reserve("carrier")
        assert (await trunk.check()).startswith("200")
        with await ours.reserve("carrier"):
            assert trunk.calls == 1
        assert trunk.calls == 0


async def test_it_rings_too_long(make_phone: PhoneMaker) -> None:
    ended = asyncio.Event()

    async def customer(call: Call) -> None:
        try:
            await ring_for_ever(call)
        finally:
            ended.set()

    async with pair(make_phone, customer) as (ours, far):
        story = await fails(ours, ring_timeout=0.2)
        assert (story.result, story.sip_code, story.hangup_by) == (Result.NO_ANSWER, 487, "us")
        await asyncio.wait_for(ended.wait(), 5)
        await settled(ours, far)


async def test_giving_up_a_dial_cancels_the_call_and_frees_the_slot(make_phone: PhoneMaker) -> None:
    ringing = asyncio.Event()

    async def customer(call: Call) -> None:
        call.ring()
        ringing.set()
        await asyncio.Event().wait()

    async with pair(make_phone, customer) as (ours, far):
        dialling = asyncio.create_task(dial(ours))
        await asyncio.wait_for(ringing.wait(), 5)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        await settled(ours, far)


async def test_hang_up_cancels_the_script(make_phone: PhoneMaker) -> None:
    async def customer(call: Call) -> None:
        await call.answer()

    cleaned_up = asyncio.Event()

    async def script(call: Call) -> None:
        try:
            await call.collect(timeout=60)
        finally:
            cleaned_up.set()

    async with pair(make_phone, customer) as (ours, far):
        call = await dial(ours)
        story = await call.run(script)
        assert cleaned_up.is_set()
        assert (story.result, story.hangup_by) == (Result.ANSWERED, "them")
        with pytest.raises(CallOver):
            await call.collect()
        await settled(ours, far)


async def test_who_hangs_up_before_the_script_begins_has_answered_all_the_same(
    make_phone: PhoneMaker, prompts: PromptStore
) -> None:
    async def customer(call: Call) -> None:
        await call.answer()

    message = await prompts.from_pcm("message", tone(440))

    async def script(call: Call) -> None:
        await call.play(message)

    async with pair(make_phone, customer) as (ours, far):
        call = await dial(ours)
        await asyncio.wait_for(asyncio.shield(call.over), 5)
        story = await call.run(script)
        assert (story.result, story.hangup_by, story.note) == (Result.ANSWERED, "them", None)
        await settled(ours, far)


async def test_a_script_that_raises_is_our_fault_and_the_call_is_hung_up(
    make_phone: PhoneMaker,
) -> None:
    async def script(call: Call) -> None:
        raise KeyError("menu")

    async with pair(make_phone, hold) as (ours, far):
        story = await (await dial(ours)).run(script)
        assert story.result is Result.FAILED
        assert story.note == "the script failed: KeyError: 'menu'"
        await settled(ours, far)


async def test_a_call_over_tcp(make_phone: PhoneMaker) -> None:
    async with pair(make_phone, hold, transport="tcp") as (ours, far):
        call = await dial(ours)
        theirs = next(iter(far.calls.values()))
        assert theirs.session.source.transport == "tcp"
        assert (await call.finish()).result is Result.ANSWERED
        await settled(ours, far)


async def test_nobody_listens_on_the_tcp_port_of_a_trunk(make_phone: PhoneMaker) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        trunk = {"port": closed.getsockname()[1], "transport": "tcp"}
        async with make_phone(trunk) as ours:
            story = await fails(ours)
            assert (story.result, story.sip_code) == (Result.CONGESTION, 503)
            assert story.hangup_by == "network"
            await settled(ours)


async def test_a_carrier_that_is_full_is_followed_by_the_next(make_phone: PhoneMaker) -> None:
    async def full(call: Call) -> None:
        call.reject(503)

    events: list[StoryEvent] = []
    async with make_phone({}) as first, make_phone({}) as second:
        first.on_call, second.on_call = full, hold
        trunks = (
            {"port": first.endpoint.local.port, "failover": ("spare",)},
            {"name": "spare", "port": second.endpoint.local.port, "codecs": ("PCMU",)},
        )
        async with make_phone(*trunks) as ours:
            call = await dial(ours, on_event=events.append)
            assert (call.story.trunk, call.story.codec) == ("spare", "PCMU")
            assert [trunk.calls for trunk in ours.trunks.values()] == [0, 1]
            await call.finish()
            await settled(ours, first, second)
    assert "failover" in [event.kind for event in events]


async def test_a_call_waits_for_a_channel(make_phone: PhoneMaker) -> None:
    async with pair(make_phone, hold, max_calls=1) as (ours, far):
        first = await dial(ours)
        second = asyncio.create_task(dial(ours))
        await asyncio.sleep(0)
        assert ours.trunks["carrier"].calls == 1
        assert ours.trunks["carrier"].try_acquire() is None
        await first.finish()
        call = await asyncio.wait_for(second, 5)
        assert ours.trunks["carrier"].calls == 1
        await call.finish()
        await settled(ours, far)


async def test_an_unknown_trunk_is_named_with_those_there_are(make_phone: PhoneMaker) -> None:
    async with make_phone({}) as phone:
        with pytest.raises(TrunkDown, match=r"carier is not configured \(configured: carrier"):
            await phone.reserve("carier")


async def test_a_media_worker_that_dies_ends_its_call_as_failed_and_is_replaced(
    make_phone: PhoneMaker,
) -> None:
    async with pair(make_phone, hold) as (ours, far):
        call = await dial(ours)
        worker = call.media.worker
        worker.process.kill()
        story = await asyncio.wait_for(call.run(wait), 10)
        assert story.result is Result.FAILED
        assert story.note
        again = await dial(ours)
        assert again.story.codec
        await again.finish()
        await settled(ours, far)


async def test_a_call_whose_audio_stops_is_hung_up(make_phone: PhoneMaker) -> None:
    """The far side's worker dies: its phone cannot say so at once, but no RTP comes any more."""
    async with make_phone({}) as far:
        far.on_call = hold
        trunk = {"port": far.endpoint.local.port}
        async with make_phone(trunk, rtp_timeout=0.3) as ours:
            call = await dial(ours)
            theirs = next(iter(far.calls.values()))
            theirs.media.on_event = lambda _: None
            worker = theirs.media.worker
            worker.process.kill()
            story = await asyncio.wait_for(call.run(wait), 10)
            assert story.hangup_by == "network"
            assert "no audio came" in (story.note or "")
            await settled(ours)


async def test_a_key_by_sip_info_counts_once_and_stops_the_prompt(
    make_phone: PhoneMaker, prompts: PromptStore
) -> None:
    long = await prompts.from_pcm("long", tone(440, seconds=30))

    async def customer(call: Call) -> None:
        await call.answer()
        await call.session.info("application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n")
        await asyncio.Event().wait()

    async def script(call: Call) -> None:
        await call.play(long)
        assert await call.collect() == "7"

    async with pair(make_phone, customer) as (ours, far):
        story = await asyncio.wait_for((await dial(ours)).run(script), 10)
        assert story.keys == "7"
        assert story.result is Result.ANSWERED
        await settled(ours, far)


async def test_a_key_by_sip_info_cuts_no_prompt_that_must_be_heard(
    make_phone: PhoneMaker, prompts: PromptStore
) -> None:
    notice = await prompts.from_pcm("notice", tone(440, seconds=0.6))
    playing = asyncio.Event()
    ends: list[str] = []

    async def customer(call: Call) -> None:
        await call.answer()
        await playing.wait()
        await call.session.info("application/dtmf", b"7")
        await asyncio.Event().wait()

    async def script(call: Call) -> None:
        told = call.media.on_event

        def note(event: MediaEvent) -> None:
            if isinstance(event, PlayEnded):
                ends.append(event.reason)
            told(event)

        call.media.on_event = note
        assert await call.play(notice, barge_in=False) == ""
        assert await call.collect() == "7"

    def follow(event: StoryEvent) -> None:
        if event.kind == "play":
            playing.set()

    async with pair(make_phone, customer) as (ours, far):
        story = await (await dial(ours, on_event=follow)).run(script)
        assert (story.result, story.note, story.keys) == (Result.ANSWERED, None, "7")
        assert ends == ["completed"]
        await settled(ours, far)


async def test_two_customers_are_bridged_and_hear_each_other(
    make_phone: PhoneMaker, prompts: PromptStore, tmp_path: Path
) -> None:
    tones = iter([await prompts.from_pcm("a", tone(700)), await prompts.from_pcm("b", tone(1700))])
    names = iter(["first.wav", "second.wav"])

    async def customer(call: Call) -> None:
        await call.answer()
        await call.record(Path(next(names)))
        mine: Prompt = next(tones)
        while True:
            await call.play(mine, barge_in=False)

    async with pair(make_phone, customer) as (ours, far):
        one = await dial(ours)
        two = await dial(ours)
        bridged = asyncio.create_task(one.bridge(two))
        await recorded(tmp_path / "first.wav", tmp_path / "second.wav")
        await two.finish()
        await asyncio.wait_for(bridged, 5)
        await one.finish()
        await settled(ours, far)
    assert loudest(tmp_path / "first.wav", channel=1) == pytest.approx(1700, abs=10)
    assert loudest(tmp_path / "second.wav", channel=1) == pytest.approx(700, abs=10)


async def test_beyond_its_limit_a_phone_answers_503_with_retry_after(
    make_phone: PhoneMaker,
) -> None:
    async with pair(make_phone, hold) as (ours, far):
        far.config = type(far.config)(bind=far.config.bind, max_calls=1)
        call = await dial(ours)
        story = await fails(ours)
        assert (story.result, story.sip_code) == (Result.CONGESTION, 503)
        await call.finish()
        await settled(ours, far)


@pytest.mark.parametrize(
    ("contact", "followed"),
    [
        ("<sip:0912345678@127.0.0.1>", True),  # the same number, as this carrier routes it
        ("<sip:%2B84912345678@127.0.0.1:5999>", True),
        ("<sip:+979123456789@127.0.0.1>", False),  # whose money would that be?
        ("<sip:0912345678@192.0.2.1>", False),
        ("<sip:0912345678;phone-context=x@127.0.0.1>", False),
        ("<sip:0912345678%3E%3Btag=1@127.0.0.1>", False),
        ("<tel:+84912345678>", False),
    ],
)
async def test_a_diversion_is_followed_to_the_same_number_and_trunk_only(
    make_phone: PhoneMaker, contact: str, followed: bool
) -> None:
    dialled: list[str] = []

    async def divert(call: Call) -> None:
        dialled.append(parse_uri(call.session.request.uri).user or "")
        if len(dialled) == 1:
            call.session.reject(302, headers=[("Contact", contact)])
        await hold(call)

    async with pair(make_phone, divert) as (ours, far):
        if followed:
            await (await dial(ours)).finish()
        else:
            story = await fails(ours)
            assert (story.result, story.sip_code) == (Result.UNREACHABLE, 302)
            assert (story.note or "").startswith("diverted to ")
        assert len(dialled) == 1 + followed
        await settled(ours, far)
