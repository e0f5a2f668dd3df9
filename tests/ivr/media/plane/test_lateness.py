"""The histogram of wake-ups."""

from __future__ import annotations

from ivr.media.lateness import BOUNDS_MS, Lateness, percentile_ms


def test_wakeups_are_counted_by_bound() -> None:
    lateness = Lateness()
    for ms in (0.1, 0.5, 0.7, 2.5, 100):
        lateness.note(ms / 1000)
    assert lateness.counts == [2, 1, 0, 1, 0, 0, 0, 1]
    assert lateness.latest == 0.1


def test_percentiles_are_bounds() -> None:
    assert percentile_ms([], 0.99) == 0.0
    assert percentile_ms([0] * 8, 0.99) == 0.0
    assert percentile_ms([98, 1, 1, 0, 0, 0, 0, 0], 0.99) == BOUNDS_MS[1]
    assert percentile_ms([1, 0, 0, 0, 0, 0, 0, 1], 0.99) == float("inf")
