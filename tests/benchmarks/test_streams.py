"""What is concluded from arrivals, on arrivals made up."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.streams import ARRIVAL, Arrivals, judge

MS = 1_000_000
FOR_EVER = (0, 1 << 62)


def stream(
    places: list[int], *, port: int = 1, late: dict[int, float] | None = None, first: int = 0
) -> Arrivals:
    """Packets at these places of a stream, each on time but those that are `late` (ms)."""
    arrivals = np.zeros(len(places), ARRIVAL)
    arrivals["port"] = port
    arrivals["sequence"] = [(first + place) % 65536 for place in places]
    arrivals["timestamp"] = [(first + place) * 160 % 2**32 for place in places]
    arrivals["at"] = [
        (20 * place + (late or {}).get(place, 0)) * MS + 1_700_000_000 * 10**9 for place in places
    ]
    return arrivals


def test_an_even_stream_has_nothing_to_complain_of() -> None:
    found = judge(stream(list(range(100))), *FOR_EVER)
    assert (found.streams, found.received, found.lost, found.left_out) == (1, 100, 0, 0)
    assert (found.p50_ms, found.p99_ms, found.max_ms) == (0, 0, 0)


def test_nothing_heard_is_no_stream() -> None:
    assert judge(np.zeros(0, ARRIVAL), *FOR_EVER).streams == 0


@pytest.mark.parametrize("first", [0, 65_500, 2**32 // 160 - 10])
def test_gaps_are_lost_wherever_the_counters_wrap(first: int) -> None:
    places = [place for place in range(100) if place not in (50, 51, 70)]
    found = judge(stream(places, first=first), *FOR_EVER)
    assert (found.lost, found.left_out) == (3, 0)


def test_what_comes_late_or_twice_is_not_lost() -> None:
    assert judge(stream([0, 1, 3, 2, 4, 4, 5]), *FOR_EVER).lost == 0


def test_frames_without_packets_are_left_out_not_lost() -> None:
    arrivals = stream([0, 1, 2, 7, 8])
    arrivals["sequence"] = range(5)
    found = judge(arrivals, *FOR_EVER)
    assert (found.lost, found.left_out) == (0, 4)
    assert found.max_ms == 80


def test_a_late_packet_is_uneven_twice() -> None:
    found = judge(stream(list(range(11)), late={5: 4.0}), *FOR_EVER)
    assert found.max_ms == 4
    assert found.p50_ms == 0


def test_streams_are_told_apart_by_port() -> None:
    one, two = stream(list(range(50)), port=1), stream(list(range(50)), port=2, first=9_000)
    mixed = np.concatenate([one, two])
    mixed = mixed[np.argsort(mixed["at"], kind="stable")]
    found = judge(mixed, *FOR_EVER)
    assert (found.streams, found.lost, found.max_ms) == (2, 0, 0)


def test_only_the_measured_time_counts_for_evenness() -> None:
    arrivals = stream(list(range(100)), late={5: 9.0})
    since, until = int(arrivals["at"][20]), int(arrivals["at"][80])
    assert judge(arrivals, since, until).max_ms == 0
    assert judge(arrivals, 0, until).max_ms == 9
