"""How late the pump wakes: the one figure that tells whether a media worker keeps up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

BOUNDS_MS: Final = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0)  # upper bounds; later ones come last


class Lateness:
    """A histogram of wake-ups by how many seconds after their due time they came."""

    __slots__ = ("counts", "latest")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_MS) + 1)
        self.latest = 0.0  # seconds

    def note(self, seconds: float) -> None:
        """Count one wake-up."""
        self.counts[bisect_left(BOUNDS_MS, seconds * 1000)] += 1
        self.latest = max(self.latest, seconds)


def percentile_ms(counts: Iterable[int], share: float) -> float:
    """Return the bound in milliseconds that `share` (0–1) of the wake-ups kept; inf past the last.

    An empty histogram gives 0.
    """
    sums = list(accumulate(counts))
    if not sums or not sums[-1]:
        return 0.0
    place = bisect_left(sums, share * sums[-1])
    return BOUNDS_MS[place] if place < len(BOUNDS_MS) else float("inf")
