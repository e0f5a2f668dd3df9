"""The clock of the signalling: what an event loop offers and a test can drive by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A pending call-back."""

    def cancel(self) -> None:
        """Never call back."""


class Scheduler(Protocol):
    """The clock of an endpoint; the running event loop is one."""

    def time(self) -> float:
        """Seconds on a clock that never steps back."""

    def call_later(self, delay: float, callback: Callable[..., object], /, *args: object) -> Timer:
        """Call `callback(*args)` once, `delay` seconds from now."""
