"""The home a command works on: its configuration, database and server, opened when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import typer

if TYPE_CHECKING:
    from server.client import Client
    from server.config import Config
    from store.database import Database


@dataclass
class Home:
    """A folder, and what is in it."""

    path: Path

    @cached_property
    def config(self) -> Config:
        """Its tongdai.toml. Raises ConfigError."""
        from server import config

        return config.load(self.path)

    @property
    def zone(self) -> ZoneInfo:
        """The operator's time zone."""
        return self.config.timezone

    def now(self) -> datetime:
        """This instant, in the operator's zone."""
        return datetime.now(self.zone)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Its database, opened and closed. Raises StoreError."""
        from store.database import Database

        database = Database.open(self.config.database, home=self.path)
        try:
            yield database
        finally:
            database.close()

    def number(self, text: str | None) -> str | None:
        """A number of a filter in E.164, from any spelling. Raises NumberRefused."""
        from crm import numbers

        return numbers.require(text, self.config.region).e164 if text else None

    @property
    def server(self) -> Client:
        """The server that runs on it, if one does."""
        from server.client import Client

        return Client(self.path)

    def wake_server(self) -> bool:
        """Tell the server that the database changed; say whether there is one."""
        from server.client import ServerNotRunning

        try:
            self.server.wake()
        except ServerNotRunning:
            return False
        return True


def home_of(ctx: typer.Context) -> Home:
    """The home the command was called for."""
    home = ctx.find_object(Home)
    assert home is not None
    return home


def actor() -> str:
    """Who calls the command, for the audit log."""
    import getpass

    return getpass.getuser()
