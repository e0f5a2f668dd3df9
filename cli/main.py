"""The entry point: `tongdai`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.home import Home
from cli.root import COMMANDS, RootGroup

app = typer.Typer(
    name="tongdai",
    cls=RootGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _summary in COMMANDS.items():
    app.add_typer(typer.Typer(help=_summary), name=_name)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tongdai {version('tongdai')}")
        raise typer.Exit


@app.callback(epilog="Example: tongdai init && tongdai doctor")
def tongdai(
    ctx: typer.Context,
    home: Annotated[
        Path,
        typer.Option(
            envvar="TONGDAI_HOME",
            metavar="DIR",
            help="The folder with tongdai.toml and all data. May stand anywhere in the line.",
        ),
    ] = Path(),
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Auto-calls, campaigns and call records for telesales, over SIP."""
    ctx.obj = Home(home)


def main() -> None:
    """Run the command line."""
    app(prog_name="tongdai")
