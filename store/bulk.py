"""Many rows at once, as fast as the driver takes them.

SQLAlchemy's own bulk insert spends most of its time on turning every value over once more. Here
the caller hands over tuples of values as the driver wants them, through the same connection and
in the same transaction.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

from store.models import Base
from store.types import UtcDateTime


def insert_rows(
    session: Session,
    model: type[Base],
    columns: Sequence[str],
    rows: list[tuple[Any, ...]],
    *,
    ignore_conflicts: bool = False,
) -> None:
    """Insert rows given as tuples in the order of `columns`.

    Ids are 32 hexadecimal digits (`new_ids`), times come from `stamp`, JSON is text. With
    `ignore_conflicts`, rows that a unique constraint forbids are left out in silence.
    """
    if rows:
        connection = session.connection()
        statement = _statement(connection.dialect, model, columns)
        if ignore_conflicts:
            statement += " ON CONFLICT DO NOTHING"
        connection.exec_driver_sql(statement, rows)


def new_ids(count: int) -> list[str]:
    """Make many UUIDv7 (RFC 9562 §5.7, method 1 of §6.2) as hexadecimal digits, in rising order.

    All carry this millisecond; a counter before the random bits keeps their order.
    """
    head = f"{time.time_ns() // 1_000_000:012x}7{os.urandom(2).hex()[:3]}"
    noise = os.urandom(5 * count).hex()
    return [
        f"{head}{0x800000 + index:06x}{noise[10 * index : 10 * index + 10]}"
        for index in range(count)
    ]


def stamp(session: Session, at: datetime) -> Any:
    """Return a time as `insert_rows` takes it."""
    dialect = session.get_bind().dialect
    processor = UtcDateTime().dialect_impl(dialect).bind_processor(dialect)
    return processor(at) if processor else at


def _statement(dialect: Dialect, model: type[Base], columns: Sequence[str]) -> str:
    placeholder = "?" if dialect.paramstyle == "qmark" else "%s"
    quote = dialect.identifier_preparer.quote
    names = ", ".join(map(quote, columns))
    values = ", ".join([placeholder] * len(columns))
    return f"INSERT INTO {quote(model.__tablename__)} ({names}) VALUES ({values})"  # noqa: S608  names of our own schema
