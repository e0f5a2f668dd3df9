"""The endpoint: two of them talk, and a peer played by hand tries what peers try."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from ivr.sip.endpoint import ACCEPT, DROP, Endpoint, EndReason, Response, ServerTransaction, refuse
from ivr.sip.errors import MalformedMessage, ProtocolError, TransportError
from ivr.sip.message import (
    CSeq,
    SipRequest,
    SipResponse,
    make_response,
    parse_message,
)
from ivr.sip.peer import Peer
from ivr.sip.trace import TraceRecord
from tests.ivr.sip.clock import Clock
from tests.ivr.sip.conftest import MakeEndpoint
from tests.ivr.sip.messages import make_request, raw_request
from tests.ivr.sip.wire import PATIENCE, Wire, until


async def final(endpoint: Endpoint, request: SipRequest, to: Peer) -> Response:
    """Send and wait for the final response."""
    done: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def heard(response: Response) -> None:
        if response.message.status_code >= 200 and not done.done():
            done.set_result(response)

    endpoint.request(request, to, heard)
    async with asyncio.timeout(PATIENCE):
        return await done


def answering(status: int) -> Callable[[ServerTransaction], None]:
    def answer(transaction: ServerTransaction) -> None:
        transaction.reply(status)

    return answer


def request_of(data: bytes) -> SipRequest:
    message = parse_message(data)
    assert isinstance(message, SipRequest)
    return message


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("INVITE", 486), ("BYE", 481)])
async def test_a_request_is_answered(
    make_endpoint: MakeEndpoint, transport: str, method: str, status: int
) -> None:
    ours, theirs = await make_endpoint(), await make_endpoint(user_agent="Theirs")
    theirs.on_request = answering(status)
    to = Peer("tcp" if transport == "tcp" else "udp", theirs.local.host, theirs.local.port)
    response = await final(ours, make_request(method), to)
    assert response.message.status_code == status
    assert response.message.get_header("Server") == "Theirs"
    assert response.source is not None
    assert response.source.host == "127.0.0.1"


async def test_what_a_request_is_given(make_endpoint: MakeEndpoint) -> None:
    ours, theirs = await make_endpoint(user_agent="Ours"), await make_endpoint()
    came: list[ServerTransaction] = []
    theirs.on_request = lambda transaction: (came.append(transaction), transaction.reply(200))[1]
    request = make_request(headers=[("Via", "SIP/2.0/UDP old;branch=z9hG4bKold")])
    await final(ours, request, theirs.local)
    received = came[0].request
    (via,) = received.via
    assert via.branch is not None
    assert via.branch.startswith("z9hG4bK")
    assert via.branch != "z9hG4bKold"
    assert (via.host, via.port) == (ours.local.host, ours.local.port)
    assert (via.received, via.rport) == ("127.0.0.1", str(ours.local.port))
    assert received.get_header("Max-Forwards") == "70"
    assert received.get_header("User-Agent") == "Ours"
    assert came[0].source == ours.local


@pytest.mark.parametrize("uri", ["", "sip:a b", "sip:a\r\nX: y"])
async def test_what_cannot_be_sent_is_our_bug(make_endpoint: MakeEndpoint, uri: str) -> None:
    endpoint = await make_endpoint()
    with pytest.raises(ProtocolError):
        endpoint.request(make_request(uri=uri), endpoint.local, lambda _: None)
    with pytest.raises(ProtocolError, match="not one"):
        endpoint.request(make_request(), Peer("udp", "example.com", 5060), lambda _: None)


async def test_nobody_there(make_endpoint: MakeEndpoint) -> None:
    endpoint = await make_endpoint()
    unreachable = await final(endpoint, make_request(), Peer("udp", "255.255.255.255", 5060))
    assert (unreachable.message.status_code, unreachable.source) == (503, None)
    closed = await make_endpoint()
    await closed.close()
    refused = await final(endpoint, make_request("INVITE"), closed.local._replace(transport="tcp"))
    assert (refused.message.status_code, refused.source) == (503, None)
    assert endpoint.counters["send_errors"] == 1


async def test_a_busy_port_and_a_bad_address_are_said_clearly(make_endpoint: MakeEndpoint) -> None:
    taken = await make_endpoint()
    with pytest.raises(TransportError, match=rf"cannot listen on udp 127.0.0.1:{taken.local.port}"):
        await Endpoint().listen(f"127.0.0.1:{taken.local.port}")
    for bind in ("localhost:5060", "127.0.0.1", "127.0.0.1:99999", ""):
        with pytest.raises(TransportError, match="expected an IP address and a port"):
            await Endpoint().listen(bind)
    with pytest.raises(TransportError, match="host or host:port"):
        await Endpoint().listen(external_address="a:b:c")
    with pytest.raises(TransportError, match="not listening"):
        _ = Endpoint().local


@pytest.mark.parametrize(
    ("external", "expected"),
    [
        ("203.0.113.5", ("203.0.113.5", 0)),
        ("sip.example.com:5070", ("sip.example.com", 5070)),
        ("[2001:db8::1]:5070", ("2001:db8::1", 5070)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("", ("127.0.0.1", 0)),
    ],
)
async def test_the_advertised_address(external: str, expected: tuple[str, int]) -> None:
    endpoint = Endpoint()
    bind = "127.0.0.1:0" if external else "0.0.0.0:0"
    await endpoint.listen(bind, external_address=external)
    try:
        host, port = endpoint.advertised(Peer("udp", "127.0.0.9", 5060))
        assert (host, port) == (expected[0], expected[1] or endpoint.local.port)
    finally:
        await endpoint.close()


async def test_ipv6() -> None:
    ours, theirs = Endpoint(), Endpoint()
    theirs.on_request = answering(200)
    try:
        await ours.listen("[::1]:0")
        await theirs.listen("[::1]:0")
        for to in (theirs.local, theirs.local._replace(transport="tcp")):
            response = await final(ours, make_request(), to)
            assert response.message.status_code == 200
            assert response.message.top_via.host == "[::1]"
    finally:
        await ours.close()
        await theirs.close()


class TestServing:
    async def test_a_retransmission_reaches_the_user_once(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()
        came: list[ServerTransaction] = []
        endpoint.on_request = came.append
        for _ in range(3):
            wire.send(raw_request("INVITE"), endpoint.local)
        await until(lambda: endpoint.counters["retransmissions"] == 2)
        came[0].reply(180)
        first = await wire.receive()
        wire.send(raw_request("INVITE"), endpoint.local)
        assert await wire.receive() == first
        assert len(came) == 1

    async def test_another_branch_is_another_request(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()
        endpoint.on_request = answering(200)
        wire.send(raw_request(branch="z9hG4bKa"), endpoint.local)
        wire.send(raw_request(branch="z9hG4bKb"), endpoint.local)
        tags = {(await wire.response()).to_addr.tag for _ in range(2)}
        assert len(tags) == 2

    async def test_rfc_2543_requests_match_without_a_branch(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()
        came: list[ServerTransaction] = []
        endpoint.on_request = came.append
        old = raw_request("INVITE", branch="1")
        wire.send(old, endpoint.local)
        wire.send(old, endpoint.local)
        wire.send(old.replace(b"1 INVITE", b"2 INVITE"), endpoint.local)
        await until(lambda: len(came) == 2)
        assert endpoint.counters["retransmissions"] == 1
        cancelled: list[bool] = []
        came[0].on_cancel = lambda: cancelled.append(True)
        wire.send(old.replace(b"INVITE", b"CANCEL"), endpoint.local)
        assert (await wire.response()).status_code == 200
        assert cancelled == [True]
        came[0].reply(487)
        busy = await wire.response()
        ack = old.replace(b"INVITE", b"ACK").replace(
            b"To: <sip:bob@example.com>", b"To: " + (busy.get_header("To") or "").encode()
        )
        ends: list[EndReason] = []
        came[0].on_end = ends.append
        wire.send(ack, endpoint.local)
        strays: list[SipRequest] = []
        endpoint.on_ack = lambda ack, _: strays.append(ack)
        wire.send(ack.replace(b"1 ACK", b"9 ACK"), endpoint.local)
        await until(lambda: len(strays) == 1)
        assert came[0].answered

    async def test_cancel(self, make_endpoint: MakeEndpoint, wire: Wire) -> None:
        endpoint = await make_endpoint()
        endpoint.on_request = lambda _: None
        wire.send(raw_request("INVITE"), endpoint.local)
        wire.send(raw_request("CANCEL"), endpoint.local)
        wire.send(raw_request("CANCEL"), endpoint.local)  # repeated, answered again, told once
        answers = [await wire.response() for _ in range(3)]
        assert sorted((each.cseq.method, each.status_code) for each in answers) == [
            ("CANCEL", 200),
            ("CANCEL", 200),
            ("INVITE", 487),
        ]
        assert len({each.to_addr.tag for each in answers}) == 1

    async def test_cancel_of_nothing_is_481(self, make_endpoint: MakeEndpoint, wire: Wire) -> None:
        endpoint = await make_endpoint()
        wire.send(raw_request("CANCEL"), endpoint.local)
        assert (await wire.response()).status_code == 481

    async def test_acks(self, make_endpoint: MakeEndpoint, wire: Wire) -> None:
        endpoint = await make_endpoint()
        came: list[ServerTransaction] = []
        acks: list[tuple[str, Peer]] = []
        endpoint.on_request = came.append
        endpoint.on_ack = lambda ack, source: acks.append((ack.top_via.branch or "", source))
        wire.send(raw_request("INVITE"), endpoint.local)
        await until(lambda: bool(came))
        came[0].reply(200)
        wire.send(raw_request("ACK", branch="z9hG4bKofTheAck"), endpoint.local)
        await until(lambda: bool(acks))
        assert acks == [("z9hG4bKofTheAck", Peer("udp", "127.0.0.1", wire.port))]

    async def test_a_user_that_raises_answers_500_and_is_logged(
        self, make_endpoint: MakeEndpoint, wire: Wire, caplog: pytest.LogCaptureFixture
    ) -> None:
        endpoint = await make_endpoint()

        def fail(_: ServerTransaction) -> None:
            raise RuntimeError("a bug")

        endpoint.on_request = fail
        with caplog.at_level(logging.ERROR):
            wire.send(raw_request(call_id="theCall@example.com"), endpoint.local)
            assert (await wire.response()).status_code == 500
        assert "theCall@example.com" in caplog.text
        assert endpoint.counters["callback_errors"] == 1

        def read_contact(transaction: ServerTransaction) -> None:
            _ = transaction.request.contact

        endpoint.on_request = read_contact
        wire.send(raw_request(branch="z9hG4bKb", extra="Contact: sip:a@b?c=d\r\n"), endpoint.local)
        assert (await wire.response()).status_code == 400

    async def test_a_user_that_answered_before_it_raised_has_answered(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()

        def answer_and_fail(transaction: ServerTransaction) -> None:
            transaction.reply(200)
            raise MalformedMessage("too late")

        endpoint.on_request = answer_and_fail
        wire.send(raw_request(), endpoint.local)
        assert (await wire.response()).status_code == 200
        assert endpoint.counters["internal_errors"] == 0

    async def test_without_a_user_it_is_501(self, make_endpoint: MakeEndpoint, wire: Wire) -> None:
        endpoint = await make_endpoint()
        wire.send(raw_request(), endpoint.local)
        assert (await wire.response()).status_code == 501


class TestScreening:
    async def test_dropped_quietly(self, make_endpoint: MakeEndpoint, wire: Wire) -> None:
        endpoint = await make_endpoint()
        endpoint.on_request = answering(200)
        endpoint.screen = lambda request, _: DROP if request.method == "INVITE" else ACCEPT
        wire.send(raw_request("INVITE"), endpoint.local)
        wire.send(b"INVITE not sip\r\n\r\n", endpoint.local)
        wire.send(raw_request("INVITE", extra="To: <sip:x@y>\r\n"), endpoint.local)
        wire.send(raw_request("OPTIONS"), endpoint.local)
        answer = await wire.response()
        assert answer.cseq.method == "OPTIONS"  # and to nothing before it
        assert endpoint.counters["dropped"] == 1
        assert endpoint.transactions == 1

    async def test_refused_without_a_transaction_and_the_same_each_time(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()
        endpoint.screen = lambda *_: refuse(503, retry_after=7)
        wire.send(raw_request("INVITE"), endpoint.local)
        wire.send(raw_request("INVITE"), endpoint.local)
        first, second = await wire.response(), await wire.response()
        assert (first.status_code, first.get_header("Retry-After")) == (503, "7")
        assert first.to_addr.tag == second.to_addr.tag
        assert endpoint.transactions == 0

    async def test_not_asked_within_a_dialog(self, make_endpoint: MakeEndpoint, wire: Wire) -> None:
        endpoint = await make_endpoint()
        endpoint.on_request = answering(481)
        endpoint.screen = lambda *_: DROP
        within = raw_request("BYE").replace(b"To: <sip:bob@example.com>", b"To: <sip:b@x>;tag=1")
        wire.send(within, endpoint.local)
        assert (await wire.response()).status_code == 481

    async def test_a_screen_that_fails_lets_nobody_in(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()
        endpoint.on_request = answering(200)

        def fail(request: SipRequest, _: Peer) -> object:
            if request.contact:
                raise RuntimeError
            return ACCEPT

        endpoint.screen = fail  # type: ignore[assignment]  # the wrong type is the point
        wire.send(raw_request(extra="Contact: <sip:a@b>\r\n"), endpoint.local)
        assert (await wire.response()).status_code == 500
        wire.send(raw_request(branch="z9hG4bK2", extra="Contact: <sip:a@b\r\n"), endpoint.local)
        wire.send(raw_request(branch="z9hG4bK3"), endpoint.local)
        assert (await wire.response()).top_via.branch == "z9hG4bK2"
        assert (await wire.response()).status_code == 200

    async def test_beyond_the_limit_it_is_503(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint(max_transactions=2)
        endpoint.on_request = answering(200)
        for number in range(4):
            wire.send(raw_request(branch=f"z9hG4bK{number}"), endpoint.local)
        answers = [await wire.response() for _ in range(4)]
        assert sorted(each.status_code for each in answers) == [200, 200, 503, 503]
        assert all(each.get_header("Retry-After") for each in answers if each.status_code == 503)
        assert endpoint.transactions == 2
        wire.send(raw_request(branch="z9hG4bK0"), endpoint.local)  # those that are in stay in
        assert (await wire.response()).status_code == 200


class TestWhereResponsesGo:
    async def test_back_to_the_source_with_rport_whatever_the_via_says(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()
        endpoint.on_request = answering(200)
        forged = raw_request().replace(b";rport", b";received=198.51.100.1;rport")
        wire.send(forged, endpoint.local)
        via = (await wire.response()).top_via
        assert (via.host, via.received, via.rport) == ("192.0.2.9", "127.0.0.1", str(wire.port))

    async def test_without_rport_to_the_port_of_the_via(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()
        endpoint.on_request = answering(200)
        other = await Wire.open()
        plain = raw_request(via_host=f"192.0.2.9:{wire.port}").replace(b";rport", b"")
        other.send(plain, endpoint.local)
        via = (await wire.response()).top_via
        assert (via.received, via.rport) == ("127.0.0.1", None)
        other.close()


class TestAsking:
    async def test_a_stray_response_is_handed_on(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()
        strays: list[SipResponse] = []
        endpoint.on_stray_response = lambda response, _: strays.append(response)
        wire.send(bytes(make_response(request_of(raw_request("INVITE")), 200)), endpoint.local)
        await until(lambda: bool(strays))
        assert endpoint.counters["stray_responses"] == 1

    async def test_send_gives_an_ack_its_via_once(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()
        ack = make_request("ACK")
        to = Peer("udp", "127.0.0.1", wire.port)
        endpoint.send(ack, to)
        endpoint.send(ack, to)
        first, second = await wire.receive(), await wire.receive()
        assert first == second
        assert request_of(first).top_via.branch

    async def test_cancel_over_the_wire(self, make_endpoint: MakeEndpoint) -> None:
        ours, theirs = await make_endpoint(), await make_endpoint()
        cancelled = asyncio.Event()

        def ring(transaction: ServerTransaction) -> None:
            def cancel() -> None:
                transaction.reply(487)
                cancelled.set()

            transaction.on_cancel = cancel
            transaction.reply(180)

        theirs.on_request = ring
        statuses: list[int] = []

        def heard(response: Response) -> None:
            statuses.append(response.message.status_code)
            if response.message.status_code == 180:
                transaction.cancel()

        transaction = ours.request(make_request("INVITE"), theirs.local, heard)
        await until(lambda: 487 in statuses)
        assert statuses == [180, 487]
        assert cancelled.is_set()

    async def test_a_response_to_another_method_is_not_ours(
        self, make_endpoint: MakeEndpoint, wire: Wire
    ) -> None:
        endpoint = await make_endpoint()
        heard: list[Response] = []
        endpoint.request(make_request(), Peer("udp", "127.0.0.1", wire.port), heard.append)
        response = make_response(request_of(await wire.receive()), 200)
        response.cseq = CSeq(1, "INVITE")
        wire.send(bytes(response), endpoint.local)
        await until(lambda: endpoint.counters["stray_responses"] == 1)
        response.cseq = CSeq(1, "OPTIONS")
        wire.send(bytes(response), endpoint.local)
        await until(lambda: len(heard) == 1)


async def test_time_is_the_schedulers(make_endpoint: MakeEndpoint, wire: Wire) -> None:
    clock = Clock()
    endpoint = await make_endpoint(scheduler=clock)
    heard: list[Response] = []
    endpoint.request(make_request(), Peer("udp", "127.0.0.1", wire.port), heard.append)
    first = await wire.receive()
    clock.advance(0.5)
    assert await wire.receive() == first
    clock.advance(32)
    assert [response.message.status_code for response in heard] == [408]
    assert endpoint.transactions == 0
    assert clock.pending == 0


async def test_trace_and_a_trace_that_fails(make_endpoint: MakeEndpoint, wire: Wire) -> None:
    records: list[TraceRecord] = []

    def trace(record: TraceRecord) -> None:
        records.append(record)
        raise RuntimeError("the disk is full")

    endpoint = await make_endpoint(trace=trace)
    endpoint.on_request = answering(200)
    wire.send(raw_request(), endpoint.local)
    await wire.receive()
    assert [record.direction for record in records] == ["in", "out"]
    assert records[1].peer == Peer("udp", "127.0.0.1", wire.port)
    assert records[1].text.startswith("SIP/2.0 200 OK")


async def test_close_ends_everything(make_endpoint: MakeEndpoint, wire: Wire) -> None:
    endpoint = await make_endpoint()
    ends: list[EndReason] = []
    heard: list[Response] = []

    def keep(transaction: ServerTransaction) -> None:
        transaction.on_end = ends.append

    endpoint.on_request = keep
    wire.send(raw_request("INVITE"), endpoint.local)
    await until(lambda: endpoint.transactions == 1)
    endpoint.request(make_request(), Peer("udp", "127.0.0.1", wire.port), heard.append)
    await endpoint.close()
    await endpoint.close()
    assert ends == [EndReason.CLOSED]
    assert heard == []
    assert endpoint.transactions == 0
