"""Whatever happens in whatever order: nothing raises, nothing that happens once happens twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.sip.peer import Peer
from ivr.sip.transaction import Event, State
from tests.ivr.sip.harness import TCP, UDP, Client, Server

LONG = 100.0  # seconds, more than any timer
STATUSES = st.sampled_from([100, 180, 183, 200, 202, 302, 407, 486, 503, 603])
TIMES = st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0, 4.0, 5.0, 20.0, 33.0])
PEERS = st.sampled_from([UDP, TCP])

CLIENT_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), STATUSES),
        st.tuples(st.just("advance"), TIMES),
        st.tuples(st.just("cancel"), st.just(0)),
        st.tuples(st.just("network"), st.booleans()),
        st.tuples(st.just("lost"), st.just(0)),
    ),
    max_size=14,
)
SERVER_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reply"), STATUSES),
        st.tuples(st.just("advance"), TIMES),
        st.tuples(st.sampled_from(["again", "ack", "cancel", "lost"]), st.just(0)),
        st.tuples(st.just("network"), st.booleans()),
    ),
    max_size=14,
)


def run_client(client: Client, steps: list[tuple[str, float]]) -> int:
    """Play the steps; returns how many failures were heard while they had to be acknowledged."""
    to_acknowledge = 0
    for step, argument in steps:
        transaction = client.transaction
        if step == "advance":
            client.advance(argument)
        elif step == "network":
            client.layer.network_down = bool(argument)
        elif step == "lost" and not transaction.ended:
            transaction.feed(Event.TRANSPORT_ERROR)
        elif step == "cancel" and transaction.request.method == "INVITE":
            transaction.cancel()
        elif step == "hear" and not transaction.ended:  # the ended are no longer matched
            to_acknowledge += argument >= 300 and transaction.state is not State.ACCEPTED
            client.hear(int(argument))
    return to_acknowledge


@settings(max_examples=300)
@given(CLIENT_STEPS, PEERS)
def test_invite_client(steps: list[tuple[str, float]], peer: Peer) -> None:
    client = Client("INVITE", peer).start()
    to_acknowledge = run_client(client, steps)
    finals = [status for status in client.statuses if status >= 200]
    failures = [status for status in finals if status >= 300]
    assert len(failures) <= 1
    assert not (failures and len(finals) > 1)  # a failure is the only final there is
    assert len(client.layer.times("ACK")) == to_acknowledge
    assert len(client.layer.children) <= 1
    assert client.statuses == sorted(client.statuses, key=lambda status: status >= 200)
    if finals or not any(step == "hear" for step, _ in steps):
        client.advance(LONG)
        assert client.transaction.ended
        assert client.layer.clock.pending == 0
        assert client.layer.forgotten.count(client.transaction) == 1
        assert any(status >= 200 for status in client.statuses)


@settings(max_examples=200)
@given(CLIENT_STEPS, PEERS)
def test_non_invite_client(steps: list[tuple[str, float]], peer: Peer) -> None:
    client = Client("OPTIONS", peer).start()
    run_client(client, steps)
    client.advance(LONG)
    assert len([status for status in client.statuses if status >= 200]) == 1
    assert client.statuses[-1] >= 200
    assert client.transaction.ended
    assert client.layer.clock.pending == 0
    if peer is TCP:
        assert client.layer.whats == ["OPTIONS"]


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
@settings(max_examples=200)
@given(steps=SERVER_STEPS, peer=PEERS)
def test_server(method: str, steps: list[tuple[str, float]], peer: Peer) -> None:
    server = Server(method, peer).start()
    transaction = server.transaction
    answered: list[int] = []
    for step, argument in steps:
        live = not transaction.ended  # the ended are no longer matched
        if step == "advance":
            server.advance(argument)
        elif step == "network":
            server.layer.network_down = bool(argument)
        elif step == "reply" and not transaction.answered:
            answered += [int(argument)] if argument >= 200 else []
            transaction.reply(int(argument))
        elif step == "again" and live:
            transaction.feed(Event.REQUEST)
        elif step == "lost" and live:
            transaction.feed(Event.TRANSPORT_ERROR)
        elif step == "ack" and live and method == "INVITE":
            server.hear_ack()
        elif step == "cancel" and live and method == "INVITE":
            transaction.feed(Event.CANCEL)
    finals = {what for what in server.layer.whats if what >= "200"}
    assert finals == {str(status) for status in answered}
    assert len(finals) <= 1
    assert len(server.ends) == transaction.ended
    if answered or method == "OPTIONS":
        server.advance(LONG)
        assert len(server.ends) == 1
        assert server.layer.clock.pending == 0
        sent = len(server.layer.sent)
        transaction.reply(200)  # a late user does no harm
        assert len(server.layer.sent) == sent
