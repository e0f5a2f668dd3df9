"""Live figures of running campaigns, for screens and metrics: counted in memory, cheap to read."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

RATE_WINDOW = 10.0  # seconds over which calls per second are counted


@dataclass(frozen=True, slots=True)
class CampaignFigures:
    """One campaign at one instant. `condition` says why it does not dial, "" where it does.

    `results`, `keys` and `outcomes` count all its calls, those of earlier runs included.
    """

    name: str
    trunk: str
    running: bool
    calls: tuple[uuid.UUID, ...]  # being set up or up
    answered: int  # of them
    calls_per_second: float  # dialled in the last RATE_WINDOW
    results: Mapping[str, int]
    keys: Mapping[str, int]
    outcomes: Mapping[str, int]
    condition: str


@dataclass(slots=True)
class Figures:
    """The counters behind CampaignFigures. Times are any monotonic clock's seconds."""

    results: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    up: dict[uuid.UUID, bool] = field(default_factory=dict)  # call -> answered?
    _dialled: deque[float] = field(default_factory=deque)

    def dialled(self, call_id: uuid.UUID, now: float) -> None:
        """A call is being set up."""
        self.up[call_id] = False
        self._dialled.append(now)
        self._forget_old(now)

    def answered(self, call_id: uuid.UUID) -> None:
        """It was answered."""
        self.up[call_id] = True

    def ended(self, call_id: uuid.UUID) -> None:
        """It is over."""
        self.up.pop(call_id, None)

    def settled(self, result: str, pressed: str, outcome: str | None) -> None:
        """Its result is on record."""
        self.results[result] += 1
        self.keys.update(set(pressed))
        if outcome:
            self.outcomes[outcome] += 1

    def calls_per_second(self, now: float) -> float:
        """Calls dialled in the last RATE_WINDOW seconds, by second."""
        self._forget_old(now)
        return len(self._dialled) / RATE_WINDOW

    def _forget_old(self, now: float) -> None:
        while self._dialled and self._dialled[0] <= now - RATE_WINDOW:
            self._dialled.popleft()
