"""Telephone-events: one key press is one digit, whatever the network and the sender do."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.dtmf import DIGITS, END_TIMEOUT, DtmfReceiver, EventPacket, digit_packets

TICK = 0.02
digit_strings = st.text(DIGITS, min_size=1, max_size=8)


@dataclass
class Wire:
    """One received packet."""

    at: float
    timestamp: int
    marker: bool
    payload: bytes


def event(digit: str, duration: int, *, end: bool = False) -> bytes:
    return struct.pack("!BBH", DIGITS.index(digit), (0x80 if end else 0) | 10, duration)


def wires(packets: Iterable[EventPacket], base: int = 1000) -> list[Wire]:
    return [
        Wire(p.tick * TICK, (base + p.start_tick * 160) % 2**32, p.marker, p.payload)
        for p in packets
    ]


def press(digit: str, *, at: int = 0, ticks: int = 5, base: int = 1000) -> list[Wire]:
    """A key press as our own sender makes it, `at` ticks from the start."""
    train = wires(digit_packets(digit, ticks * 20), base)
    return [Wire(w.at + at * TICK, w.timestamp + at * 160, w.marker, w.payload) for w in train]


def heard(train: Iterable[Wire], receiver: DtmfReceiver | None = None) -> list[tuple[str, int]]:
    """All digits a receiver makes of the packets, time-outs included."""
    receiver = receiver or DtmfReceiver()
    digits, now = [], 0.0
    for wire in train:
        now = max(now, wire.at)
        digits.append(receiver.feed(wire.timestamp, wire.marker, wire.payload, now))
    digits.append(receiver.expire(now + 2 * END_TIMEOUT))
    return [(digit.digit, digit.duration_ms) for digit in digits if digit]


ONE = press("1")
TWO = press("2", at=20)
ONE_AGAIN = press("1", at=20)


@pytest.mark.parametrize("digit", DIGITS)
def test_every_key(digit: str) -> None:
    assert heard(press(digit)) == [(digit, 100)]


@pytest.mark.parametrize(
    ("train", "digits"),
    [
        pytest.param([w for w in ONE for _ in range(3)], [("1", 100)], id="every packet tripled"),
        pytest.param(ONE[1:], [("1", 100)], id="first packet lost"),
        pytest.param(ONE[4:], [("1", 100)], id="all but the end packets lost"),
        pytest.param(ONE[-1:], [("1", 100)], id="all but the last packet lost"),
        pytest.param(ONE[:4], [("1", 80)], id="all end packets lost"),
        pytest.param(ONE[:1], [("1", 20)], id="all but the first packet lost"),
        pytest.param(ONE[:4] + TWO, [("1", 80), ("2", 100)], id="end lost, another key"),
        pytest.param(ONE[:4] + ONE_AGAIN, [("1", 80), ("1", 100)], id="end lost, same key again"),
        pytest.param(ONE[:4] + TWO[4:], [("1", 80), ("2", 100)], id="end lost, then only ends"),
        pytest.param(ONE + ONE_AGAIN, [("1", 100), ("1", 100)], id="the same key twice"),
        pytest.param(ONE + ONE_AGAIN[1:], [("1", 100), ("1", 100)], id="twice, second start lost"),
        pytest.param(ONE + ONE_AGAIN[-1:], [("1", 100), ("1", 100)], id="twice, only the last end"),
        pytest.param([ONE[1], ONE[0], *ONE[2:]], [("1", 100)], id="first two packets swapped"),
        pytest.param([*ONE, ONE[0]], [("1", 100)], id="first packet late, after the end"),
        pytest.param([*ONE, *TWO[:2], ONE[-1], *TWO[2:]], [("1", 100), ("2", 100)], id="late end"),
        pytest.param([*ONE, *TWO, ONE[-1]], [("1", 100), ("2", 100)], id="end later still"),
        pytest.param(press("5", ticks=400), [("5", 8000)], id="eight seconds"),
        pytest.param(press("5", base=2**32 - 300), [("5", 100)], id="timestamp wraps"),
    ],
)
def test_one_press_is_one_digit(train: list[Wire], digits: list[tuple[str, int]]) -> None:
    assert heard(train) == digits


def test_quick_next_press_after_lost_ends() -> None:
    """The next press comes before the time-out would have ended the first."""
    again = press("1", at=8)
    assert heard(ONE[:4] + again) == [("1", 80), ("1", 100)]
    assert heard(ONE[:4] + press("2", at=8)[4:]) == [("1", 80), ("2", 100)]


def test_a_press_over_eight_seconds_is_sent_in_segments() -> None:
    first = [Wire(n * TICK, 1000, n == 0, event("9", min(n * 160, 0xFFFF))) for n in range(1, 411)]
    second = [
        Wire(n * TICK, 1000 + 0xFFFF, False, event("9", (n - 410) * 160)) for n in range(411, 500)
    ]
    last = Wire(500 * TICK, 1000 + 0xFFFF, False, event("9", 90 * 160, end=True))
    whole = [("9", (0xFFFF + 90 * 160) // 8)]
    assert heard([*first, *second, last, last, last]) == whole
    assert heard([*first[:-5], *second, last]) == whole


@pytest.mark.parametrize("marker", [False, True])
def test_a_sender_that_advances_the_timestamp_with_every_packet(marker: bool) -> None:
    train = [
        Wire(n * TICK, 1000 + n * 160, marker or n == 0, event("3", (n + 1) * 160))
        for n in range(5)
    ]
    ends = [Wire(n * TICK, 1000 + n * 160, False, event("3", 800, end=True)) for n in range(5, 8)]
    digits = heard(train + ends)
    assert [digit for digit, _ in digits] == ["3"]


def test_another_key_at_the_same_timestamp_is_another_press() -> None:
    second = [Wire(w.at + 0.3, 1000, w.marker, w.payload) for w in press("2")]
    assert heard(ONE + second) == [("1", 100), ("2", 100)]
    assert heard(ONE[:4] + second) == [("1", 80), ("2", 100)]


def test_a_digit_is_known_to_be_down_before_it_is_reported() -> None:
    receiver = DtmfReceiver()
    assert receiver.pressed is None
    receiver.feed(1000, True, event("7", 160), 0.0)
    assert receiver.pressed == "7"
    receiver.feed(1000, False, event("7", 320, end=True), 0.02)
    assert receiver.pressed is None


def test_a_pause_in_the_middle_of_a_press_does_not_make_two() -> None:
    late = [Wire(w.at + 1, w.timestamp, w.marker, w.payload) for w in ONE[2:]]
    assert [digit for digit, _ in heard(ONE[:2] + late)] == ["1"]


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x01\x8a\x00", bytes([16, 0x8A, 0, 160]), bytes([36, 0x8A, 0, 160]), b"\xff" * 4],
    ids=["empty", "short", "flash", "fax", "ones"],
)
def test_what_is_no_digit_is_passed_over(payload: bytes) -> None:
    receiver = DtmfReceiver()
    assert receiver.feed(1000, True, payload, 0.0) is None
    assert receiver.pressed is None


def test_a_restarted_clock_does_not_deafen_the_receiver() -> None:
    earlier = press("2", at=20, base=1000 + 2**31)
    assert heard(ONE + earlier) == [("1", 100), ("2", 100)]


@given(digit_strings, st.integers(40, 400), st.integers(60, 300))
def test_what_is_sent_is_heard(digits: str, duration: int, gap: int) -> None:
    train = wires(digit_packets(digits, duration, gap_ms=gap))
    assert "".join(digit for digit, _ in heard(train)) == digits


@given(digit_strings, st.randoms(use_true_random=False), st.integers(0, 2**32 - 1))
def test_heard_through_a_bad_network(digits: str, dice: random.Random, base: int) -> None:
    """Losses, duplicates, and neighbours swapped."""
    packets = digit_packets(digits, 100, gap_ms=100)
    # One packet of each press arrives for certain: the first, or any other.
    sure = {p.start_tick: p for p in packets if p.marker or dice.random() < 0.2}
    survivors = [p for p in packets if p in sure.values() or dice.random() > 0.4]
    doubled = [p for p in survivors for _ in range(1 + (dice.random() < 0.3))]
    for index in range(len(doubled) - 1):
        if doubled[index].start_tick == doubled[index + 1].start_tick and dice.random() < 0.2:
            doubled[index], doubled[index + 1] = doubled[index + 1], doubled[index]
    assert "".join(digit for digit, _ in heard(wires(doubled, base))) == digits


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.booleans(), st.binary(max_size=6))))
def test_any_packets_are_survived(packets: list[tuple[int, bool, bytes]]) -> None:
    receiver = DtmfReceiver()
    for number, (timestamp, marker, payload) in enumerate(packets):
        receiver.feed(timestamp, marker, payload, number * TICK)


def test_the_schedule_of_one_press() -> None:
    packets = digit_packets("#", 60)
    assert [(p.tick, p.start_tick, p.marker) for p in packets] == [
        (0, 0, True), (1, 0, False), (2, 0, False), (3, 0, False), (4, 0, False),
    ]  # fmt: skip
    assert [p.payload.hex() for p in packets] == [
        "0b0a00a0", "0b0a0140", "0b8a01e0", "0b8a01e0", "0b8a01e0",
    ]  # fmt: skip


@given(digit_strings, st.integers(40, 8000), st.integers(0, 300))
def test_a_schedule_never_sends_two_packets_in_a_tick(digits: str, duration: int, gap: int) -> None:
    ticks = [packet.tick for packet in digit_packets(digits, duration, gap_ms=gap)]
    assert ticks == sorted(set(ticks))


@pytest.mark.parametrize(
    ("digits", "duration", "sentence"),
    [
        ("12x", 100, r"'X' in '12x' is not a key of a telephone: 0123456789\*#ABCD"),
        ("1", 10, "a key press of 10 ms cannot be sent: 40 to 8000 ms"),
        ("1", 9000, "a key press of 9000 ms cannot be sent: 40 to 8000 ms"),
    ],
)
def test_what_cannot_be_sent_is_refused(digits: str, duration: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        digit_packets(digits, duration)
