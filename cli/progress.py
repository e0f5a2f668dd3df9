"""Progress bars: on long work, and only where a person looks on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import typer

T = TypeVar("T")
BYTES = "read"  # the noun of a bar that counts bytes


@contextmanager
def counted(
    items: Iterable[T], total: int, noun: str, *, quiet: bool = False
) -> Iterator[Iterable[T]]:
    """Give the items through, drawing a bar on stderr as they pass, if that is a terminal."""
    with bar(noun, total, quiet=quiet) as advance:

        def passing() -> Iterator[T]:
            for number, item in enumerate(items, start=1):
                yield item
                if not number % 100:
                    advance(number)

        yield passing()


@contextmanager
def bar(
    noun: str, total: int | None = None, *, quiet: bool = False
) -> Iterator[Callable[[int], None]]:
    """Draw a bar on stderr, if that is a terminal; give what moves it: how many are done."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if noun == BYTES else MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with progress:
        task = progress.add_task(noun, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def half_done(rehearsal: bool = False) -> Iterator[None]:
    """Say what Ctrl-C in the middle of an import leaves behind; of a rehearsal, nothing."""
    try:
        yield
    except KeyboardInterrupt:
        if not rehearsal:
            said = "What was read so far is imported; import the file again for the rest."
            typer.echo(said, err=True)
        raise
