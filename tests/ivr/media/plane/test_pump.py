"""The beat, on a clock that the test turns."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from ivr.media.pump import PERIOD, PHASE, PHASES, Pump, Source


class Clock:
    """Time passes when somebody sleeps, and now and then by more than he asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.oversleep: dict[int, float] = {}
        self.sleeps = 0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.now += seconds + self.oversleep.get(self.sleeps, 0.00001)


class Call:
    """Notes when it was asked for what."""

    def __init__(self) -> None:
        self.socket, self.far = socket.socketpair(type=socket.SOCK_DGRAM)
        self.ticks: list[float] = []
        self.missed = 0
        self.reviews: list[float] = []
        self.received = 0
        self.fail = False

    def fileno(self) -> int:
        return self.socket.fileno()

    def receive(self, now: float) -> None:
        self.socket.recv(100)
        self.received += 1

    def tick(self, now: float) -> None:
        self.ticks.append(now)
        if self.fail:
            raise RuntimeError("broken")

    def miss(self, periods: int) -> None:
        self.missed += periods

    def review(self, now: float) -> None:
        self.reviews.append(now)

    def close(self) -> None:
        self.socket.close()
        self.far.close()


class Bench:
    """A pump with so many calls, run for so many seconds of its clock."""

    def __init__(self, count: int) -> None:
        self.clock = Clock()
        self.end = 0.0
        self.broken: list[Source] = []
        self.commands: list[Callable[[], None]] = []
        self.pump = Pump(self._between, self._broken, clock=self.clock.time, sleep=self.clock.sleep)
        self.calls = [Call() for _ in range(count)]
        for call in self.calls:
            self.pump.add(call)
            self.pump.watch(call)

    def run(self, seconds: float) -> None:
        self.end = self.clock.now + seconds
        self.pump._running = True
        self.pump.run()

    def _between(self, now: float, until: float) -> bool:
        for command in self.commands:
            command()
        self.commands.clear()
        if now >= self.end:
            self.pump.stop()
        return False

    def _broken(self, source: Source, error: Exception) -> None:
        self.broken.append(source)
        self.pump.remove(source)  # type: ignore[arg-type]  # only calls break here


@contextmanager
def bench(count: int) -> Iterator[Bench]:
    made = Bench(count)
    try:
        yield made
    finally:
        for call in made.calls:
            call.close()
        made.pump.close()


def gaps(call: Call) -> list[float]:
    return [later - sooner for sooner, later in pairwise(call.ticks)]


def test_every_call_has_its_turn_each_period() -> None:
    with bench(45) as b:
        b.run(1.0)
        for call in b.calls:
            assert len(call.ticks) in (49, 50, 51)
            assert all(abs(gap - PERIOD) < 0.0005 for gap in gaps(call))


def test_calls_are_spread_evenly_over_the_phases() -> None:
    with bench(45) as b:
        b.run(PERIOD)
        starts = [round(call.ticks[0] / PHASE) % PHASES for call in b.calls]
        assert {starts.count(phase) for phase in range(PHASES)} == {2, 3}


def test_late_by_some_phases_all_of_them_go_at_once() -> None:
    with bench(20) as b:
        b.clock.oversleep[100] = 0.0075
        b.run(0.5)
        assert all(call.missed == 0 for call in b.calls)
        assert all(max(gaps(call)) < PERIOD + 0.009 for call in b.calls)
        assert 0.007 < b.pump.lateness.latest < 0.008


def test_late_by_whole_periods_these_are_left_out_and_nobody_gets_a_burst() -> None:
    with bench(20) as b:
        b.clock.oversleep[100] = 0.105
        b.run(0.5)
        for call in b.calls:
            assert call.missed == 5
            assert min(gaps(call)) > PERIOD - 0.006
            assert len(call.ticks) + call.missed in (24, 25, 26)


def test_each_call_is_reviewed_once_a_second() -> None:
    with bench(70) as b:
        b.run(3.0)
        for call in b.calls:
            assert len(call.reviews) in (3, 4)
            assert all(0.99 < b - a < 1.01 for a, b in pairwise(call.reviews))


def test_what_comes_in_is_read_one_packet_a_phase() -> None:
    with bench(3) as b:
        for _ in range(4):
            b.calls[1].far.send(b"x")
        b.run(0)
        b.run(0)
        assert [call.received for call in b.calls] == [0, 2, 0]


def test_a_call_that_breaks_does_not_take_others_along() -> None:
    with bench(21) as b:
        b.calls[0].fail = True  # shares its phase with the last
        b.run(0.1)
        assert b.broken == [b.calls[0]]
        assert len(b.calls[0].ticks) == 1
        assert len(b.calls[20].ticks) >= 4


def test_removed_calls_have_no_turn() -> None:
    with bench(2) as b:
        b.commands.append(lambda: b.pump.remove(b.calls[0]))
        b.run(0.1)
        assert len(b.calls[0].ticks) <= 1
        b.pump.remove(b.calls[0])  # no harm
