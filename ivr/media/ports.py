"""Which RTP ports are free: even ports of a range, each resting a while between two calls.

Packets of a call that has just ended keep coming for some seconds; a port that went straight to
the next call would hand them to it. Ports are taken in the order in which they became free, so a
port rests as long as the range allows, and never less than the quarantine.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Final

from ivr.media.errors import PortsExhausted

ANY_PORT: Final = 0  # what the pool of an empty range hands out: let the system choose


class PortPool:
    """The even ports of `ports`; of an empty range, whatever the system gives.

    `quarantine` is in seconds. The first round through the range is in random order, so that a
    port cannot be guessed from the one before and two servers seldom ask for the same.
    """

    def __init__(self, ports: range, quarantine: float) -> None:
        self._range = ports
        self._quarantine = quarantine
        even = [port for port in ports if port % 2 == 0]
        random.shuffle(even)
        self._free: deque[tuple[float, int]] = deque((float("-inf"), port) for port in even)
        self._size = len(even)

    @property
    def in_use(self) -> int:
        """How many ports calls hold now; quarantined ones are not counted."""
        return self._size - len(self._free)

    def take(self, now: float) -> int:
        """Return a port that no call holds; `now` is in seconds on a steady clock.

        Raises `PortsExhausted` when every port is held by a call or in quarantine.
        """
        if not self._range:
            return ANY_PORT
        if not self._free or self._free[0][0] > now:
            raise PortsExhausted(self._why_none())
        return self._free.popleft()[1]

    def give_back(self, port: int, now: float) -> None:
        """Put a port into quarantine: its call has ended, or another program holds it."""
        if self._range:
            self._free.append((now + self._quarantine, port))

    def _why_none(self) -> str:
        return (
            f"No RTP port is free in {self._range.start}-{self._range.stop - 1}: "
            f"{self.in_use} of its {self._size} even ports are in use and {len(self._free)} are "
            f"resting for {self._quarantine:g} s after a call or held by other programs; "
            "widen the range or allow fewer calls at once."
        )
