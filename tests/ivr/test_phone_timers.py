"""The session timer (RFC 4028) of whole calls, on a clock that runs fifty times as fast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from ivr.result import Result
from ivr.sip.endpoint import Endpoint
from ivr.sip.scheduler import Timer
from ivr.sip.sdp import Audio, make_offer
from ivr.sip.session import Session
from ivr.sip.session_events import Ended, SessionEvent
from ivr.sip.useragent import UserAgent
from tests.ivr.calling import dial, settled, wait
from tests.ivr.conftest import PhoneMaker

FASTER = 50
ANSWER = make_offer(Audio("127.0.0.1", 40000, codecs=("PCMA",)), session_id=1, version=1)


class Hurried:
    """The loop's clock, hurried: 90 seconds of SIP take less than two."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        return self._loop.time() * FASTER

    def call_later(self, delay: float, callback: Callable[..., object], /, *args: object) -> Timer:
        return self._loop.call_later(delay / FASTER, callback, *args)


class Carrier:
    """A far side that answers every call and wants it refreshed every 90 seconds."""

    def __init__(self) -> None:
        self.endpoint = Endpoint(scheduler=Hurried())
        self.agent = UserAgent(self.endpoint, session_expires=90)
        self.agent.on_invite = self._answer
        self.methods: list[str] = []
        self.ended: list[SessionEvent] = []
        self.refreshed = asyncio.Event()

    def _answer(self, session: Session) -> None:
        session.on_event = self._told
        session.accept(ANSWER)
        requested = self.endpoint.on_request

        def note(transaction: object) -> None:
            self.methods.append(transaction.request.method)  # type: ignore[attr-defined]
            requested(transaction)  # type: ignore[arg-type]
            if len(self.methods) == 2:
                self.refreshed.set()

        self.endpoint.on_request = note

    def _told(self, event: SessionEvent) -> None:
        if isinstance(event, Ended):
            self.ended.append(event)


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    made = Carrier()
    await made.endpoint.listen("127.0.0.1:0")
    yield made
    made.agent.close()
    await made.endpoint.close()


async def test_a_long_call_is_refreshed_again_and_again(
    make_phone: PhoneMaker, carrier: Carrier
) -> None:
    trunk = {"port": carrier.endpoint.local.port}
    async with make_phone(trunk, scheduler=Hurried(), rtp_timeout=0) as ours:
        call = await dial(ours)
        await asyncio.wait_for(carrier.refreshed.wait(), 20)
        assert carrier.methods == ["UPDATE", "UPDATE"]
        assert not call.over.done()
        story = await call.finish()
        assert (story.result, story.hangup_by) == (Result.ANSWERED, "us")
        await settled(ours)
        assert [event.by for event in carrier.ended if isinstance(event, Ended)] == ["them"]


async def test_a_far_side_that_has_died_is_noticed(
    make_phone: PhoneMaker, carrier: Carrier
) -> None:
    trunk = {"port": carrier.endpoint.local.port}
    async with make_phone(trunk, scheduler=Hurried(), rtp_timeout=0) as ours:
        call = await dial(ours)
        carrier.endpoint._transport.send = lambda *_: None  # type: ignore[method-assign]
        story = await asyncio.wait_for(call.run(wait), 20)
        assert (story.result, story.hangup_by) == (Result.ANSWERED, "network")
