"""Database fixtures: every test that asks for `db` runs on SQLite and on PostgreSQL.

A conftest.py takes them with `from tests.db import db, db_url, template`.
PostgreSQL is used where TEST_POSTGRES_URL names a server whose user may create databases
(`tests/with-postgres pytest …` starts one); without it those cases are skipped. The schema is
migrated once a session into a template. On SQLite every test gets a copy of that file; on
PostgreSQL, where a copy takes a while, the tests share one copy and each finds it empty.
A test that changes the schema takes `fresh_db_url`.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from store.database import Database
from store.models import Base

POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "")


@dataclass(frozen=True)
class Template:
    """A migrated, empty database to copy: a file, or the name of a PostgreSQL database."""

    kind: str
    source: str
    shared: str = ""  # the URL of the copy that PostgreSQL tests share


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def template(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Template]:
    """Migrate one empty database of each kind."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("template") / "empty.db"
        Database.open(f"sqlite:///{path}", migrate=True).close()
        yield Template("sqlite", str(path))
        return
    if not POSTGRES_URL:
        pytest.skip("TEST_POSTGRES_URL is not set: run the tests through tests/with-postgres")
    with postgresql_database() as url:
        Database.open(url, migrate=True).close()
        source = str(make_url(url).database)
        with postgresql_database(source) as shared:
            yield Template("postgresql", source, shared)


@pytest.fixture
def db_url(template: Template, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database."""
    if template.kind == "sqlite":
        yield _copy(template, tmp_path)
        return
    yield template.shared
    _admin(template.shared, _DISCONNECT, f"truncate {_TABLES}")


@pytest.fixture
def fresh_db_url(template: Template, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database whose schema the test may spoil."""
    if template.kind == "sqlite":
        yield _copy(template, tmp_path)
        return
    with postgresql_database(template.source) as url:
        yield url


@pytest.fixture
def db(db_url: str) -> Iterator[Database]:
    """A fresh, migrated, empty database, open."""
    database = Database.open(db_url)
    yield database
    database.close()


@contextmanager
def postgresql_database(template: str = "template0") -> Iterator[str]:
    """Create a PostgreSQL database with a name of its own, and drop it afterwards."""
    name = f"tongdai_{uuid.uuid4().hex}"
    _admin(POSTGRES_URL, f"create database {name} template {template}")
    try:
        yield make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False)
    finally:
        _admin(POSTGRES_URL, f"drop database {name} with (force)")


_TABLES = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
_DISCONNECT = (  # whoever a test has left behind
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid()"
)


def _copy(template: Template, folder: Path) -> str:
    path = folder / "tongdai.db"
    shutil.copyfile(template.source, path)
    return f"sqlite:///{path}"


def _admin(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
