"""TCP as peers and attackers use it, and the addresses of both transports."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from ivr.sip import tcp
from ivr.sip.endpoint import Endpoint, Response, ServerTransaction
from ivr.sip.message import SipResponse, parse_message
from ivr.sip.peer import Peer
from tests.ivr.sip.conftest import MakeEndpoint
from tests.ivr.sip.messages import make_request, raw_request
from tests.ivr.sip.wire import PATIENCE, until


class Stream:
    """A TCP peer played by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, to: Peer) -> Stream:
        return cls(*await asyncio.open_connection(to.host, to.port))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(size)

    async def response(self) -> SipResponse:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
        message = parse_message(head)  # no answer here has a body
        assert isinstance(message, SipResponse)
        return message

    async def ended(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionResetError):
            await self.writer.wait_closed()


@pytest.fixture
async def server(make_endpoint: MakeEndpoint) -> Endpoint:
    endpoint = await make_endpoint()
    endpoint.on_request = lambda transaction: transaction.reply(200) and None
    return endpoint


@pytest.fixture
async def stream(server: Endpoint) -> AsyncIterator[Stream]:
    opened = await Stream.open(server.local)
    yield opened
    await opened.close()


def over_tcp(method: str = "OPTIONS", branch: str = "z9hG4bKtcp", **more: str) -> bytes:
    return raw_request(method, branch=branch, **more).replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")


async def test_split_byte_by_byte(server: Endpoint, stream: Stream) -> None:
    for byte in over_tcp("MESSAGE", body="hello"):
        stream.send(bytes([byte]))
        await stream.writer.drain()
        await asyncio.sleep(0)
    assert (await stream.response()).status_code == 200


async def test_glued_together(server: Endpoint, stream: Stream) -> None:
    stream.send(b"".join(over_tcp(branch=f"z9hG4bK{number}") for number in range(50)))
    branches = [(await stream.response()).top_via.branch for _ in range(50)]
    assert branches == [f"z9hG4bK{number}" for number in range(50)]
    assert server.transactions == 0  # over TCP nothing is kept to absorb repetitions


async def test_keep_alives_are_answered(server: Endpoint, stream: Stream) -> None:
    stream.send(b"\r\n\r\n")
    assert await stream.read(2) == b"\r\n"
    stream.send(b"\r\n\r\n" + over_tcp())
    assert await stream.read(2) == b"\r\n"
    assert (await stream.response()).status_code == 200


async def test_what_cannot_be_cut_is_closed(server: Endpoint, stream: Stream) -> None:
    stream.send(over_tcp().replace(b"Content-Length: 0\r\n", b""))
    assert await stream.ended()
    assert server.counters["tcp_unframeable"] == 1
    again = await Stream.open(server.local)
    again.send(over_tcp())
    assert (await again.response()).status_code == 200
    await again.close()


async def test_garbage_is_answered_and_the_stream_goes_on(server: Endpoint, stream: Stream) -> None:
    stream.send(over_tcp(extra="no colon\r\n") + over_tcp())
    assert (await stream.response()).status_code == 400
    assert (await stream.response()).status_code == 200


async def test_one_connection_serves_many_requests(make_endpoint: MakeEndpoint) -> None:
    ours, theirs = await make_endpoint(), await make_endpoint()
    sources: set[Peer] = set()

    def answer(transaction: ServerTransaction) -> None:
        sources.add(transaction.source)
        transaction.reply(200)

    theirs.on_request = answer
    heard: list[Response] = []
    to = theirs.local._replace(transport="tcp")
    for _ in range(20):  # the first opens the connection, the others wait for it
        ours.request(make_request(), to, heard.append)
    await until(lambda: len(heard) == 20)
    ours.request(make_request(), to, heard.append)
    await until(lambda: len(heard) == 21)
    assert len(sources) == 1
    assert {response.message.status_code for response in heard} == {200}


async def test_a_request_comes_back_on_the_connection_of_the_other_way(
    make_endpoint: MakeEndpoint,
) -> None:
    phone, server = await make_endpoint(), await make_endpoint()
    came: list[Peer] = []

    def register(transaction: ServerTransaction) -> None:
        came.append(transaction.source)
        transaction.reply(200)

    server.on_request = register
    phone.on_request = lambda transaction: transaction.reply(486) and None
    heard: list[Response] = []
    phone.request(make_request("REGISTER"), server.local._replace(transport="tcp"), heard.append)
    await until(lambda: bool(heard))
    server.request(make_request("INVITE"), came[0], heard.append)
    await until(lambda: len(heard) == 2)
    assert heard[1].message.status_code == 486


async def test_a_lost_connection_is_a_503_for_who_waits_on_it(
    make_endpoint: MakeEndpoint,
) -> None:
    opened: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    listener = await asyncio.start_server(
        lambda _, writer: opened.put_nowait(writer), "127.0.0.1", 0
    )
    endpoint = await make_endpoint()
    heard: list[Response] = []
    to = Peer("tcp", "127.0.0.1", listener.sockets[0].getsockname()[1])
    endpoint.request(make_request(), to, heard.append)
    async with asyncio.timeout(PATIENCE):
        writer = await opened.get()
    writer.close()
    await until(lambda: bool(heard))
    assert (heard[0].message.status_code, heard[0].source) == (503, None)
    assert endpoint.transactions == 0
    listener.close()


async def test_a_response_finds_a_new_connection_when_the_old_one_is_gone(
    make_endpoint: MakeEndpoint,
) -> None:
    came: list[ServerTransaction] = []
    endpoint = await make_endpoint()
    endpoint.on_request = came.append
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    listener = await asyncio.start_server(collect, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    stream = await Stream.open(endpoint.local)
    stream.send(over_tcp("INVITE", via_host=f"192.0.2.9:{port}"))
    await until(lambda: bool(came))
    await stream.close()
    await until(lambda: not endpoint._transport._hub.connected(came[0].source))
    came[0].reply(486)
    async with asyncio.timeout(PATIENCE):
        assert (await answers.get()).startswith(b"SIP/2.0 486")
    listener.close()


async def test_too_many_connections_are_refused(
    server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_CONNECTIONS", 2)
    streams = [await Stream.open(server.local) for _ in range(3)]
    assert await streams[2].ended()
    assert server.counters["tcp_refused"] == 1
    streams[0].send(over_tcp())
    assert (await streams[0].response()).status_code == 200
    for stream in streams:
        await stream.close()


async def test_one_address_cannot_use_up_all_connections(
    server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_PER_HOST", 2)
    streams = [await Stream.open(server.local) for _ in range(3)]
    assert await streams[2].ended()
    assert server.counters["tcp_refused"] == 1
    await streams[1].close()
    await until(lambda: len(server._transport._hub._connections) == 1)
    streams.append(await Stream.open(server.local))  # there is room again
    streams[3].send(over_tcp())
    assert (await streams[3].response()).status_code == 200
    for stream in (streams[0], streams[2], streams[3]):
        await stream.close()


async def test_closing_ends_the_connections_that_are_open(make_endpoint: MakeEndpoint) -> None:
    endpoint = await make_endpoint()
    streams = [await Stream.open(endpoint.local) for _ in range(3)]
    streams[0].send(b"INVITE sip:")  # one of them in the middle of a message
    await until(lambda: len(endpoint._transport._hub._connections) == 3)
    async with asyncio.timeout(PATIENCE):
        await endpoint.close()
    for stream in streams:
        assert await stream.ended()
        await stream.close()


@pytest.mark.parametrize("limit", ["IDLE_TIMEOUT", "PARTIAL_TIMEOUT"])
async def test_idle_and_dawdling_connections_are_closed(
    server: Endpoint, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(tcp, limit, 0.0)
    monkeypatch.setattr(tcp, "SWEEP", 0.001)
    stream = await Stream.open(server.local)
    stream.send(b"OPTIONS sip:")  # and never the rest
    assert await stream.ended()
    assert server.counters["tcp_idle_closed"] == 1
    await stream.close()


async def test_a_peer_that_does_not_read_is_given_up(
    server: Endpoint, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_UNSENT", -1)
    stream.send(over_tcp())
    assert await stream.ended()


async def test_connecting_is_bounded_and_ends_with_the_endpoint(
    make_endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await make_endpoint()
    monkeypatch.setattr(tcp, "MAX_WAITING", 1)
    connecting: asyncio.Event = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        connecting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    heard: list[Response] = []
    to = Peer("tcp", "192.0.2.1", 5060)
    endpoint.request(make_request(), to, heard.append)
    endpoint.request(make_request(), to, heard.append)
    await until(lambda: len(heard) == 1)
    assert heard[0].message.status_code == 503
    await connecting.wait()
    await endpoint.close()
    assert len(heard) == 1


def test_peers_read_like_addresses() -> None:
    assert str(Peer("udp", "192.0.2.1", 5060)) == "udp:192.0.2.1:5060"
    assert str(Peer("tcp", "2001:db8::1", 5060)) == "tcp:[2001:db8::1]:5060"
