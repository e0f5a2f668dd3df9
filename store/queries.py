"""Statements that SQLAlchemy spells differently for each database, spelled once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Text, any_, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from store.models import Base

T = TypeVar("T")

CHUNK = 5000  # values in one IN (…); SQLite allows 32,766 parameters, PostgreSQL 65,535


def insert_new(session: Session, model: type[Base], **values: Any) -> bool:
    """Insert one row unless a unique constraint says it is there; return whether it was new.

    Two writers that race both succeed, and one of them is told False.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(model).values(**values).on_conflict_do_nothing().returning(1)
    return session.execute(statement).first() is not None


def among(
    session: Session, column: InstrumentedAttribute[str], values: Collection[str]
) -> ColumnElement[bool]:
    """Ask whether a column is one of any number of texts, all in one parameter."""
    if session.get_bind().dialect.name == "sqlite":
        each = func.json_each(json.dumps(list(values))).table_valued("value")
        return column.in_(select(each.c.value))
    return column == any_(literal(list(values), postgresql.ARRAY(Text)))


def chunks(values: Collection[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut values into pieces that fit in one statement's parameters."""
    ordered = list(values)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def like_pattern(text: str) -> str:
    """Make a LIKE pattern (escape character: backslash) for texts that contain `text`."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
