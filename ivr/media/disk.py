"""Everything that touches a disk, on one thread, so that the pump never waits for it.

The pump hands jobs in and asks once a turn which are done; results come back to the pump's own
thread. Jobs run one after the other in the order they came, so writes to a file need no lock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
_Job: TypeAlias = tuple[Callable[[], Any], Callable[[Any], None], Callable[[Exception], None]]


class Disk:
    """One worker thread and the results it has ready."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._results: deque[Callable[[], None]] = deque()
        self._pending = 0
        self._thread = threading.Thread(target=self._work, name="media-disk", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a job is still to be answered."""
        return self._pending > 0

    def submit(
        self, job: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        """Run `job` on the thread; a later `settle` calls `done` with its result, or `failed`."""
        self._pending += 1
        self._jobs.put((job, done, failed))

    def settle(self) -> None:
        """Call back for every job that has ended since. Costs next to nothing when none has."""
        while self._results:
            self._pending -= 1
            self._results.popleft()()

    def close(self) -> None:
        """Let the jobs handed in so far run to their end, then stop the thread."""
        self._jobs.put(None)
        self._thread.join()
        self.settle()

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            self._results.append(_run(*item))


def _run(
    job: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
) -> Callable[[], None]:
    try:
        result = job()
    except Exception as error:
        cause = error  # the name `error` is gone when the except clause ends
        return lambda: failed(cause)
    return lambda: done(result)
