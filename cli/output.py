"""What commands print: tables and sentences for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]

PIPED_WIDTH = 4000  # what is piped is never cut to fit a screen


def console(stream: IO[str] | None = None) -> Console:
    """A console on stdout or a stream: colours and the screen's width on a terminal alone."""
    from rich.console import Console

    stream = stream or sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False, emoji=False)


def say(text: str) -> None:
    """Print a sentence, as it is."""
    typer.echo(text)


def hint(text: str) -> None:
    """Print advice beside the result: on stderr, so that it is never taken for data."""
    typer.echo(text, err=True)


def show(what: RenderableType, stream: IO[str] | None = None, *, width: int | None = None) -> None:
    """Print a table or a picture on stdout or a stream.

    Where that is no terminal it is `width` columns wide, and no line ends in spaces.
    """
    screen = console(stream)
    if screen.is_terminal:
        screen.print(what)
        return
    with screen.capture() as captured:
        screen.print(what, width=width)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip(), file=stream)


def show_rows(titles: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table; a title that begins with > is of a column of numbers. `empty` where none."""
    from rich.table import Table

    listed = list(rows)
    if not listed:
        hint(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title.lstrip(">"), justify="right" if title.startswith(">") else "left")
    for row in listed:
        table.add_row(*("" if cell is None else _escaped(str(cell)) for cell in row))
    show(table)


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line; what is None or empty is left out."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column()
    for name, value in facts:
        if value not in (None, ""):
            grid.add_row(name, _escaped(str(value)))
    show(grid)


def print_json(data: Any) -> None:
    """Print data as JSON; times are ISO 8601 with offset."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2, default=_jsonable))


def clock(at: datetime | None, zone: ZoneInfo) -> str:
    """An instant as the operator's clock showed it."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if at else ""


def iso(at: datetime | None, zone: ZoneInfo) -> str | None:
    """An instant in ISO 8601, with the offset of the operator's zone."""
    return at.astimezone(zone).isoformat(timespec="milliseconds") if at else None


def plural(count: int, noun: str) -> str:
    """`1 call`, `2 calls`.

    >>> plural(1, "call"), plural(1200, "call")
    ('1 call', '1,200 calls')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _escaped(text: str) -> str:
    """Text as it is: a name in brackets is no markup."""
    from rich.markup import escape

    return escape(text)


def _jsonable(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, UUID | PurePath | ZoneInfo):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be printed as JSON")
