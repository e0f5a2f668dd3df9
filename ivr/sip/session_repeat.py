"""Sending something again until it is acknowledged (RFC 3261 §13.3.1.4, RFC 3262 §3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ivr.sip.session_core import SessionCore

PATIENCE = 64  # in T1: how long anything is repeated before the far side counts as gone


def intervals(t1: float, longest: float, total: float) -> Iterator[float]:
    """Seconds between repeats: doubling from `t1` up to `longest`, in all exactly `total`."""
    interval, spent = t1, 0.0
    while spent < total:
        step = min(interval, total - spent)
        yield step
        spent += step
        interval = min(interval * 2, longest)


class Repeat:
    """Calls `send` again and again until stopped; `give_up` is called when the time is over.

    It outlives the session: a 2xx is repeated even after we hung up, since only its ACK lets us
    say BYE (§15).
    """

    def __init__(
        self,
        core: SessionCore,
        send: Callable[[], object],
        give_up: Callable[[], object],
        *,
        capped: bool = True,
    ) -> None:
        timers = core.around.endpoint.timers
        total = PATIENCE * timers.t1
        self._core = core
        self._send = send
        self._give_up = give_up
        self._steps = intervals(timers.t1, timers.t2 if capped else total, total)
        self._timer = core.around.later(next(self._steps), self._due)

    def stop(self) -> None:
        """It was acknowledged."""
        self._timer.cancel()

    def _due(self) -> None:
        step = next(self._steps, None)
        if step is None:
            self._give_up()
            return
        self._timer = self._core.around.later(step, self._due)
        self._send()
