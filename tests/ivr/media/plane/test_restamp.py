"""A bridged stream's numbering."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ivr.media.restamp import Restamp
from ivr.media.rtp import RtpPacket


def packet(sequence: int, timestamp: int, ssrc: int = 1) -> RtpPacket:
    return RtpPacket(8, False, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, b"")


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF))
def test_the_join_goes_on_where_the_stream_was(first: int, stamp: int, following: int) -> None:
    restamp, clock = Restamp(), 4_294_967_200
    for n in range(5):
        now = (clock + n * 160) & 0xFFFFFFFF
        place = restamp.place(packet(first + n, stamp + n * 160), following, now)
        assert place == ((following + n) & 0xFFFF, now, n == 0)


def test_losses_and_disorder_are_kept() -> None:
    restamp = Restamp()
    order = [0, 1, 4, 3, 5]
    places = [restamp.place(packet(500 + n, n * 160), 10, 1000) for n in order]
    assert places == [(10 + n, 1000 + n * 160, n == 0) for n in order]


def test_another_source_or_another_clock_joins_anew() -> None:
    restamp = Restamp()
    restamp.place(packet(500, 0), 10, 1000)
    assert restamp.place(packet(9, 77, ssrc=2), 11, 1160) == (11, 1160, True)
    assert restamp.place(packet(10, 900_000, ssrc=2), 12, 1320) == (12, 1320, True)


def test_after_a_break_it_joins_anew() -> None:
    restamp = Restamp()
    restamp.place(packet(500, 0), 10, 1000)
    restamp.break_off()
    assert restamp.place(packet(501, 160), 99, 5000) == (99, 5000, True)
