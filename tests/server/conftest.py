"""Fixtures of the server's tests."""

from tests.db import db, db_url, template

__all__ = ["db", "db_url", "template"]
