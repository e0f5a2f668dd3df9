"""The client transactions by the clock of RFC 3261 §17.1."""

from __future__ import annotations

import pytest

from ivr.sip.errors import ProtocolError
from ivr.sip.message import SipRequest
from tests.ivr.sip.harness import TCP, Client


def test_an_unanswered_invite_is_repeated_seven_times_and_times_out() -> None:
    client = Client().start()
    client.advance(100)
    assert client.layer.times("INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert client.told == [(32.0, 408, True)]
    assert client.layer.forgotten == [client.transaction]
    assert client.transaction.ended


def test_over_tcp_nothing_is_repeated() -> None:
    for method in ("INVITE", "OPTIONS"):
        client = Client(method, TCP).start()
        client.advance(100)
        assert client.layer.times(method) == [0]
        assert client.told == [(32.0, 408, True)]


def test_an_unanswered_options_is_repeated_ten_times_and_times_out() -> None:
    client = Client("OPTIONS").start()
    client.advance(100)
    assert client.layer.times("OPTIONS") == [
        0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5,
    ]  # fmt: skip
    assert client.told == [(32.0, 408, True)]


def test_a_provisional_slows_options_down_but_not_its_end() -> None:
    client = Client("OPTIONS").start()
    client.advance(0.4)
    client.hear(100)
    client.advance(100)
    assert client.layer.times("OPTIONS") == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert client.statuses == [100, 408]


def test_a_provisional_stops_the_invite_for_as_long_as_it_rings() -> None:
    client = Client().start()
    client.advance(0.6)
    client.hear(100)
    client.hear(180)
    client.advance(600)
    assert client.layer.times("INVITE") == [0, 0.5]
    assert client.statuses == [100, 180]
    client.hear(200)
    assert client.statuses == [100, 180, 200]


def test_every_2xx_is_delivered_until_timer_m() -> None:
    client = Client().start()
    client.hear(200)
    client.advance(0.5)
    client.hear(200)
    client.hear(200, to_tag="another fork")
    client.hear(180)  # late, and of no interest
    client.hear(486)
    assert client.statuses == [200, 200, 200]
    assert client.layer.whats == ["INVITE"]  # the ACK to a 2xx is not the transaction's
    client.advance(31.4)
    assert not client.transaction.ended
    client.advance(0.2)
    assert client.transaction.ended


def test_a_failure_is_delivered_once_and_acknowledged_every_time() -> None:
    client = Client().start()
    client.hear(180)
    client.hear(486)
    for _ in range(3):
        client.advance(4)
        client.hear(486)
    assert client.statuses == [180, 486]
    assert client.layer.times("ACK") == [0, 4, 8, 12]
    client.advance(19.9)
    assert not client.transaction.ended
    client.advance(0.2)
    assert client.transaction.ended


def test_the_ack_is_built_as_17_1_1_3_says() -> None:
    client = Client().start()
    client.hear(486, to_tag="busy")
    invite, ack = client.layer.messages
    assert isinstance(ack, SipRequest)
    assert (ack.method, ack.uri) == ("ACK", client.transaction.request.uri)
    assert ack.via == invite.via
    assert ack.from_addr == invite.from_addr
    assert ack.to_addr.tag == "busy"
    assert ack.call_id == invite.call_id
    assert (ack.cseq.seq, ack.cseq.method) == (invite.cseq.seq, "ACK")
    assert ack.get_header("Route") == "<sip:p;lr>"
    assert ack.get_header("Max-Forwards") == "70"
    assert ack.body == b""


def test_a_failure_over_tcp_ends_the_transaction_at_once() -> None:
    client = Client(peer=TCP).start()
    client.hear(486)
    assert client.transaction.ended
    assert client.statuses == [486]
    assert client.layer.whats == ["INVITE", "ACK"]


def test_a_2xx_after_a_failure_is_handed_on_as_a_stray() -> None:
    client = Client().start()
    client.hear(603)
    client.hear(200)
    assert client.statuses == [603]
    assert [stray.status_code for stray in client.layer.strays] == [200]


def test_a_final_ends_options_after_timer_k() -> None:
    client = Client("OPTIONS").start()
    client.hear(200)
    client.hear(200)
    client.hear(100)
    assert client.statuses == [200]
    client.advance(4.9)
    assert not client.transaction.ended
    client.advance(0.2)
    assert client.transaction.ended


class TestCancel:
    def test_waits_for_a_provisional(self) -> None:
        client = Client().start()
        client.advance(0.1)
        client.transaction.cancel([("Reason", "SIP;cause=200")])
        client.transaction.cancel([("Reason", "too late to change")])
        assert "CANCEL" not in client.layer.whats
        client.advance(0.9)
        client.hear(100)
        assert client.layer.whats == ["INVITE", "INVITE", "CANCEL"]
        assert client.layer.messages[-1].get_header("Reason") == "SIP;cause=200"
        client.hear(487)
        assert client.statuses == [100, 487]
        assert client.layer.whats[-1] == "ACK"

    def test_is_built_as_9_1_says(self) -> None:
        client = Client().start()
        client.hear(180, to_tag="early")
        client.transaction.cancel()
        invite, cancel = client.layer.messages
        assert isinstance(cancel, SipRequest)
        assert (cancel.method, cancel.uri) == ("CANCEL", client.transaction.request.uri)
        assert cancel.via == invite.via
        assert cancel.to_addr.tag is None  # the INVITE's To, not the early dialog's
        assert (cancel.cseq.seq, cancel.cseq.method) == (1, "CANCEL")
        assert cancel.get_header("Route") == "<sip:p;lr>"

    def test_leaves_once_and_is_repeated_as_a_request_of_its_own(self) -> None:
        client = Client().start()
        client.hear(180)
        client.transaction.cancel()
        client.transaction.cancel()
        client.hear(180)
        assert len(client.layer.children) == 1
        client.advance(1.6)
        assert client.layer.times("CANCEL") == [0, 0.5, 1.5]

    def test_without_a_final_it_is_487_after_64_t1(self) -> None:
        client = Client().start()
        client.hear(180)
        client.transaction.cancel()
        client.advance(31.9)
        assert client.statuses == [180]
        client.advance(0.2)
        assert client.told[-1] == (32.0, 487, True)
        assert client.transaction.ended

    def test_without_even_a_provisional_it_is_408(self) -> None:
        client = Client().start()
        client.transaction.cancel()
        client.advance(40)
        assert client.told == [(32.0, 408, True)]
        assert "CANCEL" not in client.layer.whats

    def test_an_answer_that_overtakes_it_is_an_answer(self) -> None:
        client = Client().start()
        client.hear(180)
        client.transaction.cancel()
        client.hear(200)
        assert client.statuses == [180, 200]

    def test_does_nothing_after_a_final(self) -> None:
        for status in (200, 486):
            client = Client().start()
            client.hear(status)
            client.transaction.cancel()
            client.advance(100)
            client.transaction.cancel()
            assert "CANCEL" not in client.layer.whats

    def test_only_an_invite_can_be_cancelled(self) -> None:
        with pytest.raises(ProtocolError):
            Client("OPTIONS").start().transaction.cancel()


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_network_that_refuses_is_a_local_503_but_never_from_within(method: str) -> None:
    client = Client(method)
    client.layer.network_down = True
    client.start()
    assert client.told == []
    client.advance(0)
    assert client.told == [(0.0, 503, True)]
    assert client.transaction.ended
    assert client.layer.clock.pending == 0


def test_closing_says_nothing() -> None:
    client = Client().start()
    client.transaction.close()
    client.advance(100)
    assert client.told == []
    assert client.layer.whats == ["INVITE"]
