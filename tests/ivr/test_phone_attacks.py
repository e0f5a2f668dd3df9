"""What strangers, neighbours and hostile far sides try, and what comes of it: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

from ivr.call import Call
from ivr.chronicle import Chronicle
from ivr.phone import Phone
from ivr.result import Result
from ivr.sip.message import parse_address
from ivr.sip.sdp import Audio, make_offer
from ivr.sip.session_events import Failed, RequestRefused, SessionEvent
from ivr.story import CallFailed, StoryEvent
from tests.ivr.calling import NUMBER, dial, fails, hold, pair, ring_for_ever, settled
from tests.ivr.conftest import PhoneMaker
from tests.waiting import until

STRANGER = "127.0.0.5"
METHODS = ("BYE", "INVITE", "UPDATE", "INFO", "REFER")
BODY = make_offer(Audio(STRANGER, 40000), session_id=1, version=2)


class Ear(asyncio.DatagramProtocol):
    """A bare socket that notes what it is sent."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(data)


class Attacker:
    """Sends datagrams to a phone from an address of its own, and hears what comes back."""

    def __init__(self, transport: asyncio.DatagramTransport, ear: Ear) -> None:
        self.heard = ear.heard
        self.port: int = transport.get_extra_info("sockname")[1]
        self._transport = transport

    async def send(self, phone: Phone, message: bytes) -> None:
        """Send, and wait until the phone has dealt with it."""
        before = phone.endpoint.counters["received"]
        self._transport.sendto(message, ("127.0.0.1", phone.endpoint.local.port))
        await until(lambda: phone.endpoint.counters["received"] > before)
        for _ in range(5):
            await asyncio.sleep(0)


async def attacker_at(host: str) -> tuple[asyncio.DatagramTransport, Attacker]:
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_datagram_endpoint(Ear, local_addr=(host, 0))
    return transport, Attacker(transport, ear)


@pytest.fixture
async def stranger() -> AsyncIterator[Attacker]:
    """Somebody at an address that is neither a trunk's nor a phone's."""
    transport, attacker = await attacker_at(STRANGER)
    yield attacker
    transport.close()


@pytest.fixture
async def neighbour() -> AsyncIterator[Attacker]:
    """Somebody at the carrier's address: its requests are let in."""
    transport, attacker = await attacker_at("127.0.0.1")
    yield attacker
    transport.close()


def within(
    call: Call, method: str, port: int, *, from_tag: str | None = None, to_tag: str | None = None
) -> bytes:
    """A request in the far side's name, with every secret of the call but those replaced."""
    dialog = call.session._core.dialog
    assert dialog is not None
    from_tag = dialog.remote_tag if from_tag is None else from_tag
    to_tag = dialog.local_tag if to_tag is None else to_tag
    body = BODY if method in ("INVITE", "UPDATE") else b""
    head = (
        f"{method} sip:me@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {STRANGER}:{port};branch=z9hG4bK{method};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:x@127.0.0.1>;tag={from_tag}\r\n"
        f"To: <sip:y@127.0.0.1>;tag={to_tag}\r\nCall-ID: {dialog.call_id}\r\n"
        f"CSeq: 100 {method}\r\nContact: <sip:evil@{STRANGER}:{port}>\r\n"
        "Content-Type: application/sdp\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def test_who_knows_every_name_of_a_call_but_is_not_on_its_way_hears_nothing(
    make_phone: PhoneMaker, stranger: Attacker
) -> None:
    async with pair(make_phone, hold) as (ours, far):
        call = await dial(ours)
        for method in (*METHODS, "OPTIONS", "PRACK"):
            await stranger.send(ours, within(call, method, stranger.port))
            assert stranger.heard == [], method
            assert not call.over.done(), method
        assert (await call.finish()).hangup_by == "us"
        await settled(ours, far)


async def test_a_call_id_alone_ends_nothing_even_from_the_carrier(
    make_phone: PhoneMaker, neighbour: Attacker
) -> None:
    async with pair(make_phone, hold) as (ours, far):
        call = await dial(ours)
        for method in METHODS:
            for number, wrong in enumerate(("from_tag", "to_tag")):
                told = {wrong: "guessed"}
                request = within(call, method, neighbour.port + number, **told)
                await neighbour.send(ours, request)
                await until(lambda: neighbour.heard)
                assert neighbour.heard.pop().startswith(b"SIP/2.0 481"), (method, wrong)
                assert not call.over.done(), (method, wrong)
        await call.finish()
        await settled(ours, far)


async def test_a_cancel_from_elsewhere_cancels_nothing(
    make_phone: PhoneMaker, stranger: Attacker, neighbour: Attacker
) -> None:
    async with pair(make_phone, ring_for_ever) as (ours, far):
        dialling = asyncio.create_task(dial(ours, ring_timeout=30))
        await until(lambda: far.calls)
        invite = next(iter(far.calls.values())).session.request
        via = invite.top_via
        cancel = (
            f"CANCEL {invite.uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {via.host}:{via.port};branch={via.branch};rport\r\n"
            f"From: {invite.headers.get('from')[0]}\r\nTo: {invite.headers.get('to')[0]}\r\n"
            f"Call-ID: {invite.call_id}\r\nCSeq: {invite.cseq.seq} CANCEL\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        await stranger.send(far, cancel)
        assert stranger.heard == []
        assert far.calls
        await neighbour.send(far, cancel)  # the very same, by the way the INVITE came
        assert neighbour.heard[0].startswith(b"SIP/2.0 200")
        with pytest.raises(CallFailed) as failed:
            await asyncio.wait_for(dialling, 5)
        assert failed.value.story.sip_code == 487
        await settled(ours, far)


async def test_a_transfer_is_refused_and_the_call_goes_on(make_phone: PhoneMaker) -> None:
    """Whoever was called does not send us, and our money, elsewhere."""
    refused: list[int] = []

    async def customer(call: Call) -> None:
        await call.answer()
        for target in ("sip:+979123456789@127.0.0.1", "tel:+979123456789"):
            with pytest.raises(RequestRefused) as error:
                await call.session.refer(target)
            refused.append(error.value.status)
        await asyncio.Event().wait()

    async with pair(make_phone, customer) as (ours, far):
        call = await dial(ours)
        await until(lambda: len(refused) == 2)
        assert refused == [603, 603]
        assert ours.trunks["carrier"].calls == 1
        assert (await call.finish()).hangup_by == "us"
        await settled(ours, far)


def _note_failure(promise: asyncio.Future[int], event: SessionEvent) -> None:
    if isinstance(event, Failed):
        promise.set_result(event.status)


async def test_replaces_takes_over_no_call(make_phone: PhoneMaker) -> None:
    """An INVITE that names a live call is a call of its own, or refused where it insists."""
    async with pair(make_phone, hold) as (ours, far):
        call = await dial(ours)
        theirs = next(iter(far.calls.values()))
        named = theirs.session.replaces
        for extra, status in ([], 480), ([("Require", "replaces")], 420):
            failed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            session = far.agent.invite(
                uri=f"sip:1@127.0.0.1:{ours.endpoint.local.port}",
                to=ours.endpoint.local,
                from_=theirs.session.local,
                sdp=BODY,
                headers=[("Replaces", named), *extra],
            )
            session.on_event = partial(_note_failure, failed)
            assert await asyncio.wait_for(failed, 5) == status
        assert not call.over.done()
        await call.finish()
        await settled(ours, far)


@pytest.mark.parametrize(
    ("number", "caller_id"),
    [
        ("5>;tag=1;x=<sip:5", "100"),
        ('"5"@evil.example;maddr=192.0.2.1', "100"),
        ("5", '1>\r\nRoute: <sip:evil.example;lr>\r\nX: "<'),
        ("5\r\nRoute: <sip:evil.example;lr>", "100"),
        ("5?Route=%3Csip:evil.example%3E", "100\0\x1b[2J"),
    ],
)
async def test_numbers_put_nothing_of_their_own_into_our_requests(
    make_phone: PhoneMaker, number: str, caller_id: str
) -> None:
    seen: list[Call] = []

    async def customer(call: Call) -> None:
        seen.append(call)
        await hold(call)

    async with pair(make_phone, customer) as (ours, far):
        slot = await ours.reserve("carrier")
        call = await ours.dial(number, slot=slot, caller_id=caller_id)
        invite = seen[0].session.request
        assert "route" not in invite.headers
        assert "x" not in invite.headers
        for name in ("from", "to", "p-asserted-identity"):
            address = parse_address(invite.headers.get(name)[0])
            assert address.uri.host == "127.0.0.1"
            assert set(address.params) <= {"tag"}
            assert not address.uri.params
        assert seen[0].story.caller_id == "".join(filter(str.isprintable, number))
        await call.finish()
        await settled(ours, far)


async def test_what_the_far_side_says_is_stored_without_control_characters(
    make_phone: PhoneMaker,
) -> None:
    async def customer(call: Call) -> None:
        call.session.reject(
            486, "Busy\x1b]0;owned\x07", headers=[("Reason", 'Q.850;cause=17;text="\x1b[2Jno"')]
        )

    async with pair(make_phone, customer) as (ours, far):
        story = await fails(ours)
        assert story.sip_reason == "Busy]0;owned"
        assert story.note == 'Q.850;cause=17;text="[2Jno"'
        await settled(ours, far)


async def test_a_flood_of_keys_is_bounded(make_phone: PhoneMaker) -> None:
    events: list[StoryEvent] = []
    flooded = asyncio.Event()

    async def customer(call: Call) -> None:
        await call.answer()
        for _ in range(30):
            many = [call.session.info("application/dtmf", b"1") for _ in range(40)]
            await asyncio.gather(*many)
        flooded.set()
        await asyncio.Event().wait()

    async with pair(make_phone, customer) as (ours, far):
        call = await dial(ours, on_event=events.append)
        await asyncio.wait_for(flooded.wait(), 30)
        story = await call.finish()
        assert len(story.keys) == 500
        assert len(events) < 510
        assert story.result is Result.ANSWERED
        assert events[-1].kind == "end"
        await settled(ours, far)


async def test_a_connection_that_is_lost_after_the_invite_rings_nobody_twice(
    make_phone: PhoneMaker,
) -> None:
    """It may have arrived: that is no congestion, and the next trunk is not tried."""
    invites: list[bytes] = []

    async def carrier(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        invites.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    server = await asyncio.start_server(carrier, "127.0.0.1", 0)
    async with server, make_phone({}) as spare:
        spare.on_call = hold
        trunks = (
            {
                "port": server.sockets[0].getsockname()[1],
                "transport": "tcp",
                "failover": ("spare",),
            },
            {"name": "spare", "port": spare.endpoint.local.port},
        )
        async with make_phone(*trunks) as ours:
            story = await fails(ours)
            assert len(invites) == 1
            assert (story.result, story.trunk) == (Result.UNREACHABLE, "carrier")
            assert (story.sip_code, story.hangup_by) == (408, "network")
            assert not spare.calls
            await settled(ours, spare)


def _noting(real: Callable[..., Any], into: list[Failed]) -> Callable[..., Any]:
    def noted(self: Chronicle, event: Failed) -> Any:
        into.append(event)
        return real(self, event)

    return noted


async def test_overload_by_a_late_loop_is_503_with_retry_after(
    make_phone: PhoneMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(make_phone, hold) as (ours, far):
        far.lag.stop()
        far.lag.lag = 1.0
        failed: list[Failed] = []
        monkeypatch.setattr(Chronicle, "failed", _noting(Chronicle.failed, failed))
        story = await fails(ours)
        assert (story.result, story.sip_code) == (Result.CONGESTION, 503)
        assert 3 <= int(dict(failed[0].headers)["retry-after"]) <= 10
        far.lag.lag = 0.0
        await (await dial(ours)).finish()
        await settled(ours, far)


async def test_a_caller_id_fits_the_trunk_that_is_used(make_phone: PhoneMaker) -> None:
    """A carrier refuses the numbers of its competitors; that would stop the trunk."""
    shown: list[str] = []

    async def full(call: Call) -> None:
        call.reject(503)

    async def customer(call: Call) -> None:
        shown.append(call.story.number)
        await hold(call)

    pool = ("+842873000008", "+842873000009")
    async with make_phone({}) as first, make_phone({}) as second:
        first.on_call, second.on_call = full, customer
        trunks = (
            {
                "port": first.endpoint.local.port,
                "failover": ("spare",),
                "caller_ids": ("+842873000000",),
            },
            {"name": "spare", "port": second.endpoint.local.port, "caller_ids": pool},
        )
        async with make_phone(*trunks) as ours:
            for caller_id in ("+842873000000", "+842873000000", "+842873009999"):
                slot = await ours.reserve("carrier")
                call = await ours.dial(NUMBER, slot=slot, caller_id=caller_id)
                assert call.story.caller_id == shown[-1]
                await call.finish()
            await settled(ours, first, second)
    assert shown[0] in pool
    assert shown == [shown[0], shown[0], "+842873009999"]  # stable; a campaign's own stays
