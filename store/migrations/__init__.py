"""The schema's history. Revisions are numbered, so that newer and older can be told apart.

A change to `store.models` comes with the next file in `versions` and a new HEAD here; a test
compares what the migrations build with what the models say.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD = "0001"  # the newest revision, known without importing Alembic

_LOCK = 0x746F6E67  # "tong": PostgreSQL's advisory lock for migrating


def upgrade(connection: Connection) -> None:
    """Bring the schema up to HEAD inside the connection's transaction.

    The transaction must hold SQLite's write lock already (BEGIN IMMEDIATE); on PostgreSQL an
    advisory lock is taken. Whoever comes second finds the work done.
    """
    from alembic import command  # noqa: PLC0415  only needed to migrate, and slow to import
    from alembic.config import Config  # noqa: PLC0415

    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
