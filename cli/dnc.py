"""`tongdai dnc`: the do-not-call list."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.contact import pairs
from cli.home import actor, home_of
from cli.output import JsonOption, LimitOption, clock, hint, iso, plural, print_json, say, show_rows
from cli.progress import BYTES, bar, half_done
from cli.root import COMMANDS, noun

app = noun(COMMANDS["dnc"])


class Scope(StrEnum):
    """What is forbidden."""

    ALL = "all"
    VOICE = "voice"
    SMS = "sms"


class Channel(StrEnum):
    """What somebody wants to do."""

    VOICE = "voice"
    SMS = "sms"


Number = Annotated[str, typer.Argument(metavar="NUMBER", help="A phone number, as you write it.")]


@app.command(epilog="Example: tongdai dnc add 0912345678 --reason 'asked by e-mail'")
def add(
    ctx: typer.Context,
    number: Number,
    scope: Annotated[Scope, typer.Option(help="What is forbidden.")] = Scope.ALL,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Forbid a number, from this moment on."""
    from campaigns import dnc

    home = home_of(ctx)
    with home.database() as database, database.write() as session:
        new = dnc.add(
            session,
            number,
            now=home.now(),
            source="cli",
            actor=actor(),
            scope=scope.value,
            reason=reason,
            region=home.config.region,
        )
    say(f"{number} is on the do-not-call list{'' if new else ' already'}.")


@app.command("import", epilog="Example: tongdai dnc import register.csv --scope voice")
def import_(
    ctx: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file, or a plain list.")],
    scope: Annotated[Scope, typer.Option(help="What is forbidden.")] = Scope.ALL,
    reason: Annotated[str, typer.Option(help="Why, for the record; none: the file's name.")] = "",
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="phone=COLUMN", help="Where the numbers are, if unclear."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Forbid every number of a file, such as a copy of the national register."""
    from dataclasses import asdict

    from campaigns.dnc_import import import_file

    home = home_of(ctx)
    size = file.stat().st_size if file.is_file() else None
    with home.database() as database, half_done(), bar(BYTES, size) as advance:
        summary = import_file(
            database,
            file,
            actor=actor(),
            scope=scope.value,
            reason=reason,
            region=home.config.region,
            mapping=pairs(mapping or [], "--map", "phone=SĐT"),
            on_progress=lambda _rows, done, _size: advance(done),
            now=home.now(),
        )
    if as_json:
        print_json(asdict(summary))
        return
    say(
        f"{plural(summary.rows, 'row')} read from {file}: {plural(summary.added, 'number')} "
        f"forbidden, {summary.already:,} already, {summary.rejected:,} rejected."
    )
    if summary.rejects_file:
        say(f"What was not imported is in {summary.rejects_file}, each row with its reason.")


@app.command(epilog="Example: tongdai dnc remove 0912345678")
def remove(
    ctx: typer.Context,
    number: Number,
    scope: Annotated[Scope | None, typer.Option(help="Only this; left out: all of it.")] = None,
) -> None:
    """Allow a number again; who did it is kept in the audit log."""
    from campaigns import dnc

    home = home_of(ctx)
    with home.database() as database, database.write() as session:
        gone = dnc.remove(
            session,
            number,
            now=home.now(),
            actor=actor(),
            scope=scope.value if scope else None,
            region=home.config.region,
        )
    say(f"{number} is allowed again." if gone else f"{number} was not on the do-not-call list.")


@app.command(epilog="Example: tongdai dnc check 0912345678 --json")
def check(
    ctx: typer.Context,
    number: Number,
    channel: Annotated[Channel, typer.Option(help="What you want to do.")] = Channel.VOICE,
    as_json: JsonOption = False,
) -> None:
    """Say whether a number may be called."""
    from campaigns import dnc
    from crm import numbers

    home = home_of(ctx)
    with home.database() as database, database.read() as session:
        e164 = numbers.require(number, home.config.region).e164
        entry = dnc.check(session, e164, channel=channel.value, region=home.config.region)
    if as_json:
        since = iso(entry.created_at, home.zone) if entry else None
        print_json(
            {
                "number": e164,
                "forbidden": entry is not None,
                "scope": entry.scope if entry else None,
                "source": entry.source if entry else None,
                "reason": entry.reason if entry else None,
                "since": since,
            }
        )
    elif entry is None:
        say(f"{e164} is not on the do-not-call list.")
    else:
        why = f": {entry.reason}" if entry.reason else ""
        since = clock(entry.created_at, home.zone)
        say(f"{e164} must not be reached ({entry.scope}) since {since}, by {entry.source}{why}.")


@app.command("list", epilog="Example: tongdai dnc list --limit 20")
def list_(ctx: typer.Context, limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """Show the do-not-call list, newest first."""
    from campaigns import dnc

    home = home_of(ctx)
    with home.database() as database, database.read() as session:
        entries, total = dnc.entries(session, limit=limit), dnc.count(session)
    if as_json:
        print_json(
            [
                {
                    "number": entry.number,
                    "scope": entry.scope,
                    "source": entry.source,
                    "reason": entry.reason,
                    "call_id": entry.call_id,
                    "created_at": iso(entry.created_at, home.zone),
                }
                for entry in entries
            ]
        )
        return
    show_rows(
        ("Number", "Scope", "Source", "Since", "Reason"),
        ((e.number, e.scope, e.source, clock(e.created_at, home.zone), e.reason) for e in entries),
        empty="The do-not-call list is empty.",
    )
    if len(entries) < total:
        hint(f"{len(entries)} of {total:,} shown: see more with --limit.")
