"""Two user agents over real sockets, on a clean wire and on one that loses, doubles and reorders.

Both directions pass through a relay, each side being told the relay's address as the other's.
Timers run at a tenth of their length, so that what is lost is soon sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from ivr.sip.digest import Credentials
from ivr.sip.endpoint import Endpoint, ServerTransaction, Timers
from ivr.sip.errors import SipError
from ivr.sip.message import Address, SipUri
from ivr.sip.session import Session
from ivr.sip.session_core import SessionCore
from ivr.sip.session_events import (
    Accepted,
    Answered,
    Ended,
    Failed,
    Keyed,
    Offered,
    Referred,
    Ringing,
    SessionEvent,
)
from ivr.sip.session_offers import glare_wait
from ivr.sip.transport import Peer
from ivr.sip.useragent import UserAgent
from tests.ivr.sip.relay import Relay
from tests.ivr.sip.session_kit import ANSWER, HOLD, OFFER

QUICK = Timers(t1=0.05, t2=0.4, t4=0.5)
PATIENCE = 20.0


class Side:
    """One user agent, its sessions' events and a way to wait for them."""

    def __init__(self) -> None:
        self.endpoint = Endpoint(timers=QUICK)
        self.agent = UserAgent(self.endpoint)
        self.agent.on_invite = self._invited
        self.events: list[SessionEvent] = []
        self.sessions: list[Session] = []
        self.changed = asyncio.Event()
        self.react: Callable[[Session, SessionEvent], None] = lambda *_: None
        self._gone = self.agent._around.gone
        self.agent._around.gone = self._note_gone

    def _note_gone(self, core: SessionCore) -> None:
        self._gone(core)
        self.changed.set()

    def _invited(self, session: Session) -> None:
        self.follow(session)
        self.changed.set()

    def follow(self, session: Session) -> Session:
        def note(event: SessionEvent) -> None:
            self.events.append(event)
            self.react(session, event)
            self.changed.set()

        self.sessions.append(session)
        session.on_event = note
        return session

    async def until(self, met: Callable[[], Any]) -> Any:
        async with asyncio.timeout(PATIENCE):
            while not (value := met()):
                self.changed.clear()
                await self.changed.wait()
            return value

    def told_every_end(self) -> bool:
        ends = sum(isinstance(event, Ended | Failed) for event in self.events)
        return ends == len(self.sessions)

    def at_rest(self) -> bool:
        return not self.agent.sessions

    async def told(self, kind: type) -> Any:
        """The first event of this kind, when it comes."""
        return await self.until(
            lambda: next((event for event in self.events if isinstance(event, kind)), None)
        )

    async def called(self, number: int = 1) -> Session:
        await self.until(lambda: len(self.sessions) >= number)
        return self.sessions[number - 1]


class Wire:
    """Alice calls, Bob is called; what is between them is `loss` bad."""

    def __init__(self) -> None:
        self.alice, self.bob = Side(), Side()
        self.relays: list[Relay] = []
        self.to_bob = Peer("udp", "127.0.0.1", 0)

    async def open(self, *, transport: str, loss: float, seed: int) -> None:
        for side in (self.alice, self.bob):
            await side.endpoint.listen()
        if transport == "tcp" or not loss:
            bob = self.bob.endpoint.local
            self.to_bob = Peer("tcp" if transport == "tcp" else "udp", bob.host, bob.port)
            return
        for side in (self.bob, self.alice):
            far = (side.endpoint.local.host, side.endpoint.local.port)
            relay = await Relay.start(far, loss=loss, duplicate=loss, reorder=loss, seed=seed)
            side.endpoint._transport._external = ("127.0.0.1", relay.port)
            self.relays.append(relay)
        self.to_bob = Peer("udp", "127.0.0.1", self.relays[0].port)

    def call(self, **options: Any) -> Session:
        given: dict[str, Any] = {
            "uri": f"sip:bob@127.0.0.1:{self.to_bob.port}",
            "to": self.to_bob,
            "from_": Address(uri=SipUri(user="alice", host="127.0.0.1")),
            "sdp": OFFER,
        }
        return self.alice.follow(self.alice.agent.invite(**(given | options)))

    async def up(self, **options: Any) -> tuple[Session, Session]:
        ours = self.call(**options)
        theirs = await self.bob.called()
        theirs.accept(ANSWER)
        await self.alice.told(Accepted)
        await self.bob.told(Accepted)
        return ours, theirs

    async def over(self) -> None:
        """Both sides told the end, exactly once each, and nothing is left."""
        await self.told_the_end()
        for side in (self.alice, self.bob):
            await side.until(side.at_rest)

    async def told_the_end(self) -> None:
        """Both sides told the end, exactly once each."""
        for side in (self.alice, self.bob):
            await side.until(side.told_every_end)
            assert side.endpoint.counters["callback_errors"] == 0

    async def close(self) -> None:
        for side in (self.alice, self.bob):
            side.agent.close()
            await side.endpoint.close()
        for relay in self.relays:
            relay.close()


WIRES = {
    "udp": {"transport": "udp", "loss": 0.0, "seed": 0},
    "tcp": {"transport": "tcp", "loss": 0.0, "seed": 0},
    "lossy 1": {"transport": "udp", "loss": 0.1, "seed": 1},
    "lossy 2": {"transport": "udp", "loss": 0.1, "seed": 2},
    "lossy 3": {"transport": "udp", "loss": 0.1, "seed": 3},
}


@pytest.fixture(params=WIRES.values(), ids=list(WIRES))
async def wire(request: pytest.FixtureRequest) -> AsyncIterator[Wire]:
    made = Wire()
    await made.open(**request.param)
    yield made
    await made.close()


async def tried(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until it is granted: a request that a later one overtook is refused 500 (§12.2.2)."""
    while True:
        with suppress(SipError):
            return await ask()


@pytest.mark.parametrize("caller_hangs_up", [True, False])
async def test_call_and_hang_up(wire: Wire, caller_hangs_up: bool) -> None:
    ours, theirs = await wire.up()
    assert (await wire.alice.told(Accepted)).sdp == ANSWER
    (ours if caller_hangs_up else theirs).bye()
    await wire.over()
    assert (await wire.alice.told(Ended)).by == ("us" if caller_hangs_up else "them")
    assert (await wire.bob.told(Ended)).by == ("them" if caller_hangs_up else "us")


@pytest.mark.parametrize("status", [486, 603, 404, 503, 302])
async def test_refused(wire: Wire, status: int) -> None:
    wire.call()
    (await wire.bob.called()).reject(status)
    failed = await wire.alice.told(Failed)
    assert (failed.status, failed.local) == (status, False)


async def test_given_up_while_it_rings(wire: Wire) -> None:
    ours = wire.call()
    (await wire.bob.called()).ring()
    await wire.alice.told(Ringing)
    ours.cancel()
    assert (await wire.alice.told(Failed)).status == 487
    assert (await wire.bob.told(Failed)).status == 487


async def test_given_up_at_the_very_moment_it_is_answered(wire: Wire) -> None:
    ours = wire.call()
    theirs = await wire.bob.called()
    theirs.ring()
    await wire.alice.told(Ringing)
    theirs.accept(ANSWER)
    ours.cancel()
    await wire.told_the_end()
    assert isinstance(wire.alice.events[-1], Failed | Ended)
    assert isinstance(wire.bob.events[-1], Ended)


async def test_reliable_early_media(wire: Wire) -> None:
    ours = wire.call(headers=[("Require", "100rel")])
    theirs = await wire.bob.called()
    theirs.ring(183, ANSWER)
    theirs.ring(180)
    theirs.accept()
    await wire.bob.told(Accepted)
    early = next(event for event in wire.alice.events if isinstance(event, Ringing) and event.sdp)
    assert early.sdp == ANSWER
    ours.bye()
    await wire.over()


async def test_no_offer_in_the_invite(wire: Wire) -> None:
    ours = wire.call(sdp=None)
    wire.alice.react = lambda session, event: (
        session.answer_offer(ANSWER) if isinstance(event, Accepted) else None
    )
    (await wire.bob.called()).accept(OFFER)
    assert (await wire.alice.told(Accepted)).sdp == OFFER
    assert (await wire.bob.told(Accepted)).sdp == ANSWER
    ours.bye()
    await wire.over()


async def test_hold_and_resume_both_ways(wire: Wire) -> None:
    ours, theirs = await wire.up()
    for side in (wire.alice, wire.bob):
        side.react = lambda session, event: (
            session.answer_offer(ANSWER) if isinstance(event, Offered) else None
        )
    assert await tried(lambda: ours.reoffer(HOLD)) == ANSWER
    assert await tried(lambda: theirs.reoffer(HOLD)) == ANSWER
    assert await tried(lambda: ours.update(OFFER)) == ANSWER
    ours.bye()
    await wire.over()
    assert all(relay.counts["passed"] for relay in wire.relays)


async def test_both_change_at_once(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ivr.sip.session_offers_ours.glare_wait", lambda owns: glare_wait(owns) / 10
    )
    ours, theirs = await wire.up()
    for side in (wire.alice, wire.bob):
        side.react = lambda session, event: (
            session.answer_offer(ANSWER) if isinstance(event, Offered) else None
        )
    changes = [tried(lambda: ours.reoffer(HOLD)), tried(lambda: theirs.reoffer(HOLD))]
    assert await asyncio.gather(*changes) == [ANSWER, ANSWER]
    ours.bye()
    await wire.over()


async def test_keys_by_info(wire: Wire) -> None:
    ours, _ = await wire.up()
    body = b"Signal=7\r\nDuration=100\r\n"
    assert await tried(lambda: ours.info("application/dtmf-relay", body)) == 200
    assert await wire.bob.told(Keyed) == Keyed("7", 100)
    ours.bye()
    await wire.over()


async def test_a_transfer(wire: Wire) -> None:
    ours, _ = await wire.up()

    def go(_session: Session, event: SessionEvent) -> None:
        if isinstance(event, Referred):
            event.accept()
            event.notify(200, "OK")

    wire.bob.react = go
    told: list[int] = []
    status = await ours.refer(
        "sip:carol@127.0.0.1", on_progress=lambda status, _: told.append(status)
    )
    assert status == 200
    assert told[-1] == 200
    ours.bye()
    await wire.over()


async def test_a_call_with_a_password(wire: Wire) -> None:
    def door(session: Session) -> None:
        if session.request.headers.get("authorization"):
            wire.bob._invited(session)
            return
        challenge = 'Digest realm="bob", nonce="n", qop="auth", algorithm=SHA-256'
        session.reject(401, headers=[("WWW-Authenticate", challenge)])

    wire.bob.agent.on_invite = door
    ours, _ = await wire.up(credentials=Credentials("alice", "secret"))
    assert 'username="alice"' in (ours.request.headers.get_first("authorization") or "")
    ours.bye()
    await wire.over()


async def test_a_request_outside_dialogs(wire: Wire) -> None:
    seen: list[ServerTransaction] = []

    def register(transaction: ServerTransaction) -> None:
        seen.append(transaction)
        transaction.reply(200)

    wire.bob.agent.handlers["REGISTER"] = register
    response = await wire.alice.agent.request(
        "REGISTER",
        uri="sip:127.0.0.1",
        to=wire.to_bob,
        from_=Address(uri=SipUri(user="alice", host="127.0.0.1")),
    )
    assert response.message.status_code == 200
    assert len(seen) == 1


async def test_many_calls_at_once(wire: Wire) -> None:
    def answer(session: Session) -> None:
        wire.bob._invited(session)
        session.accept(ANSWER)

    wire.bob.agent.on_invite = answer
    wire.alice.react = lambda session, event: session.bye() if isinstance(event, Accepted) else None
    for _ in range(30):
        wire.call()
    await wire.alice.until(lambda: sum(isinstance(e, Ended) for e in wire.alice.events) == 30)
    await wire.bob.until(lambda: len(wire.bob.sessions) == 30)
    await wire.over()
    assert sum(isinstance(event, Accepted) for event in wire.alice.events) == 30
    for relay in wire.relays[:1]:
        assert all(relay.counts.values()), relay.counts


async def test_an_offer_asked_for_within_a_call(wire: Wire) -> None:
    """A re-INVITE without SDP, as a PBX sends it when it transfers someone to us."""
    ours, theirs = await wire.up()
    wire.bob.react = lambda session, event: (
        session.answer_offer(OFFER) if isinstance(event, Offered) else None
    )
    del theirs
    core = ours._core
    acked = asyncio.Event()

    def on_response(response: Any, request: Any) -> None:
        if response.message.status_code == 200:
            assert core.dialog is not None
            ack = core.dialog.request("ACK", body=ANSWER, seq=request.cseq.seq)
            core.send(core.dialog, ack)
            acked.set()

    core.ask("INVITE", on_response, [core.contact()])
    await asyncio.wait_for(acked.wait(), PATIENCE)
    assert await wire.bob.told(Offered) == Offered(b"", "INVITE")
    assert await wire.bob.told(Answered) == Answered(ANSWER)
    ours.bye()
    await wire.over()
