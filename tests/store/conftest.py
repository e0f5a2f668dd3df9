"""Fixtures of the store's tests."""

from tests.db import db, db_url, fresh_db_url, template

__all__ = ["db", "db_url", "fresh_db_url", "template"]
