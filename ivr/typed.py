"""The keys a caller has typed and nobody has read yet (type-ahead)."""

from __future__ import annotations

import asyncio
from collections import deque


class Typed:
    """A queue of keys that can be looked at without being read; bounded, oldest dropped."""

    def __init__(self, most: int = 64) -> None:
        self._keys: deque[str] = deque(maxlen=most)
        self._more = asyncio.Event()

    def press(self, key: str) -> None:
        """A key came."""
        self._keys.append(key)
        self._more.set()

    def peek(self) -> str:
        """The next key, left where it is; "" when there is none."""
        return self._keys[0] if self._keys else ""

    def clear(self) -> None:
        """Forget what was typed."""
        self._keys.clear()
        self._more.clear()

    async def next(self, timeout: float) -> str:
        """The next key, taken; "" when none comes within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while not self._keys:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return ""
        return self._keys.popleft()
