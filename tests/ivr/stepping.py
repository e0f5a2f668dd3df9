"""Cancelling a coroutine at its k-th wait, so that a test can try every one of them."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Collection, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class Stepping:
    """Runs a coroutine as its task does, and cancels that task whenever it waits for the k-th time.

    `waits` counts how often it has waited.
    """

    def __init__(self, cancel_at: Collection[int]) -> None:
        self.waits = 0
        self._cancel_at = cancel_at

    @types.coroutine
    def run(self, inner: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Run it; await this."""
        steps = inner.__await__()
        throw: BaseException | None = None
        while True:
            try:
                waiting_for = next(steps) if throw is None else steps.throw(throw)
            except StopIteration as end:
                result: T = end.value
                return result
            throw = None
            self.waits += 1
            if self.waits in self._cancel_at:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                yield waiting_for
            except BaseException as error:  # handed on to where it was waiting
                throw = error
