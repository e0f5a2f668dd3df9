"""Waiting for a condition, with a deadline. For what sends no event that could be awaited."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

INTERVAL = 0.005


async def until(
    condition: Callable[[], object | Awaitable[object]],
    *,
    seconds: float = 10,
    say: Callable[[], object] = lambda: "",
) -> None:
    """Look again and again until `condition` holds; AssertionError with `say()` if it does not."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = condition()
                if await found if inspect.isawaitable(found) else found:
                    return
                await asyncio.sleep(INTERVAL)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {condition.__name__} {say()}") from None
