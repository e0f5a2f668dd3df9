"""The beat of a media worker: every call gets its turn once in 20 ms, always at the same instant.

The period is cut into twenty phases of 1 ms, and the calls are spread over them, so that the work
is even and no call waits behind all the others. Once a phase the pump wakes, sends for the calls
of that phase, then takes what has come in. It does not wake for every packet: what comes waits
for the next phase, which is up to 1 ms for the listener and half the work for the machine.

Late by some phases, the pump does them at once. Late by whole periods (the machine stood still),
it leaves these out: a peer that got all of them in one burst would only throw them away.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Final, Protocol

from ivr.media.lateness import Lateness
from ivr.media.rtp import FRAME_MS

PHASES: Final = FRAME_MS
PHASE: Final = 0.001  # seconds
PERIOD: Final = PHASES * PHASE
REVIEW_PERIODS: Final = 50  # one review of each call a second

_BATCH: Final = 64  # descriptors served before the clock is looked at again
_IDLE_WAIT: Final = 1.0  # seconds between two wake-ups with nothing to do
_BUSY_WAIT: Final = 0.002  # the same while the disk thread owes an answer


class Source(Protocol):
    """Something that can be read when its descriptor says so."""

    def fileno(self) -> int:
        """Return the descriptor."""

    def receive(self, now: float) -> None:
        """Read without blocking: one packet, or as much as is fair to the others."""


class Beaten(Source, Protocol):
    """A call, as the pump sees it."""

    def tick(self, now: float) -> None:
        """Send this period's packet."""

    def miss(self, periods: int) -> None:
        """Let periods pass without packets."""

    def review(self, now: float) -> None:
        """Do what once a second is enough for."""


class Pump:
    """Runs until `stop`. All times are seconds of the monotonic clock.

    `between` is called once a wake-up with the time by which it should return; it answers whether
    more work waits. `on_broken` is told of a source or call that raised; it should remove it.
    """

    def __init__(
        self,
        between: Callable[[float, float], bool],
        on_broken: Callable[[Source, Exception], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.lateness = Lateness()
        self._between = between
        self._on_broken = on_broken
        self._clock = clock
        self._sleep = sleep
        self._epoll = select.epoll()
        self._sources: dict[int, Source] = {}
        self._phases: list[list[Beaten]] = [[] for _ in range(PHASES)]
        self._phase_of: dict[Beaten, list[Beaten]] = {}
        self._start = clock()
        self._turn = 0  # phases since the start; this one is due at _start + _turn * PHASE
        self._running = True

    def time(self) -> float:
        """Return the time on the pump's clock."""
        return self._clock()

    def watch(self, source: Source) -> None:
        """Call `receive` of the source when there is something to read."""
        self._sources[source.fileno()] = source
        self._epoll.register(source.fileno(), select.EPOLLIN)

    def ignore(self, source: Source) -> None:
        """Undo `watch`, before the descriptor is closed."""
        self._epoll.unregister(source.fileno())
        del self._sources[source.fileno()]

    def add(self, call: Beaten) -> None:
        """Give the call its turn in the least busy phase."""
        phase = self._phase_of[call] = min(self._phases, key=len)
        phase.append(call)

    def remove(self, call: Beaten) -> None:
        """Give the call no more turns, if it had any."""
        phase = self._phase_of.pop(call, None)
        if phase:
            phase.remove(call)

    def stop(self) -> None:
        """Return from `run` after this wake-up."""
        self._running = False

    def run(self) -> None:
        """Beat."""
        more = True
        while self._running:
            more = self._beat() if self._phase_of else self._idle(more)

    def close(self) -> None:
        """Give back the descriptor of the epoll; after `run`."""
        self._epoll.close()

    def _beat(self) -> bool:
        wait = self._start + self._turn * PHASE - self._clock()
        if wait > 0:
            self._sleep(wait)
        now = self._clock()
        late = now - self._start - self._turn * PHASE
        self.lateness.note(late)
        if late >= PERIOD:
            self._skip(int(late / PERIOD))
        turns = range(self._turn, int((now - self._start) / PHASE) + 1)
        for turn in turns:
            self._send(turn, now)
        self._turn = turns.stop
        due = self._start + self._turn * PHASE
        self._receive(now, due, len(turns))
        return self._between(now, due)

    def _idle(self, busy: bool) -> bool:
        """Wait for a command, then begin the beat anew."""
        ready = self._epoll.poll(_BUSY_WAIT if busy else _IDLE_WAIT)
        now = self._clock()
        self._serve(ready, now)
        self._turn = int((now - self._start) / PHASE) + 1
        return self._between(now, now + PERIOD)

    def _skip(self, periods: int) -> None:
        self._turn += periods * PHASES
        for phase in self._phases:
            for call in phase:
                call.miss(periods)

    def _send(self, turn: int, now: float) -> None:
        phase = self._phases[turn % PHASES]
        # A list that shrinks under the loop would skip a call: broken ones go afterwards.
        broken: list[tuple[Source, Exception]] = []
        for call in phase:
            try:
                call.tick(now)
            except Exception as error:
                broken.append((call, error))
        for call in phase[turn // PHASES % REVIEW_PERIODS :: REVIEW_PERIODS]:
            try:
                call.review(now)
            except Exception as error:
                broken.append((call, error))
        for source, cause in broken:
            self._on_broken(source, cause)

    def _receive(self, now: float, due: float, turns: int) -> None:
        """Serve what is ready: a batch for each turn, and more in half of the time that is left.

        The other half is not for us. Without it a flood of packets would keep the processor from
        everybody else on the machine, for the pump goes first.
        """
        until = (self._clock() + due) / 2
        while True:
            ready = self._epoll.poll(0, _BATCH)
            self._serve(ready, now)
            turns -= 1
            if len(ready) < _BATCH or (turns <= 0 and self._clock() >= until):
                return

    def _serve(self, ready: list[tuple[int, int]], now: float) -> None:
        for descriptor, _ in ready:
            source = self._sources.get(descriptor)
            if source is None:
                continue  # closed by what came before it in this batch
            try:
                source.receive(now)
            except Exception as error:
                self._on_broken(source, error)
