"""The command reference, made from the commands themselves: `python -m cli.reference`.

docs/reference/cli.md is its output; a test fails where that is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup
from typer.main import get_command

from cli.main import app
from cli.root import COMMANDS, load

PATH = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
HEAD = """# Command reference

Made from the program by `make docs`; do not edit.

`tongdai NOUN VERB`. Exit codes: 0 done, 1 the work failed, 2 what was typed (or a file that was
given) is wrong. An error is one sentence on stderr. In a pipe nothing is coloured and nothing is
cut; `--json` prints data for programs.
"""


def reference() -> str:
    """The whole page."""
    root = get_command(app)
    parts = [HEAD, *_options(root, typer.Context(root, info_name="tongdai"))]
    for name in COMMANDS:
        parts += _command(load(name), f"tongdai {name}", 2)
    return "\n".join(parts).rstrip() + "\n"


def _command(command: Any, path: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} {path}\n"
    yield f"{_plain(command.help)}\n"
    if isinstance(command, TyperGroup):
        for name, verb in command.commands.items():
            yield from _command(verb, f"{path} {name}", level + 1)
        return
    ctx = typer.Context(command, info_name=path)
    yield f"```\n{' '.join([path, *command.collect_usage_pieces(ctx)])}\n```\n"
    yield from _options(command, ctx)
    example = (command.epilog or "").removeprefix("Example: ")
    yield f"Example:\n\n```\n{example}\n```\n"


def _options(command: Any, ctx: Any) -> list[str]:
    rows = [_row(param, ctx) for param in command.params if not param.hidden]
    return [*rows, ""] if rows else []


def _row(param: Any, ctx: Any) -> str:
    if isinstance(param, TyperArgument):
        return f"- `{param.metavar or param.name}`: {param.help}"
    names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
    value = "" if param.is_bool_flag else f" `{param.metavar or param.display_type(ctx)}`"
    facts = []
    if param.required:
        facts.append("required")
    if param.multiple:
        facts.append("may be repeated")
    if param.envvar:
        facts.append(f"or the environment variable `{param.envvar}`")
    default = param.default
    if default not in (None, False, "") and not param.required:
        facts.append(f"default `{getattr(default, 'value', default)}`")
    more = f" ({'; '.join(facts)})" if facts else ""
    return f"- {names}{value}: {param.help}{more}"


def _plain(text: str) -> str:
    """A help text as it stands in Markdown."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


if __name__ == "__main__":
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{PATH}\n")
