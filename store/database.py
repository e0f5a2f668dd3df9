"""The database: opening it, transactions, and work off the event loop.

SQLite (the default) allows one writer at a time. Three things make that a queue instead of
"database is locked": every writing transaction says so at its start (BEGIN IMMEDIATE, so that it
never has to turn a read lock into a write lock), a busy time-out lets processes wait for each
other, and `Database.run` puts all writers of one process on one thread. PostgreSQL needs none
of this and gets a few threads instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from store import engines
from store.errors import DatabaseNotReady, DatabaseTooNew, explain
from store.migrations import HEAD

T = TypeVar("T")

READERS = 4
POSTGRESQL_WRITERS = 4


class Database:
    """An open database whose schema is the one this program knows."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reading, self._writing = engines.read_and_write(engine)
        sqlite = engine.dialect.name == "sqlite"
        self._readers: Executor = ThreadPoolExecutor(READERS, "db-read")
        self._writers: Executor = ThreadPoolExecutor(
            1 if sqlite else POSTGRESQL_WRITERS, "db-write"
        )

    @classmethod
    def open(cls, url: str, *, home: Path = Path(), migrate: bool = False) -> Database:
        """Open the database at `url`; a relative SQLite path is under `home`.

        With `migrate` it is created or brought up to this version first; any number of
        processes may do so at once. Raises UnsupportedDatabase, DatabaseUnreachable,
        DatabaseTooNew, and without `migrate` DatabaseNotReady.
        """
        parsed = engines.parse_url(url, home)
        if not migrate and engines.is_missing(parsed):
            raise DatabaseNotReady(f"There is no database at {_show(parsed)}: run `tongdai init`.")
        database = cls(engines.create(parsed))
        try:
            database._prepare(migrate=migrate)
        except BaseException:
            database.close()
            raise
        return database

    def __repr__(self) -> str:
        return f"Database({self.place!r})"

    @property
    def place(self) -> str:
        """The database's URL without its password, for messages."""
        return _show(self.engine.url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that sees one snapshot and may not write (the database refuses it)."""
        with (
            self._explained(writing=False),
            Session(self._reading, expire_on_commit=False) as session,
        ):
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session that may write: committed on leaving, rolled back on an exception.

        Raises DatabaseBusy, DatabaseFull or DatabaseUnreachable where the database fails.
        """
        with (
            self._explained(),
            Session(self._writing, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def bulk(self) -> Iterator[engines.OpenSession]:
        """Give a `write` for very many rows: all its sessions share one connection.

        On SQLite that connection has a larger cache and copies its log back less often; other
        connections keep theirs small.
        """
        with self._explained(), self._writing.connect() as connection:

            @contextmanager
            def write() -> Iterator[Session]:
                with (
                    self._explained(),
                    Session(connection, expire_on_commit=False) as session,
                    session.begin(),
                ):
                    yield session

            with engines.tuned_for_bulk(connection):
                yield write

    async def run(self, fn: Callable[[Session], T], *, write: bool = True) -> T:
        """Run `fn` in a transaction of its own on a database thread, and return its result.

        A task cancelled while it waits does not undo work that has already begun: the
        transaction then commits or fails as a whole, unseen.
        """
        executor = self._writers if write else self._readers
        return await asyncio.get_running_loop().run_in_executor(
            executor, self._transact, fn, self.write if write else self.read
        )

    def close(self) -> None:
        """Finish the work that was handed to `run`, then close every connection."""
        self._writers.shutdown()
        self._readers.shutdown()
        self.engine.dispose()

    @staticmethod
    def _transact(fn: Callable[[Session], T], open_session: engines.OpenSession) -> T:
        with open_session() as session:
            return fn(session)

    def _prepare(self, *, migrate: bool) -> None:
        with self._explained():
            if self._check() == HEAD:
                return
            if not migrate:
                raise DatabaseNotReady(
                    f"The database {self.place} has not been prepared for this version of "
                    "Tongdai: run `tongdai init`."
                )
            from store.migrations import upgrade  # noqa: PLC0415  Alembic is slow to import

            with self._writing.begin() as connection:
                upgrade(connection)

    def _check(self) -> str | None:
        """Return the schema's revision (None: no schema yet), refusing one from the future."""
        with self._reading.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            revision: str | None = connection.scalar(
                text("select version_num from alembic_version")
            )
        if revision is not None and revision > HEAD:
            raise DatabaseTooNew(
                f"The database {self.place} was made by a newer Tongdai (schema {revision}, this "
                f"program knows {HEAD}): upgrade Tongdai, or set `database` in tongdai.toml to "
                "another database."
            )
        return revision

    @contextmanager
    def _explained(self, *, writing: bool = True) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            explained = explain(error, self.place, writing=writing)
            if explained is None:
                raise
            raise explained from error


def _show(url: URL) -> str:
    return url.render_as_string(hide_password=True)
