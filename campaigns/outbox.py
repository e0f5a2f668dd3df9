"""Results on their way into the database: kept in memory and tried again until they are stored.

Jobs are stored in the order they came, several in one transaction (a commit is the dear part).
A database that fails delays them; a fault in one of them costs only that one, loudly.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from store.database import Database
from store.errors import StoreError

log = logging.getLogger(__name__)

TOGETHER = 50  # jobs of one transaction
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between tries while the database fails


@dataclass(frozen=True, slots=True)
class Job:
    """Something to store. `then` gets what `store` returned, on the event loop, once committed."""

    what: str  # for the log: enough to mend a loss by hand
    store: Callable[[Session], Any]
    then: Callable[[Any], None] = lambda _: None


class Outbox:
    """Stores jobs one after another on a task of its own."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._jobs: deque[Job] = deque()
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.trouble = ""  # why nothing can be stored now, or ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to store."""
        self._task = asyncio.create_task(self._work(), name="campaign outbox")

    def put(self, job: Job) -> None:
        """Take a job; it will be stored, however long that takes."""
        self._jobs.append(job)
        self._empty.clear()
        self._arrived.set()

    def __len__(self) -> int:
        return len(self._jobs)

    async def flush(self, limit: float) -> int:
        """Wait until all is stored, at most `limit` seconds; returns how many jobs are left."""
        try:
            async with asyncio.timeout(limit):
                await self._empty.wait()
        except TimeoutError:
            log.error(
                "%d results could not be stored: %s. They are lost: %s",
                len(self._jobs), self.trouble, "; ".join(job.what for job in self._jobs),
            )  # fmt: skip
        return len(self._jobs)

    async def close(self) -> None:
        """Stop storing; call `flush` before."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await self._arrived.wait()
            batch = [self._jobs[index] for index in range(min(TOGETHER, len(self._jobs)))]
            try:
                stored = await self._store(batch)
            except StoreError as error:
                self._complain(str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            self.trouble, pause = "", FIRST_PAUSE
            self._done(batch, stored)

    async def _store(self, batch: Sequence[Job]) -> list[Any]:
        """Store jobs together; where one of them is at fault, each by itself."""
        try:
            return await self._db.run(lambda session: [job.store(session) for job in batch])
        except StoreError:
            raise
        except Exception as error:
            if len(batch) > 1:
                return [result for job in batch for result in await self._store([job])]
            log.exception("a result could not be stored and is lost: %s", batch[0].what)
            return [error]

    def _done(self, batch: Sequence[Job], stored: Sequence[Any]) -> None:
        for job, result in zip(batch, stored, strict=True):
            self._jobs.popleft()
            if isinstance(result, Exception):
                continue
            try:
                job.then(result)
            except Exception:
                log.exception("after storing: %s", job.what)
        if not self._jobs:
            self._arrived.clear()
            self._empty.set()

    def _complain(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.error("%d results wait to be stored: %s", len(self._jobs), trouble)
        self.trouble = trouble
