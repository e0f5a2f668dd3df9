"""`tongdai trunk`: the carriers, and whether they are there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.home import Home, home_of
from cli.output import JsonOption, hint, print_json, show_rows
from cli.root import COMMANDS, noun

if TYPE_CHECKING:
    from server.config import Trunk

app = noun(COMMANDS["trunk"])


@app.command("list", epilog="Example: tongdai trunk list --json")
def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show the trunks of tongdai.toml, and their state where a server runs."""
    home = home_of(ctx)
    live = _live(home)
    found = [_facts(trunk, live.get(trunk.name)) for trunk in home.config.trunks]
    if as_json:
        print_json(found)
        return
    show_rows(
        ("Trunk", "Host", "State", ">Calls", ">At most", ">Per second", "Caller IDs"),
        (
            (
                one["name"],
                one["host"],
                f"{one['state']}: {one['reason']}" if one["reason"] else one["state"],
                one["calls"],
                one["max_calls"],
                f"{one['calls_per_second']:g}",
                ", ".join(one["caller_ids"]),
            )
            for one in found
        ),
        empty=f"There is no [[trunk]] in {home.path / 'tongdai.toml'} yet.",
        spare=("Per second", "Caller IDs", "At most"),
    )


@app.command(epilog="Example: tongdai trunk check carrier")
def check(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="None: all of them.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a carrier now whether it is there; a trunk that refused us may then be used again."""
    home = home_of(ctx)
    trunks = [require_trunk(home, name)] if name else [*home.config.trunks]
    if not trunks:
        hint(f"There is no [[trunk]] in {home.path / 'tongdai.toml'} yet.")
        raise typer.Exit(1)
    found = check_all(home, trunks)
    if as_json:
        print_json(found)
    else:
        show_rows(
            ("Trunk", "", "State", "Answer"),
            (
                (one["name"], "✓" if one["well"] else "✗", one["state"], one["said"])
                for one in found
            ),
            empty="",
        )
    if not all(one["well"] for one in found):
        raise typer.Exit(1)


def require_trunk(home: Home, name: str) -> Trunk:
    """The trunk of that name. Raises BadParameter, naming the nearest."""
    import difflib

    if (trunk := home.config.trunk(name)) is not None:
        return trunk
    known = [trunk.name for trunk in home.config.trunks]
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        advice = f"Did you mean “{near[0]}”?"
    elif known:
        advice = f"Those of tongdai.toml are: {', '.join(known)}."
    else:
        advice = "Write a [[trunk]] in tongdai.toml first."
    raise typer.BadParameter(f"there is no trunk “{name}”. {advice}", param_hint="TRUNK")


def check_all(home: Home, trunks: list[Trunk]) -> list[dict[str, Any]]:
    """Ask each carrier: the server does, where one runs, else this command by itself."""
    import asyncio

    from server.client import ServerNotRunning
    from server.probe import probe

    try:
        return [home.server.check_trunk(trunk.name) for trunk in trunks]
    except ServerNotRunning:
        configs = [home.config.trunk_config(trunk) for trunk in trunks]
        return [one.as_json() for one in asyncio.run(probe(configs, home.config.sip.bind.host))]


def _live(home: Home) -> dict[str, dict[str, Any]]:
    from server.client import ServerNotRunning

    with suppress(ServerNotRunning):
        return {one["name"]: one for one in home.server.status()["trunks"]}
    return {}


def _facts(trunk: Trunk, live: dict[str, Any] | None) -> dict[str, Any]:
    facts = {
        "name": trunk.name,
        "host": str(trunk.host),
        "transport": trunk.transport,
        "caller_ids": trunk.caller_ids,
        "max_calls": trunk.max_calls,
        "calls_per_second": trunk.calls_per_second,
        "state": "unknown",
        "reason": "",
        "since": None,
        "calls": None,
        "registered": None,
    }
    return {**facts, **{key: value for key, value in (live or {}).items() if key != "host"}}
