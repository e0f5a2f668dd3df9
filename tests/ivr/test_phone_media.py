"""What the far side may do with the audio of a call: early, held, moved, unusable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ivr.call import Call
from ivr.media.prompts import PromptStore
from ivr.media.session import Direction, MediaSession
from ivr.result import Result
from ivr.sip.sdp import Audio, parse_audio
from ivr.sip.session_events import RequestRefused
from ivr.story import StoryEvent
from tests.ivr.calling import dial, fails, hold, pair, settled, wait
from tests.ivr.conftest import PhoneMaker
from tests.ivr.hearing import RATE, channel_of, loudest, recorded, recorded_more, tone
from tests.waiting import until


async def heard(media: MediaSession, packets: int = 10) -> None:
    """Wait until so many packets more have come."""
    before = (await media.report()).packets_received

    async def enough() -> bool:
        return (await media.report()).packets_received >= before + packets

    await until(enough)


async def reoffer(call: Call, **audio: object) -> Audio:
    """Re-INVITE with another description of our side; what the other side answers."""
    call.sdp.ours = replace(call.sdp.ours, **audio)  # type: ignore[arg-type]
    return parse_audio(await call.session.reoffer(call.sdp.offer()))


async def test_early_media_is_heard_before_the_answer(
    make_phone: PhoneMaker, prompts: PromptStore, tmp_path: Path
) -> None:
    announcement = await prompts.from_pcm("announcement", tone(700, seconds=10))
    listened = asyncio.Event()

    async def carrier(call: Call) -> None:
        assert call.session.offer is not None
        body = call._answer_to(call.session.offer)
        call.session.ring(183, body, reliable=False)
        call.media.play(announcement)
        await listened.wait()
        call.session.accept(body)
        await asyncio.Event().wait()

    events: list[StoryEvent] = []
    async with pair(make_phone, carrier) as (ours, far):
        dialling = asyncio.create_task(dial(ours, on_event=events.append))
        await until(lambda: "ringing" in [event.kind for event in events])
        call = next(iter(ours.calls.values()))
        call.media.record(Path("early.wav"))
        await recorded(tmp_path / "early.wav", seconds=1)
        assert call.story.answered_at is None
        listened.set()
        assert await asyncio.wait_for(dialling, 5) is call
        story = await call.finish()
        await settled(ours, far)
    assert loudest(tmp_path / "early.wav", channel=1) == pytest.approx(700, abs=10)
    assert story.result is Result.ANSWERED
    assert story.ringing_at is not None
    assert story.answered_at is not None
    assert story.ringing_at < story.answered_at
    assert next(event.data for event in events if event.kind == "ringing") == {
        "code": 183, "early_media": True,
    }  # fmt: skip


async def test_early_media_that_nobody_answers_is_no_answer(make_phone: PhoneMaker) -> None:
    async def carrier(call: Call) -> None:
        assert call.session.offer is not None
        call.session.ring(183, call._answer_to(call.session.offer))
        await asyncio.Event().wait()

    async with pair(make_phone, carrier) as (ours, far):
        story = await fails(ours, ring_timeout=0.3)
        assert (story.result, story.sip_code) == (Result.NO_ANSWER, 487)
        assert story.codec == "PCMA"
        await settled(ours, far)


@pytest.mark.parametrize("how", ["inactive", "sendonly"])
async def test_the_far_side_holds_and_resumes(
    make_phone: PhoneMaker, prompts: PromptStore, tmp_path: Path, how: Direction
) -> None:
    """Proved by what it hears: our tone, then nothing, then our tone again."""
    ours_plays = await prompts.from_pcm("ours", tone(1200, seconds=30))
    wav = tmp_path / "far.wav"
    done = asyncio.Event()

    async def customer(call: Call) -> None:
        await call.answer()
        await call.record(Path("far.wav"))
        await recorded(wav, seconds=1)
        answer = await reoffer(call, direction=how)
        assert answer.direction == ("inactive" if how == "inactive" else "recvonly")
        await recorded_more(wav, seconds=1.5)
        assert (await reoffer(call, direction="sendrecv")).direction == "sendrecv"
        await recorded_more(wav, seconds=1.5)
        done.set()
        await asyncio.Event().wait()

    async def script(call: Call) -> None:
        playing = asyncio.create_task(call.play(ours_plays))
        await asyncio.wait_for(done.wait(), 20)
        playing.cancel()

    async with pair(make_phone, customer) as (ours, far):
        story = await (await dial(ours)).run(script)
        assert (story.result, story.note) == (Result.ANSWERED, None)
        await settled(ours, far)

    samples = channel_of(wav, channel=1).astype(float)
    steps = [samples[at : at + RATE // 5] for at in range(0, len(samples) - RATE // 5, RATE // 5)]
    loud = "".join("#" if np.abs(step).max() > 1000 else "." for step in steps)
    assert "#...." in loud, loud  # most of a second of nothing
    assert loud.rstrip(".").rindex("####") > loud.index("...."), loud
    back = samples[(loud.rindex("####") + 1) * RATE // 5 :][: RATE // 5]
    spectrum = np.abs(np.fft.rfft(back * np.hanning(len(back))))
    assert np.argmax(spectrum) * 5 == pytest.approx(1200, abs=10)


async def test_the_far_side_moves_its_audio_to_another_port(
    make_phone: PhoneMaker, prompts: PromptStore, tmp_path: Path
) -> None:
    voice = await prompts.from_pcm("moved", tone(700, seconds=10))
    arrived = asyncio.Event()

    async with pair(make_phone, hold) as (ours, far):

        async def customer(call: Call) -> None:
            await call.answer()
            elsewhere = await far.plane.open(call_id="elsewhere")
            theirs = await reoffer(call, port=elsewhere.port)
            elsewhere.connect(
                host=theirs.host, port=theirs.port, codec="PCMA", payload_type=8
            )  # fmt: skip
            elsewhere.play(voice)
            await heard(elsewhere)
            arrived.set()
            try:
                await asyncio.Event().wait()
            finally:
                await elsewhere.close()

        async def script(call: Call) -> None:
            await asyncio.wait_for(arrived.wait(), 10)
            await call.record(Path("moved.wav"))
            await recorded(tmp_path / "moved.wav", seconds=1)

        far.on_call = customer
        story = await (await dial(ours)).run(script)
        assert (story.result, story.note) == (Result.ANSWERED, None)
        await settled(ours, far)
    assert loudest(tmp_path / "moved.wav", channel=1) == pytest.approx(700, abs=10)


def nowhere(body: bytes) -> bytes:
    """An address that RTP cannot be sent to: names have no place in a c= line of ours."""
    return body.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 media.example.net")


def other_codec(body: bytes) -> bytes:
    body = body.replace(b"RTP/AVP 8 0", b"RTP/AVP 18 4").replace(b"RTP/AVP 8", b"RTP/AVP 18")
    return body.replace(b"8 PCMA", b"18 G729").replace(b"0 PCMU", b"4 G723")


@pytest.mark.parametrize(
    "spoil",
    [nowhere, other_codec, lambda _: b"v=0\r\n", lambda _: None],
    ids=["nowhere", "other codec", "no audio", "no SDP"],
)
async def test_an_answer_without_usable_audio_is_hung_up_on(
    make_phone: PhoneMaker, spoil: Callable[[bytes], bytes | None]
) -> None:
    """Nobody is left in silence, the slot is free again, and it was not the customer's doing."""

    async def customer(call: Call) -> None:
        assert call.session.offer is not None
        call.session.accept(spoil(call._answer_to(call.session.offer)))
        await asyncio.Event().wait()

    async with pair(make_phone, customer) as (ours, far):
        story = await asyncio.wait_for((await dial(ours)).run(wait), 10)
        assert (story.result, story.hangup_by) == (Result.FAILED, "us")
        assert story.note
        await settled(ours, far)


async def test_an_offer_that_cannot_be_used_changes_nothing(make_phone: PhoneMaker) -> None:
    refused: list[int] = []

    async def customer(call: Call) -> None:
        await call.answer()
        for spoil in (nowhere, other_codec):
            with pytest.raises(RequestRefused) as error:
                await call.session.reoffer(spoil(call.sdp.offer()))
            refused.append(error.value.status)
        await asyncio.Event().wait()

    async with pair(make_phone, customer) as (ours, far):
        call = await dial(ours)
        await until(lambda: len(refused) == 2)
        await heard(call.media)
        assert refused == [488, 488]
        await call.finish()
        await settled(ours, far)


async def test_external_addresses_are_what_the_carrier_is_told(make_phone: PhoneMaker) -> None:
    """Behind NAT: Via, Contact and SDP name the outside, though packets leave from here."""

    async with make_phone({}) as far:
        seen: list[Call] = []

        async def customer(call: Call) -> None:
            seen.append(call)
            await call.answer()
            await asyncio.Event().wait()

        far.on_call = customer
        trunk = {"port": far.endpoint.local.port}
        outside = {"external_address": "203.0.113.7:5070"}
        async with make_phone(trunk, sip=outside, external_address="203.0.113.8") as ours:
            call = await dial(ours)
            invite = seen[0].session.request
            assert (invite.top_via.host, invite.top_via.port) == ("203.0.113.7", 5070)
            [contact] = invite.contact
            assert (contact.uri.host, contact.uri.port) == ("203.0.113.7", 5070)
            assert (invite.top_via.received, invite.top_via.rport) == (
                "127.0.0.1", str(ours.endpoint.local.port),
            )  # fmt: skip
            assert parse_audio(invite.body).host == "203.0.113.8"
            await call.finish()
            await settled(ours)
