"""`tongdai list`: named lists of numbers to call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.home import Home, home_of
from cli.output import JsonOption, LimitOption, clock, hint, iso, plural, print_json, say, show_rows
from cli.root import COMMANDS, noun

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

app = noun(COMMANDS["list"])

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the list.")]
Numbers = Annotated[list[str], typer.Argument(metavar="NUMBER…", help="Phone numbers.")]


@app.command(epilog="Example: tongdai list create tet-2027")
def create(ctx: typer.Context, name: Name) -> None:
    """Make an empty list."""
    from campaigns import lists

    home = home_of(ctx)
    with home.database() as database, database.write() as session:
        lists.create(session, name, now=home.now())
    say(f"List “{name}” is made.")


@app.command("list", epilog="Example: tongdai list list --json")
def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show every list, with how many numbers it has."""
    _all(home_of(ctx), as_json)


@app.command(epilog="Example: tongdai list show tet-2027 --limit 20")
def show(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Left out: every list.")
    ] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show the numbers of a list, in the order they will be called."""
    home = home_of(ctx)
    if name is None:
        _all(home, as_json)
    else:
        _members(home, name, limit, as_json)


@app.command(epilog="Example: tongdai list add tet-2027 0912345678 '028 3822 1234'")
def add(ctx: typer.Context, name: Name, numbers: Numbers, as_json: JsonOption = False) -> None:
    """Put numbers at the end of a list; unknown ones become contacts."""
    from campaigns import lists

    home = home_of(ctx)
    with home.database() as database, database.write() as session:
        done = lists.add(session, name, numbers, now=home.now(), region=home.config.region)
    if as_json:
        print_json({"added": done.added, "already": done.already, "refused": done.refused})
    else:
        say(f"{plural(len(done.added), 'number')} added, {len(done.already)} in the list already.")
    for reason in done.refused.values():
        hint(f"tongdai: {reason}")
    if done.refused:
        raise typer.Exit(2)


@app.command(epilog="Example: tongdai list remove tet-2027 0912345678")
def remove(ctx: typer.Context, name: Name, numbers: Numbers) -> None:
    """Take numbers out of a list; their contacts stay."""
    from campaigns import lists

    home = home_of(ctx)
    with home.database() as database, database.write() as session:
        gone = lists.remove(session, name, numbers, region=home.config.region)
    say(f"{plural(gone, 'number')} taken out of “{name}”.")


@app.command(epilog="Example: tongdai list delete tet-2027")
def delete(ctx: typer.Context, name: Name) -> None:
    """Delete a list; its contacts, and calls already made, stay."""
    from campaigns import lists

    with home_of(ctx).database() as database, database.write() as session:
        lists.delete(session, name)
    say(f"List “{name}” is deleted.")


def size(session: Session, name: str) -> int:
    """How many numbers a list has; 0 where there is none of that name."""
    from campaigns import lists

    return next((one.members for one in lists.summaries(session) if one.name == name), 0)


def _all(home: Home, as_json: bool) -> None:
    from campaigns import lists

    with home.database() as database, database.read() as session:
        found = lists.summaries(session)
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "members": one.members,
                    "campaigns": one.campaigns,
                    "created_at": iso(one.created_at, home.zone),
                }
                for one in found
            ]
        )
        return
    show_rows(
        ("List", ">Numbers", ">Campaigns", "Made"),
        ((one.name, one.members, one.campaigns, clock(one.created_at, home.zone)) for one in found),
        empty="There are no lists yet: `tongdai contact import FILE --list NAME` makes one.",
    )


def _members(home: Home, name: str, limit: int, as_json: bool) -> None:
    from campaigns import lists

    with home.database() as database, database.read() as session:
        members = lists.members(session, name, limit=limit)
        total = size(session, name)
    if as_json:
        print_json(
            [
                {
                    "position": member.position,
                    "number": member.number,
                    "name": member.name,
                    "added_at": iso(member.added_at, home.zone),
                }
                for member in members
            ]
        )
        return
    show_rows(
        (">#", "Number", "Name", "Added"),
        ((m.position, m.number, m.name, clock(m.added_at, home.zone)) for m in members),
        empty=f"The list “{name}” is empty.",
    )
    if len(members) < total:
        hint(f"{len(members)} of {total:,} shown: see more with --limit.")
