"""Receive statistics against RFC 3550's definitions, and the E-model against its tables."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.quality import (
    G711_PLC_BPL,
    MAX_MISORDER,
    ReceiveStats,
    Reception,
    estimate_mos,
    mos,
    rating,
)

SSRC = 0x1234


def receive(
    numbers: Sequence[int], *, stats: ReceiveStats | None = None, ssrc: int = SSRC
) -> Reception:
    """Feed packets with these sequence numbers, evenly spaced in time."""
    stats = stats or ReceiveStats()
    for n, number in enumerate(numbers):
        stats.add(ssrc, number % 65536, n * 160, n * 0.02)
    return stats.snapshot()


def counts(reception: Reception) -> tuple[int, int, int, int, int]:
    return (
        reception.received,
        reception.lost,
        reception.duplicates,
        reception.reordered,
        reception.restarts,
    )


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        pytest.param([], (0, 0, 0, 0, 0), id="nothing yet"),
        pytest.param([7], (1, 0, 0, 0, 0), id="one packet"),
        pytest.param(range(100), (100, 0, 0, 0, 0), id="all there"),
        pytest.param(range(65000, 66000), (1000, 0, 0, 0, 0), id="across the wrap"),
        pytest.param(range(0, 300000), (300000, 0, 0, 0, 0), id="across several wraps"),
        pytest.param([1, 2, 4, 5], (4, 1, 0, 0, 0), id="one lost"),
        pytest.param([65534, 65535, 2], (3, 2, 0, 0, 0), id="lost at the wrap"),
        pytest.param([1, 3, 2, 4], (4, 0, 0, 1, 0), id="swapped"),
        pytest.param([65535, 1, 0, 2], (4, 0, 0, 1, 0), id="swapped at the wrap"),
        pytest.param([5, 4, 6], (3, 0, 0, 1, 0), id="the very first came second"),
        pytest.param([1, 1, 2, 2, 2], (2, 0, 3, 0, 0), id="duplicates"),
        pytest.param([1, 3, 2, 2, 3], (3, 0, 2, 1, 0), id="duplicates of late ones"),
        pytest.param([1, 2, 30000], (2, 0, 0, 0, 0), id="a stray is not believed"),
        pytest.param([1, 2, 30000, 3], (3, 0, 0, 0, 0), id="nor does it disturb"),
        pytest.param([1, 2, 30000, 30001, 30002], (4, 0, 0, 0, 1), id="a jump, confirmed"),
        pytest.param([1, 3, 30000, 30001, 30003], (4, 2, 0, 0, 1), id="losses on both sides of it"),
        pytest.param([5000, 5001, 10, 11, 12], (4, 0, 0, 0, 1), id="a jump back"),
    ],
)
def test_counting(numbers: Sequence[int], expected: tuple[int, int, int, int, int]) -> None:
    assert counts(receive(numbers)) == expected


def test_another_source_begins_a_new_count_and_keeps_the_old() -> None:
    stats = ReceiveStats()
    receive([1, 2, 4], stats=stats)
    reception = receive([900, 901, 904], stats=stats, ssrc=77)
    assert counts(reception) == (6, 3, 0, 0, 1)
    assert reception.loss_percent == pytest.approx(100 * 3 / 9)


def test_what_to_use_is_told_packet_by_packet() -> None:
    stats = ReceiveStats()
    numbers = [1, 2, 2, 4, 3, 3, 30000, 30001, 30002]
    used = [stats.add(SSRC, number, n * 160, n * 0.02) for n, number in enumerate(numbers)]
    assert used == [True, True, False, True, True, False, False, True, True]


@given(st.integers(0, 65535), st.randoms(use_true_random=False), st.integers(2, 2000))
def test_any_network_is_counted_right(first: int, dice: random.Random, length: int) -> None:
    """Losses, duplicates and delays of up to half the window, against a plain count."""
    sent = range(first, first + length)
    kept = [number for number in sent if dice.random() > 0.1] or [first]
    copies = [(number + dice.random() * MAX_MISORDER / 2, number) for number in kept]
    copies += [
        (number + dice.random() * MAX_MISORDER / 2, number)
        for number in kept
        if dice.random() < 0.1
    ]
    arrived = [number for _, number in sorted(copies)]
    reception = receive(arrived)
    assert reception.received == len(kept)
    assert reception.lost == max(kept) - min(kept) + 1 - len(kept)
    assert reception.duplicates == len(arrived) - len(kept)


@pytest.mark.parametrize("wrap", range(30, 40), ids="wraps at packet {}".format)
def test_jitter_is_that_of_rfc_3550_appendix_a8(wrap: int) -> None:
    dice = random.Random(3)
    stats = ReceiveStats()
    jitter, transit = 0.0, None
    order = sorted(range(200), key=lambda n: n + 3 * dice.random())  # some overtake others
    for turn, n in enumerate(order):
        timestamp = (2**32 + (n - wrap) * 160) % 2**32
        arrival = turn * 0.02 + dice.random() * 0.02
        stats.add(SSRC, n, timestamp, arrival)
        previous, transit = transit, arrival * 8000 - n * 160
        if previous is not None:
            jitter += (abs(transit - previous) - jitter) / 16
        assert stats.snapshot().jitter_ms == pytest.approx(jitter / 8)
    assert stats.snapshot().max_jitter_ms > stats.snapshot().jitter_ms


@pytest.mark.parametrize(
    "timestamps",
    [
        pytest.param([0, 160, 320, 320, 320, 320, 960], id="a telephone-event"),
        pytest.param([0, 160, 2**31, 2**31 + 160, 2**31 + 320], id="a restarted clock"),
    ],
)
def test_no_jitter_on_a_perfect_network(timestamps: list[int]) -> None:
    stats = ReceiveStats()
    for n, timestamp in enumerate(timestamps):
        stats.add(SSRC, n, timestamp, n * 0.02)
    assert stats.snapshot().max_jitter_ms == pytest.approx(0)


@pytest.mark.parametrize(
    ("r", "score"),
    [
        (-5, 1.0),
        (0, 1.0),
        (50, 2.58),
        (60, 3.10),
        (70, 3.60),
        (80, 4.03),
        (90, 4.34),
        (93.2, 4.41),
        (100, 4.5),
    ],
)
def test_mos_by_the_table_of_g107_annex_b(r: float, score: float) -> None:
    assert mos(r) == pytest.approx(score, abs=0.01)


@given(st.floats(-50, 150), st.floats(0, 50))
def test_mos_stays_in_range_and_loss_never_helps(r: float, loss: float) -> None:
    assert 1.0 <= mos(r) <= 4.5
    assert rating(loss, 50) <= rating(0, 50)


@pytest.mark.parametrize(
    ("loss", "delay", "bpl", "r"),
    [
        (0, 0, 4.3, 93.2),
        (0, 150, 4.3, 89.6),
        (0, 400, 4.3, 59.1),
        (5, 0, 25.1, 77.4),
        (1, 0, 4.3, 75.3),
    ],
)
def test_rating_of_g711(loss: float, delay: float, bpl: float, r: float) -> None:
    assert rating(loss, delay, bpl=bpl) == pytest.approx(r, abs=0.06)


def test_bursts_and_missing_concealment_make_losses_worse() -> None:
    assert rating(3, 50, burst_ratio=2) < rating(3, 50) < rating(3, 50, bpl=G711_PLC_BPL)


def test_estimate_of_a_call() -> None:
    perfect = receive(range(1000))
    assert estimate_mos(perfect) == pytest.approx(4.39, abs=0.01)
    assert estimate_mos(receive(range(0, 1000, 2))) < 1.5
    assert estimate_mos(perfect, network_ms=300) < estimate_mos(perfect)
