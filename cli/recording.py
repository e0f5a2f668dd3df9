"""`tongdai recording`: recordings of calls."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.home import home_of
from cli.output import JsonOption, LimitOption, clock, iso, print_json, show_rows
from cli.root import COMMANDS, noun

app = noun(COMMANDS["recording"])


@app.command("list", epilog="Example: tongdai recording list --campaign tet")
def list_(
    ctx: typer.Context,
    *,
    campaign: Annotated[str | None, typer.Option(help="Only of this campaign.")] = None,
    number: Annotated[str | None, typer.Option(help="Only of this number.")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show the recordings, newest first."""
    from campaigns import campaigns
    from recordings import catalogue

    home = home_of(ctx)
    e164 = home.number(number)
    with home.database() as database, database.read() as session:
        if campaign is not None:
            campaigns.get(session, campaign)
        found = [*catalogue.entries(session, campaign=campaign, number=e164, limit=limit)]
    if as_json:
        print_json(
            [
                {
                    "recording_id": entry.recording.id,
                    "call_id": entry.recording.call_id,
                    "campaign": entry.campaign,
                    "direction": entry.direction,
                    "number": entry.number,
                    "contact": entry.contact,
                    "path": entry.recording.path,
                    "state": entry.recording.state,
                    "started_at": iso(entry.recording.started_at, home.zone),
                    "duration_ms": entry.recording.duration_ms,
                    "bytes": entry.recording.bytes,
                    "note": entry.recording.note,
                }
                for entry in found
            ]
        )
        return
    show_rows(
        ("Started", "Number", "Contact", "Campaign", ">Seconds", "State", "File"),
        (
            (
                clock(entry.recording.started_at, home.zone),
                entry.number,
                entry.contact,
                entry.campaign,
                _seconds(entry.recording.duration_ms),
                entry.recording.state,
                entry.recording.path,
            )
            for entry in found
        ),
        empty="There are no recordings.",
        spare=("Contact", "Campaign", "State", "Seconds"),
    )


def _seconds(duration_ms: int | None) -> str:
    return "" if duration_ms is None else f"{duration_ms / 1000:.1f}"
