"""A hostile or a bad network: the endpoint stays, and every request ends exactly once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from ivr.sip.endpoint import Endpoint, Response, ServerTransaction, Timers
from ivr.sip.message import SipRequest, make_response, parse_message
from ivr.sip.peer import Peer
from ivr.sip.trace import TraceRecord
from tests.ivr.sip.conftest import MakeEndpoint
from tests.ivr.sip.messages import make_request, raw_request
from tests.ivr.sip.relay import Relay
from tests.ivr.sip.torture import DROP, MESSAGES, OK, Torture
from tests.ivr.sip.wire import Wire, until

QUICK = Timers(t1=0.025, t2=0.1, t4=0.1, trying=0.01)


def answer(transaction: ServerTransaction) -> None:
    transaction.reply(486 if transaction.request.method == "INVITE" else 200)


async def still_answers(endpoint: Endpoint, wire: Wire, branch: str) -> None:
    """OPTIONS gets its 200; whatever else comes on the way is passed over."""
    wire.send(raw_request(branch=branch), endpoint.local)
    while True:
        response = await wire.receive()
        if branch.encode() in response:
            assert response.startswith(b"SIP/2.0 200")
            return


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name.split(":")[0])
async def test_torture_on_a_live_port(
    make_endpoint: MakeEndpoint, wire: Wire, message: Torture
) -> None:
    out: list[str] = []

    def trace(record: TraceRecord) -> None:
        if record.direction == "out":
            out.append(record.text.split()[1])

    endpoint = await make_endpoint(trace=trace)
    endpoint.on_request = answer
    wire.send(message.wire, endpoint.local)
    await still_answers(endpoint, wire, "z9hG4bKafter")
    request = not message.wire.startswith(b"SIP/2.0")
    if request and message.expected == OK:
        assert out[0] in ("200", "486")
    elif request:
        assert out[0] == str(message.expected)
    else:
        assert out == ["200"]  # only to the OPTIONS after it
    assert endpoint.counters["malformed"] == (message.expected != OK)
    assert endpoint.counters["stray_responses"] == (not request and message.expected != DROP)
    assert endpoint.counters["internal_errors"] == 0


async def test_garbage_truncations_and_mutations(make_endpoint: MakeEndpoint, wire: Wire) -> None:
    endpoint = await make_endpoint()
    endpoint.on_request = answer
    rng = random.Random(4475)
    valid = [message.wire for message in MESSAGES if message.expected == OK]
    for number in range(600):
        if number % 3 == 0:
            data = rng.randbytes(rng.randrange(600))
        elif number % 3 == 1:
            whole = rng.choice(valid)
            data = whole[: rng.randrange(len(whole))]
        else:
            mutated = bytearray(rng.choice(valid))
            for _ in range(rng.randrange(1, 8)):
                mutated[rng.randrange(len(mutated))] = rng.randrange(256)
            data = bytes(mutated)
        wire.send(data, endpoint.local)
        if number % 60 == 59:
            await still_answers(endpoint, wire, f"z9hG4bKalive{number}")
    assert endpoint.counters["malformed"] > 200
    assert endpoint.counters["internal_errors"] == 0
    assert endpoint.counters["callback_errors"] == 0


async def test_keep_alives_and_the_largest_datagram(
    make_endpoint: MakeEndpoint, wire: Wire
) -> None:
    endpoint = await make_endpoint()
    endpoint.on_request = answer
    for data in (b"\0\0\0\0", b"\r\n\r\n", b"x" * 65_507):
        wire.send(data, endpoint.local)
    await still_answers(endpoint, wire, "z9hG4bKafter")
    assert endpoint.counters["keepalives"] == 2
    assert endpoint.counters["malformed"] == 1


@pytest.mark.parametrize("seed", [1, 2])
async def test_ten_percent_of_everything_bad(make_endpoint: MakeEndpoint, seed: int) -> None:
    """Loss, duplication and reordering both ways: one delivery and one final for each request."""
    ours, theirs = await make_endpoint(timers=QUICK), await make_endpoint(timers=QUICK)
    relay = await Relay.start((theirs.local.host, theirs.local.port), seed=seed)
    deliveries: Counter[str] = Counter()
    finals: dict[str, list[int]] = {}

    def serve(transaction: ServerTransaction) -> None:
        deliveries[transaction.request.call_id] += 1
        answer(transaction)

    theirs.on_request = serve

    def ask(number: int) -> None:
        request = make_request("INVITE" if number % 2 else "OPTIONS", call_id=f"call{number}")
        heard = finals.setdefault(request.call_id, [])

        def on_response(response: Response) -> None:
            if response.message.status_code >= 200:
                heard.append(response.message.status_code)

        ours.request(request, Peer("udp", "127.0.0.1", relay.port), on_response)

    for number in range(120):
        ask(number)
        await asyncio.sleep(0)
    await until(lambda: all(finals.values()))
    await until(lambda: ours.transactions + theirs.transactions == 0)
    relay.close()
    assert finals == {f"call{number}": [486 if number % 2 else 200] for number in range(120)}
    assert deliveries == {f"call{number}": 1 for number in range(120)}
    assert relay.counts["lost"] > 10
    assert relay.counts["doubled"] > 10
    assert relay.counts["reordered"] > 10
    assert theirs.counters["retransmissions"] > 10


async def test_a_cancel_gets_through_a_bad_network(make_endpoint: MakeEndpoint) -> None:
    ours, theirs = await make_endpoint(timers=QUICK), await make_endpoint(timers=QUICK)
    relay = await Relay.start((theirs.local.host, theirs.local.port), seed=5)
    cancels: Counter[str] = Counter()

    def ring(transaction: ServerTransaction) -> None:
        def cancelled() -> None:
            cancels[transaction.request.call_id] += 1
            transaction.reply(487)

        transaction.on_cancel = cancelled
        transaction.reply(180)

    theirs.on_request = ring
    finals: list[int] = []

    def call() -> None:
        def heard(response: Response) -> None:
            if response.message.status_code >= 200:
                finals.append(response.message.status_code)

        to = Peer("udp", "127.0.0.1", relay.port)
        ours.request(make_request("INVITE"), to, heard).cancel()

    for _ in range(40):
        call()
    await until(lambda: len(finals) == 40)
    await until(lambda: ours.transactions + theirs.transactions == 0)
    relay.close()
    assert finals == [487] * 40
    assert set(cancels.values()) == {1}


async def test_a_user_that_raises_on_a_response_harms_nobody(
    make_endpoint: MakeEndpoint, wire: Wire
) -> None:
    endpoint = await make_endpoint()

    def fail(_: Response) -> None:
        raise RuntimeError("a bug")

    transaction = endpoint.request(make_request(), Peer("udp", "127.0.0.1", wire.port), fail)
    request = parse_message(await wire.receive())
    assert isinstance(request, SipRequest)
    wire.send(bytes(make_response(request, 200)), endpoint.local)
    await until(lambda: endpoint.counters["callback_errors"] == 1)
    assert transaction.state.name == "COMPLETED"
