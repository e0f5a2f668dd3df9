"""Whole calls with programs nobody here wrote: Kamailio, SIPp, baresip."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ivr.call import Call
from ivr.media.prompts import PromptStore
from ivr.result import Result
from ivr.story import CallFailed
from tests.ivr.conftest import PhoneMaker
from tests.ivr.hearing import loudest, recorded, tone
from tests.peers.baresip import baresip
from tests.peers.kamailio import kamailio
from tests.peers.sipp import SCENARIOS, sipp

pytestmark = pytest.mark.peer


async def test_a_call_through_a_record_routing_proxy(
    make_phone: PhoneMaker, tmp_path: Path
) -> None:
    async with (
        sipp(SCENARIOS / "uas-behind-proxy.xml", tmp_path) as callee,
        kamailio(tmp_path, callee.port) as proxy,
        make_phone({"port": proxy}) as phone,
    ):
        call = await phone.dial("+84912345678", slot=await phone.reserve("carrier"))
        story = await call.finish()
        assert story.result is Result.ANSWERED
        await callee.done()


async def test_cancelling_through_a_record_routing_proxy(
    make_phone: PhoneMaker, tmp_path: Path
) -> None:
    async with (
        sipp(SCENARIOS / "uas-rings-behind-proxy.xml", tmp_path) as callee,
        kamailio(tmp_path, callee.port) as proxy,
        make_phone({"port": proxy}) as phone,
    ):
        slot = await phone.reserve("carrier")
        with pytest.raises(CallFailed) as failed:
            await phone.dial("+84912345678", slot=slot, ring_timeout=0.5)
        story = failed.value.story
        assert (story.result, story.sip_code) == (Result.NO_ANSWER, 487)
        await callee.done()


async def test_baresip_is_called_and_what_it_hears_comes_back(
    make_phone: PhoneMaker, prompts: PromptStore, tmp_path: Path
) -> None:
    ours = await prompts.from_pcm("ours", tone(1000, seconds=5))
    async with baresip(tmp_path) as port, make_phone({"port": port}) as phone:
        call = await phone.dial("customer", slot=await phone.reserve("carrier"))

        async def script(call: Call) -> None:
            await call.record(Path("call.wav"))
            playing = asyncio.create_task(call.play(ours))
            await recorded(tmp_path / "call.wav", seconds=2)
            playing.cancel()

        story = await call.run(script)
        assert story.result is Result.ANSWERED
        assert (story.codec, story.packets_lost) == ("PCMA", 0)
        assert loudest(tmp_path / "call.wav", channel=1) == pytest.approx(1000, abs=10)
