"""The migrations build what the models say, from nothing, and may race."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from store import migrations
from store.database import Database
from store.models import Base
from tests.db import Template, postgresql_database

RACERS = 3


def test_migrations_build_the_models(db: Database) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_difference_would_be_seen(fresh_db_url: str) -> None:
    db = Database.open(fresh_db_url)
    with db.write() as session:
        session.execute(text("ALTER TABLE contact DROP COLUMN language"))
    with db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) != []
    db.close()


def test_constraints_keep_their_names(db: Database) -> None:
    tables = inspect(db.engine)
    names = {c["name"] for c in tables.get_unique_constraints("contact_point")}
    assert names == {"uq_contact_point_kind"}
    assert tables.get_pk_constraint("lead")["name"] == "pk_lead"


def test_head_is_the_last_migration_and_they_are_numbered() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    revisions = [step.revision for step in script.walk_revisions()]
    assert script.get_heads() == [migrations.HEAD]
    assert revisions == sorted(revisions, reverse=True)
    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions)


def test_migrating_again_changes_nothing(db_url: str) -> None:
    for _ in range(2):
        Database.open(db_url, migrate=True).close()


@pytest.mark.slow
def test_processes_that_migrate_at_once_all_succeed(template: Template, tmp_path: Path) -> None:
    if template.kind == "sqlite":
        race(f"sqlite:///{tmp_path}/new.db")
    else:
        with postgresql_database() as url:
            race(url)


def race(url: str) -> None:
    program = (
        "import sys; from store.database import Database;"
        "Database.open(sys.argv[1], migrate=True).close()"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE, text=True)
        for _ in range(RACERS)
    ]
    failures = [stderr for racer in racers if (stderr := racer.communicate(timeout=60)[1])]
    assert failures == []
    Database.open(url).close()
