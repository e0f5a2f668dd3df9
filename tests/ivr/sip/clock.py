"""A scheduler whose time passes only when a test says so."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class _Pending:
    def __init__(self, callback: Callable[..., object], args: tuple[object, ...]) -> None:
        self.callback = callback
        self.args = args
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """An `ivr.sip.endpoint.Scheduler` driven by hand."""

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._order = count()
        self._due: list[tuple[float, int, _Pending]] = []

    def time(self) -> float:
        return self._now

    def call_later(
        self, delay: float, callback: Callable[..., object], /, *args: object
    ) -> _Pending:
        pending = _Pending(callback, args)
        heapq.heappush(self._due, (self._now + max(0.0, delay), next(self._order), pending))
        return pending

    def advance(self, seconds: float) -> None:
        """Let time pass; what falls due on the way is called at its own time, in order."""
        until = self._now + seconds
        while self._due and self._due[0][0] <= until:
            at, _, pending = heapq.heappop(self._due)
            self._now = max(self._now, at)
            if not pending.cancelled:
                pending.callback(*pending.args)
        self._now = until

    @property
    def pending(self) -> int:
        """How many calls are still to come."""
        return sum(not pending.cancelled for _, _, pending in self._due)
