"""`tongdai call`: every call that was made, and its story."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.home import Home, home_of
from cli.output import JsonOption, LimitOption, clock, hint, print_json, say, show_facts, show_rows
from cli.root import COMMANDS, noun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reports.calls import CallLine
    from reports.story import StoredCall
    from store.models import CallEvent

app = noun(COMMANDS["call"])


class Direction(StrEnum):
    """Who called whom."""

    IN = "in"
    OUT = "out"


@app.command("list", epilog="Example: tongdai call list --campaign tet --result busy")
def list_(
    ctx: typer.Context,
    *,
    campaign: Annotated[str | None, typer.Option(help="Only of this campaign.")] = None,
    result: Annotated[str | None, typer.Option(help="Only with this result, such as busy.")] = None,
    number: Annotated[str | None, typer.Option(help="Only with this number.")] = None,
    direction: Annotated[
        Direction | None, typer.Option(help="Only calls that came in, or went out.")
    ] = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the last calls, the newest first. All of them: `tongdai report calls`."""
    from campaigns import campaigns
    from reports import calls, render

    home = home_of(ctx)
    which = calls.CallFilter(
        campaign=campaign,
        result=calls.parse_result(result) if result else None,
        number=home.number(number),
        direction=direction and direction.value,
    )
    with home.database() as database, database.read() as session:
        if campaign is not None:
            campaigns.get(session, campaign)
        found, total = calls.latest(session, which, home.zone, limit), calls.count(session, which)
    if as_json:
        print_json([render.record(line) for line in found])
        return
    show_calls(home, found)
    if len(found) < total:
        hint(f"{len(found)} of {total:,} shown: see more with --limit.")


CALL_TITLES = (
    "Call", "Started", "Way", "Number", "Contact", "Result", ">SIP", ">Talk", "Keys", "Outcome",
)  # fmt: skip


def show_calls(home: Home, found: Iterable[CallLine]) -> None:
    """Print calls as a table, each with the end of its id."""
    show_rows(
        CALL_TITLES,
        (
            (
                str(line.call_id)[-8:],
                clock(line.started_at, home.zone),
                line.direction,
                line.number,
                line.contact,
                line.result or "in progress",
                line.sip_code,
                "" if line.talk_seconds is None else f"{line.talk_seconds:.1f}",
                line.keys,
                line.outcome,
            )
            for line in found
        ),
        empty="There are no such calls.",
        spare=("Outcome", "SIP", "Talk"),
    )


@app.command(epilog="Example: tongdai call show d2aa01fe")
def show(
    ctx: typer.Context,
    call: Annotated[str, typer.Argument(metavar="CALL", help="Its id, or the end of it.")],
    as_json: JsonOption = False,
) -> None:
    """Show one call: its facts, and what happened in it, step by step."""
    from reports import render, story

    home = home_of(ctx)
    with home.database() as database, database.read() as session:
        found = story.find(session, call, home.zone)
    if as_json:
        print_json(
            {
                **render.record(found.line),
                "sip_call_id": found.sip_call_id,
                "events": [
                    {"at": event.at.astimezone(home.zone), "kind": event.kind, "data": event.data}
                    for event in found.events
                ],
            }
        )
        return
    _tell(found)
    if found.events:
        say("")
    for event in found.events:
        say(f"{event.at.astimezone(home.zone):%H:%M:%S.%f}"[:-3] + f"  {_step(event)}")


def _tell(found: StoredCall) -> None:
    from reports.columns import CALL_COLUMNS
    from reports.render import shown

    facts = [(column.title, shown(found.line, column)) for column in CALL_COLUMNS]
    show_facts([*facts, ("SIP Call-ID", found.sip_call_id)])


def _step(event: CallEvent) -> str:
    data: dict[str, Any] = event.data
    details = "  ".join(f"{key}={value}" for key, value in data.items())
    return f"{event.kind:<12} {details}".rstrip()
