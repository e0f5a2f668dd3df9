"""The root command: finds a command's module on demand, and ends every run in one sentence.

`tongdai --help` lists the commands from COMMANDS without importing a single one of them; only
the one that is called is loaded. That keeps the terminal quick, whatever a command needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

# Each module holds `app`. The sentence is its help, so that listing needs no import.
COMMANDS: dict[str, str] = {
    "init": "Make a home: a configuration, folders and a database.",
    "serve": "Run the server: it makes the calls of every running campaign.",
    "demo": "Run a whole campaign on this machine, with simulated customers, and check every "
    "result.",
    "doctor": "Check that everything Tongdai needs is there and works.",
    "contact": "Customers: import them from a file, add, show and list them.",
    "list": "Call lists: named lists of numbers to call.",
    "campaign": "Campaigns: create, start, watch, pause and stop them.",
    "dnc": "The do-not-call list: numbers that are never dialled.",
    "call": "Calls: every call that was made, and its story.",
    "trunk": "Trunks: the carriers of tongdai.toml and their state.",
    "report": "Reports: as a table, CSV, XLSX or JSON.",
    "recording": "Recordings of calls.",
}
MODULES = {"init": "cli.setup", "list": "cli.lists"}  # where the module's name is another
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it
ANYWHERE = ("--home",)  # options of the root that may stand behind the command too


def load(name: str) -> Any:
    """The command or group of that name, imported now."""
    module = import_module(MODULES.get(name, f"cli.{name}"))
    command = get_command(module.app)
    command.name = name
    return command


class RootGroup(TyperGroup):
    """The group of all commands. Its contexts are `Any`: Typer keeps their class to itself."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load the command that was called; an unknown one names the nearest."""
        name, _placeholder, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else None, rest

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take --home from wherever it stands."""
        return super().parse_args(ctx, [*hoisted(args)])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and exit with 0 done, 1 the work failed, 2 bad usage, 130 Ctrl-C.

        What is not done is one sentence on stderr.
        """
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
            if code == INTERRUPTED:
                typer.echo("tongdai: Stopped.", err=True)
        except Exception as error:
            from cli.errors import report

            code = report(error)
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)


def hoisted(args: Sequence[str]) -> Iterator[str]:
    """The arguments with the options of ANYWHERE in front; what follows `--` stays as it is.

    >>> [*hoisted(["call", "list", "--home", "h", "--json"])]
    ['--home', 'h', 'call', 'list', '--json']
    """
    end = args.index("--") if "--" in args else len(args)
    rest: list[str] = []
    mine = iter(args[:end])
    for arg in mine:
        if arg in ANYWHERE:
            yield arg
            yield from (value for _, value in zip(range(1), mine, strict=False))  # at most one
        elif arg.startswith(tuple(f"{option}=" for option in ANYWHERE)):
            yield arg
        else:
            rest.append(arg)
    yield from (*rest, *args[end:])


def noun(summary: str) -> typer.Typer:
    """A group of verbs."""
    return typer.Typer(help=summary, no_args_is_help=True, add_completion=False, callback=_nothing)


def single() -> typer.Typer:
    """A command without verbs."""
    return typer.Typer(add_completion=False)


def _nothing() -> None:
    """A callback makes a group of an app with a single verb."""
