"""Who gets in: the rule for every new request, and the measure of overload.

INVITEs come only from trunks, or from users whose phone is registered from that very address and
who then prove themselves. Scanners get no help: no answer, no list of methods, no hint whether a
user exists.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

LAG_LIMIT = 0.25  # seconds that the event loop may run late before new calls are turned away
LAG_EVERY = 0.1
LAG_MEMORY = 0.8  # of the last value kept at each measurement
RETRY_AFTER = (3, 10)  # seconds, chosen at random so that callers do not come back together

Source = Literal["trunk", "phone", "stranger"]
Verdict = Literal["accept", "ask_registrar", "drop", "overloaded"]


@dataclass(frozen=True, slots=True)
class Load:
    """How busy we are."""

    room: int  # calls more that we would take
    lag: float  # seconds

    @property
    def too_much(self) -> bool:
        """Whether a new call would be at the cost of those that are up."""
        return self.room <= 0 or self.lag > LAG_LIMIT


def judge(method: str, source: Source, *, users_exist: bool, load: Load) -> Verdict:
    """What becomes of a new request outside a dialog.

    >>> judge("INVITE", "stranger", users_exist=True, load=Load(10, 0.0))
    'drop'
    """
    if method == "REGISTER":
        return "ask_registrar" if users_exist else "drop"
    if source == "stranger":
        return "drop"
    if method == "INVITE" and load.too_much:
        return "overloaded"
    return "accept"


class LagMeter:
    """How late the event loop runs, as a moving average in seconds."""

    def __init__(self) -> None:
        self.lag = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._plan()

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _plan(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LAG_EVERY, self._measure, loop.time() + LAG_EVERY)

    def _measure(self, due: float) -> None:
        late = max(0.0, asyncio.get_running_loop().time() - due)
        self.lag = LAG_MEMORY * self.lag + (1 - LAG_MEMORY) * late
        self._plan()
