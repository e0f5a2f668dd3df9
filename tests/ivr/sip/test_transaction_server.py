"""The server transactions by the clock of RFC 3261 §17.2."""

from __future__ import annotations

import pytest

from ivr.sip.errors import ProtocolError
from ivr.sip.transaction import EndReason, Event
from tests.ivr.sip.harness import TCP, Server


def test_100_goes_out_after_200_ms_unless_something_else_did() -> None:
    slow = Server().start()
    slow.advance(1)
    assert [str(each) for each in slow.layer.sent] == ["100@0.2"]
    assert slow.layer.messages[0].to_addr.tag is None
    quick = Server().start()
    quick.transaction.reply(180)
    quick.advance(1)
    assert quick.layer.whats == ["180"]


def test_a_repeated_invite_gets_the_latest_provisional() -> None:
    server = Server().start()
    server.transaction.feed(Event.REQUEST)
    assert server.layer.whats == []
    server.transaction.reply(180)
    server.transaction.feed(Event.REQUEST)
    server.transaction.reply(183)
    server.transaction.feed(Event.REQUEST)
    assert server.layer.whats == ["180", "180", "183", "183"]


def test_a_failure_is_repeated_until_timer_h() -> None:
    server = Server().start()
    server.transaction.reply(486)
    server.advance(100)
    assert server.layer.times("486") == [
        0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5,
    ]  # fmt: skip
    assert server.ends == [EndReason.TIMEOUT]
    assert server.layer.clock.pending == 0


def test_an_ack_stops_it_and_later_ones_are_absorbed() -> None:
    server = Server().start()
    server.transaction.reply(486)
    server.transaction.feed(Event.REQUEST)
    server.advance(0.6)
    server.hear_ack()
    server.hear_ack()
    server.transaction.feed(Event.REQUEST)
    server.advance(4.9)
    assert server.layer.whats == ["486", "486", "486"]
    assert server.ends == []
    server.advance(0.2)
    assert server.ends == [EndReason.COMPLETED]
    assert server.layer.acks == []


def test_over_tcp_a_failure_is_sent_once_and_the_ack_ends_it() -> None:
    server = Server(peer=TCP).start()
    server.transaction.reply(486)
    server.advance(10)
    assert server.layer.whats == ["486"]
    server.hear_ack()
    assert server.ends == [EndReason.COMPLETED]


def test_a_2xx_is_sent_once_and_absorbs_the_invite_until_timer_l() -> None:
    server = Server().start()
    ok = server.transaction.reply(200)
    server.transaction.feed(Event.REQUEST)
    assert server.layer.whats == ["200"]
    server.transaction.respond(ok)  # the user repeats its 2xx
    assert server.layer.whats == ["200", "200"]
    server.hear_ack()
    assert len(server.layer.acks) == 1
    server.advance(31.9)
    assert server.ends == []
    server.advance(0.2)
    assert server.ends == [EndReason.COMPLETED]


def test_options_answers_each_retransmission_until_timer_j() -> None:
    server = Server("OPTIONS").start()
    server.transaction.feed(Event.REQUEST)
    assert server.layer.whats == []
    server.transaction.reply(200)
    server.advance(20)
    server.transaction.feed(Event.REQUEST)
    assert server.layer.whats == ["200", "200"]
    server.advance(12.1)
    assert server.ends == [EndReason.COMPLETED]


def test_a_forgotten_options_does_not_stay_for_ever() -> None:
    server = Server("OPTIONS").start()
    server.advance(33)
    assert server.layer.sent == []
    assert server.ends == [EndReason.TIMEOUT]
    server.transaction.reply(200)  # too late, harmless
    assert server.layer.sent == []


def test_cancel_is_the_owners_to_answer() -> None:
    server = Server().start()
    server.transaction.feed(Event.CANCEL)
    assert server.cancels == 1
    assert server.layer.sent == []
    server.transaction.reply(487)
    server.transaction.feed(Event.CANCEL)
    assert server.cancels == 1
    assert server.layer.whats == ["487"]


def test_cancel_without_an_owner_is_answered_here() -> None:
    server = Server().start()
    server.transaction.on_cancel = None
    server.transaction.feed(Event.CANCEL)
    assert server.layer.whats == ["487"]


@pytest.mark.parametrize(("method", "first"), [("INVITE", 486), ("INVITE", 200), ("BYE", 200)])
def test_a_second_final_is_our_bug(method: str, first: int) -> None:
    server = Server(method).start()
    server.transaction.reply(first)
    assert server.transaction.answered
    with pytest.raises(ProtocolError):
        server.transaction.reply(500)
    assert server.layer.whats == [str(first)]


def test_all_answers_carry_one_to_tag() -> None:
    server = Server().start()
    server.transaction.reply(180)
    server.transaction.reply(200)
    tags = {message.to_addr.tag for message in server.layer.messages}
    assert tags == {server.transaction.to_tag}
    assert server.layer.messages[0].get_header("Server") == "test"


def test_a_network_that_refuses_ends_it() -> None:
    for method, status in (("INVITE", 180), ("INVITE", 486), ("OPTIONS", 200)):
        server = Server(method).start()
        server.layer.network_down = True
        server.transaction.reply(status)
        assert server.ends == []
        server.advance(0)
        assert server.ends == [EndReason.TRANSPORT_ERROR]
        assert server.layer.clock.pending == 0


def test_closing_tells_the_owner() -> None:
    server = Server().start()
    server.transaction.close()
    assert server.ends == [EndReason.CLOSED]
    assert server.layer.clock.pending == 0
