"""Making SQLAlchemy engines for the two databases Tongdai knows.

SQLite's driver starts transactions by itself, too late and never IMMEDIATE; SQLAlchemy's manual
("Serializable isolation / Savepoints / Transactional DDL", dialect pysqlite) shows the way used
here: switch that off and send BEGIN from SQLAlchemy's own event.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from store.errors import UnsupportedDatabase

OpenSession = Callable[[], AbstractContextManager[Session]]

BUSY_TIMEOUT = 30.0  # seconds to wait for another program's lock
CONNECT_TIMEOUT = 10  # seconds to wait for a PostgreSQL server
_POOL = {"pool_size": 10, "max_overflow": 20}


def parse_url(url: str, home: Path) -> URL:
    """Read a database URL; a relative SQLite path becomes one under `home`.

    Raises UnsupportedDatabase for anything but a SQLite file or PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UnsupportedDatabase(_unsupported(url)) from error
    if parsed.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite"} or not _is_file(parsed.database):
        raise UnsupportedDatabase(_unsupported(parsed.render_as_string(hide_password=True)))
    return parsed.set(database=str(home.absolute() / str(parsed.database)))


def is_missing(url: URL) -> bool:
    """Say whether this is a SQLite file that does not exist yet."""
    return url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists()


def create(url: URL) -> Engine:
    """Make the engine for a URL that `parse_url` returned; nothing is opened yet."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT}, **_POOL)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        url, connect_args={"connect_timeout": CONNECT_TIMEOUT}, pool_pre_ping=True, **_POOL
    )
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def read_and_write(engine: Engine) -> tuple[Engine, Engine]:
    """Return two faces of one engine: transactions that may only read, and ones that write."""
    if engine.dialect.name == "sqlite":
        return engine, engine.execution_options(sqlite_write=True)
    return engine.execution_options(postgresql_readonly=True), engine


@contextmanager
def tuned_for_bulk(connection: Connection) -> Iterator[None]:
    """Let a connection write very many rows; what is set is undone before others get it."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    settings = ("cache_size", -64 * 1024), ("wal_autocheckpoint", 16 * 1024)  # KiB, pages
    before = [driver.execute(f"PRAGMA {name}").fetchone()[0] for name, _ in settings]
    for name, value in settings:
        driver.execute(f"PRAGMA {name} = {value}")
    try:
        yield
    finally:
        # An interrupt (Ctrl-C) has closed the connection: then nobody else gets it.
        with suppress(sqlite3.ProgrammingError):
            for (name, _), value in zip(settings, before, strict=True):
                driver.execute(f"PRAGMA {name} = {value}")


def _is_file(database: str | None) -> bool:
    return bool(database) and database != ":memory:" and not str(database).startswith("file:")


def _unsupported(url: str) -> str:
    return (
        f"`{url}` is not a database Tongdai can use: set `database` in tongdai.toml to "
        "sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME."
    )


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite only
    connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait
    connection.execute("PRAGMA synchronous = NORMAL")  # WAL: a power cut loses no consistency
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("sqlite_write", False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    connection.autocommit = True  # a setting made in a transaction is undone with it
    connection.execute(f"SET lock_timeout = '{BUSY_TIMEOUT * 1000:.0f}ms'")
    connection.autocommit = False
