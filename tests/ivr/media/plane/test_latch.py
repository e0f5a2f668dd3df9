"""Whom a call believes: the rules of ivr.media.latch, and the socket that obeys them."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.latch import PROBATION, SETTLED, Endpoint, Latch, Verdict
from ivr.media.line import Line
from ivr.media.rtp import RtpPacket, pack_rtp

PHONE = ("203.0.113.5", 4000)
SAME_HOST = ("203.0.113.5", 4444)
NAT = ("198.51.100.9", 61000)
STRANGER = ("192.0.2.66", 5555)


def run(latch: Latch, source: Endpoint, count: int, *, first: int = 65533) -> list[Verdict]:
    return [latch.offer(source, 7, (first + n) & 0xFFFF) for n in range(count)]


def test_the_sdp_address_is_believed_at_once() -> None:
    latch = Latch(*PHONE)
    assert latch.target == PHONE
    assert latch.offer(PHONE, 1, 1) is Verdict.LOCK


def test_another_port_of_the_sdp_host_is_where_packets_go() -> None:
    latch = Latch(*PHONE)
    assert latch.offer(SAME_HOST, 1, 1) is Verdict.LOCK
    assert latch.target == SAME_HOST


def test_a_nat_is_believed_after_a_run_across_the_wrap() -> None:
    latch = Latch(*PHONE)
    assert run(latch, NAT, PROBATION) == [Verdict.DROP] * (PROBATION - 1) + [Verdict.FOLLOW]
    assert latch.target == NAT
    assert latch.offer(NAT, 7, 9) is Verdict.HEAR


def test_a_run_with_a_gap_does_not_count() -> None:
    latch = Latch(*PHONE)
    assert run(latch, NAT, PROBATION - 1) + run(latch, NAT, PROBATION - 1, first=99) == [
        Verdict.DROP
    ] * (2 * PROBATION - 2)


def test_the_sdp_host_takes_the_call_back() -> None:
    latch = Latch(*PHONE)
    run(latch, STRANGER, PROBATION + 20)
    assert latch.offer(PHONE, 1, 1) is Verdict.LOCK
    assert latch.target == PHONE


def test_a_believed_nat_keeps_others_out_and_settles() -> None:
    latch = Latch(*PHONE)
    run(latch, NAT, PROBATION)
    assert set(run(latch, STRANGER, 2 * PROBATION)) == {Verdict.DROP}
    verdicts = run(latch, NAT, SETTLED - PROBATION)
    assert verdicts[-1] is Verdict.LOCK
    assert set(verdicts[:-1]) == {Verdict.HEAR}


def test_a_flood_of_strangers_neither_gets_in_nor_costs_memory() -> None:
    latch = Latch(*PHONE)
    for n in range(1000):
        assert latch.offer((f"10.0.{n // 250}.{n % 250}", 5), n, n) is Verdict.DROP
    assert len(latch._candidates) <= 8


def test_after_a_new_address_the_last_packets_of_the_old_port_do_not_latch() -> None:
    latch = Latch(*PHONE, former=SAME_HOST)
    assert latch.offer(SAME_HOST, 1, 1) is Verdict.DROP
    assert latch.offer(PHONE, 2, 1) is Verdict.LOCK


def test_a_peer_that_never_moved_in_spite_of_its_new_sdp_is_heard_again() -> None:
    latch = Latch(*PHONE, former=SAME_HOST)
    assert run(latch, SAME_HOST, PROBATION)[-1] is Verdict.FOLLOW


@given(
    st.lists(
        st.tuples(st.sampled_from([NAT, STRANGER]), st.integers(0, 3), st.integers(0, 20)),
        max_size=60,
    )
)
def test_while_the_phone_is_silent_nobody_locks_quickly(
    packets: list[tuple[Endpoint, int, int]],
) -> None:
    latch = Latch(*PHONE)
    verdicts = [latch.offer(*packet) for packet in packets]
    assert Verdict.LOCK not in verdicts
    assert latch.offer(PHONE, 9, 9) is Verdict.LOCK


def test_what_a_stranger_sent_before_the_address_was_latched_is_not_heard() -> None:
    def packet(number: int) -> bytes:
        return pack_rtp(RtpPacket(8, False, number, number * 160, 7, b"\xd5" * 160))

    line = Line("127.0.0.1", 0)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        phone.bind(("127.0.0.1", 0))
        stranger.bind(("127.0.0.66", 0))
        line.aim(*phone.getsockname())
        for number, sender in enumerate((phone, stranger, phone, stranger)):
            sender.sendto(packet(number), ("127.0.0.1", line.port))
        heard = [line.read({8}) for _ in range(4)]
        assert heard == [packet(0), None, packet(2), None]
        assert line.dropped == 2
        for number, sender in enumerate((stranger, phone), start=4):
            sender.sendto(packet(number), ("127.0.0.1", line.port))
        assert line.read({8}) == packet(5)
        with pytest.raises(BlockingIOError):
            line.read({8})
        line.close()
