"""Database fixtures: every test that asks for `db` runs on SQLite and on PostgreSQL.

A conftest.py takes them with `from tests.db import db, db_url, template` (plus `# noqa: F401`).
PostgreSQL is used where TEST_POSTGRES_URL names a server whose user may create databases
(`tests/with-postgres pytest …` starts one); without it those cases are skipped. The schema is
migrated once a session into a template; every test gets a copy of its own.
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

POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "")


@dataclass(frozen=True)
class Template:
    """A migrated, empty database to copy: a file, or the name of a PostgreSQL database."""

    kind: str
    source: str


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
        yield Template("postgresql", str(make_url(url).database))


@pytest.fixture
def db_url(template: Template, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated, empty database."""
    if template.kind == "sqlite":
        path = tmp_path / "tongdai.db"
        shutil.copyfile(template.source, path)
        yield f"sqlite:///{path}"
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
    url = make_url(POSTGRES_URL)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    _admin(
        str(url.render_as_string(hide_password=False)),
        f"create database {name} template {template}",
    )
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        _admin(url.render_as_string(hide_password=False), f"drop database {name} with (force)")


def _admin(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(statement))
