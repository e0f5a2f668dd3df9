"""Slots: what every live call holds exactly one of, and always gives back (design §3).

A slot is one channel out of a limit, taken together with one token of a rate.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from ivr.trunk import TokenBucket


@dataclass(slots=True)
class Slot:
    """One channel of a trunk. A context manager; releasing twice gives back one channel."""

    trunk: str
    caller_ids: tuple[str, ...]
    give_back: Callable[[], None] | None = field(repr=False)

    def release(self) -> None:
        """Give the channel back."""
        give_back, self.give_back = self.give_back, None
        if give_back is not None:
            give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Channels:
    """At most `limit` in use at once; those who wait are served in the order they came."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_use = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def try_take(self) -> bool:
        """Take a channel if one is free and nobody waits for it."""
        if self.in_use >= self.limit or self._waiting:
            return False
        self.in_use += 1
        return True

    async def take(self) -> None:
        """Take a channel, waiting for one. A cancelled wait takes none."""
        if self.try_take():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()  # it was ours in the same instant
            else:
                self._waiting.remove(turn)
            raise

    def give_back(self) -> None:
        """Hand a channel to the first in the queue, or mark it free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # stays in use: only its holder changes
                return
        self.in_use -= 1


class Pace:
    """A token bucket on the event loop's clock, served in the order of asking."""

    def __init__(self, rate: float) -> None:
        # A burst of a tenth of a second: carriers count their limit in short windows.
        self._bucket = TokenBucket(rate=rate, burst=max(1.0, rate / 10))
        self._turn = asyncio.Lock()

    def try_take(self) -> bool:
        """Take a token if there is one and nobody waits for it."""
        if self._turn.locked():
            return False
        return not self._wanted()

    async def take(self) -> None:
        """Take a token, waiting for it."""
        async with self._turn:
            # A sleep of a known length, not a poll.
            while wait := self._wanted():  # noqa: ASYNC110
                await asyncio.sleep(wait)

    def _wanted(self) -> float:
        """Seconds until there is a token; 0.0 when one was taken."""
        return self._bucket.take(asyncio.get_running_loop().time())
