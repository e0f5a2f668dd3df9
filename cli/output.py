"""What commands print: tables and sentences for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from reports.legible import legible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]

# Columns that may be cut where there is little room, and to how many characters.
FREE_TEXT = ("Caller IDs", "Contact", "File", "List", "Name", "Reason", "State")
SHORTEST = 8
GAP = 2
PIPED_WIDTH = 4000  # what is piped is never cut to fit a screen


def console(stream: IO[str] | None = None) -> Console:
    """A console on stdout or a stream: colours and the screen's width on a terminal alone."""
    from rich.console import Console

    stream = stream or sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False, emoji=False)


def say(text: str) -> None:
    """Print a sentence."""
    typer.echo(legible(text))


def hint(text: str) -> None:
    """Print advice beside the result: on stderr, so that it is never taken for data."""
    typer.echo(legible(text), err=True)


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


def show_rows(
    titles: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    empty: str,
    spare: Sequence[str] = (),
    stream: IO[str] | None = None,
) -> None:
    """Print a table, a line a row; a title that begins with > is of a column of numbers.

    `empty` is said where there are no rows. Where the screen is too narrow, the columns of `spare`
    are left out, the first of them first; then what stands in columns of free text is cut.
    """
    columns = _columns(titles, rows)
    if not columns[0].cells:
        hint(empty)
        return
    screen = console(stream)
    shown = _fitting(columns, screen.width, spare)
    show(_table(shown, screen.width), stream)
    if len(shown) < len(columns):
        gone = ", ".join(column.name for column in columns if column not in shown)
        hint(f"No room for {gone}: see more on a wider screen, or with --json.")


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    cells: list[str]

    @property
    def name(self) -> str:
        return self.title.lstrip(">")

    @property
    def width(self) -> int:
        from rich.cells import cell_len

        return max(map(cell_len, (self.name, *self.cells)))


def _columns(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> list[_Column]:
    columns = [_Column(title, []) for title in titles]
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            column.cells.append("" if cell is None else legible(str(cell)))
    return columns


def _fitting(columns: Sequence[_Column], room: int, spare: Sequence[str]) -> list[_Column]:
    """Leave out spare columns until the others fit, free text cut as far as may be."""
    shown = list(columns)
    for name in spare:
        least = sum(min(SHORTEST, c.width) if c.name in FREE_TEXT else c.width for c in shown)
        if least + GAP * (len(shown) - 1) <= room:
            break
        shown = [column for column in shown if column.name != name]
    return shown


def _table(columns: Sequence[_Column], room: int) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, width in zip(columns, _widths(columns, room), strict=True):
        justify: Literal["left", "right"] = "right" if column.title.startswith(">") else "left"
        table.add_column(
            column.name, justify=justify, width=width, no_wrap=True, overflow="ellipsis"
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(_escaped, row))
    return table


def _widths(columns: Sequence[_Column], room: int) -> list[int]:
    """How wide each column is: its widest cell, but free text gives way."""
    excess = sum(column.width for column in columns) + GAP * (len(columns) - 1) - room
    widths = []
    for column in columns:
        spare = max(0, column.width - SHORTEST) if column.name in FREE_TEXT else 0
        cut = max(0, min(spare, excess))
        excess -= cut
        widths.append(column.width - cut)
    return widths


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line; what is None or empty is left out."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column()
    for name, value in facts:
        if value not in (None, ""):
            grid.add_row(_escaped(legible(name)), _escaped(legible(str(value))))
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
