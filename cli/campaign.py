"""`tongdai campaign`: create, start, watch, pause and stop campaigns."""

from __future__ import annotations

import re
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.campaign_create import delays, make_campaign, number_to_show
from cli.contact import pairs
from cli.home import Home, actor, home_of
from cli.output import JsonOption, clock, hint, plural, print_json, say, show_facts, show_rows
from cli.root import COMMANDS, noun
from cli.trunk import require_trunk

if TYPE_CHECKING:
    from campaigns.states import Move

app = noun(COMMANDS["campaign"])

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the campaign.")]
NO_SERVER = "No server runs on this home: nothing is dialled until `tongdai serve` runs."


class Mode(StrEnum):
    """How a campaign dials."""

    BROADCAST = "broadcast"
    PREVIEW = "preview"
    PROGRESSIVE = "progressive"
    PREDICTIVE = "predictive"


class Purpose(StrEnum):
    """Why it calls."""

    ADVERTISING = "advertising"
    SURVEY = "survey"
    SERVICE = "service"
    DEBT = "debt"


class Machine(StrEnum):
    """What to do when a machine answers."""

    HANG_UP = "hang_up"
    LEAVE_MESSAGE = "leave_message"


WHAT, WHEN, HOW = "What is said", "When", "How fast, how often"


@app.command(
    epilog="Example: tongdai campaign create tet --list tet --trunk carrier "
    "--message chao.mp3 --key 1=interested --key 2=do_not_call"
)
def create(
    ctx: typer.Context,
    *,
    name: Name,
    list_name: Annotated[str, typer.Option("--list", metavar="LIST", help="Whom to call.")],
    trunk: Annotated[str, typer.Option(metavar="TRUNK", help="Over which trunk of tongdai.toml.")],
    mode: Annotated[Mode, typer.Option(help="broadcast plays a message and takes a key.")] = (
        Mode.BROADCAST
    ),
    message: Annotated[
        str | None,
        typer.Option(help="A sound file, or a text to be spoken.", rich_help_panel=WHAT),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Of spoken texts; none: that of tongdai.toml.", rich_help_panel=WHAT),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=OUTCOME",
            help="What a key means; none: 1=interested, 2=do_not_call.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    key_timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait for a key.", rich_help_panel=WHAT)
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(help="How often to say it again without a key.", rich_help_panel=WHAT),
    ] = None,
    amd: Annotated[
        bool, typer.Option("--amd", help="Listen for answering machines.", rich_help_panel=WHAT)
    ] = False,
    machine: Annotated[
        Machine | None, typer.Option(help="What to do about them.", rich_help_panel=WHAT)
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Record the calls.", rich_help_panel=WHAT)
    ] = False,
    purpose: Annotated[
        Purpose | None,
        typer.Option(help="Why you call: each has its rules.", rich_help_panel=WHEN),
    ] = None,
    hours: Annotated[
        str | None,
        typer.Option(
            metavar="08:00-17:00", help="None: those of the law's preset.", rich_help_panel=WHEN
        ),
    ] = None,
    days: Annotated[
        str | None, typer.Option(metavar="mon,tue,…", help="None: all.", rich_help_panel=WHEN)
    ] = None,
    ring_timeout: Annotated[
        float | None, typer.Option(help="Seconds to let it ring.", rich_help_panel=HOW)
    ] = None,
    attempts: Annotated[
        int | None, typer.Option(help="Calls to a number at most.", rich_help_panel=HOW)
    ] = None,
    retry: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RESULT=TIME", help="When to try again: busy=10m.", rich_help_panel=HOW
        ),
    ] = None,
    max_calls: Annotated[
        int | None, typer.Option(help="Calls at the same time.", rich_help_panel=HOW)
    ] = None,
    cps: Annotated[
        float | None, typer.Option(help="Calls per second.", rich_help_panel=HOW)
    ] = None,
    caller_id: Annotated[
        list[str] | None,
        typer.Option(help="A number to show, instead of the trunk's.", rich_help_panel=HOW),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a campaign, in the state draft: nothing is dialled before `campaign start`."""
    from campaigns import settings

    home = home_of(ctx)
    require_trunk(home, trunk)
    values: dict[str, Any] = {
        **(settings.message(message, Path.cwd()) if message is not None else {}),
        "language": language or home.config.language,
        "keys": pairs(key, "--key", "1=interested") if key else None,
        "key_timeout": key_timeout,
        "repeats": repeats,
        "amd": amd,
        "machine": machine and machine.value,
        "record": record,
        "purpose": purpose and purpose.value,
        "hours": hours,
        "days": tuple(re.split(r"[,\s]+", days.strip().lower())) if days else None,
        "ring_timeout": ring_timeout,
        "attempts": attempts,
        "retry": delays(retry or []) or None,
        "max_calls": max_calls,
        "cps": cps,
        "caller_ids": tuple(map(number_to_show, caller_id)) if caller_id else None,
    }
    chosen = {name: value for name, value in values.items() if value is not None}
    leads = make_campaign(
        home, name, mode=mode.value, list_name=list_name, trunk=trunk, chosen=chosen
    )
    if as_json:
        _status(home, name, as_json=True)
        return
    say(f"Campaign `{name}` is made, with {plural(leads, 'number')} to call.")
    hint(f"Next: tongdai campaign start {shlex.quote(name)}")


@app.command(epilog="Example: tongdai campaign start tet")
def start(ctx: typer.Context, name: Name, as_json: JsonOption = False) -> None:
    """Begin to dial; a completed campaign, again, for numbers its list has gained since."""
    from campaigns.states import Move

    _move(home_of(ctx), name, Move.START, "is started", as_json)


@app.command(epilog="Example: tongdai campaign pause tet")
def pause(ctx: typer.Context, name: Name, as_json: JsonOption = False) -> None:
    """Dial nothing new; calls that are up end by themselves."""
    from campaigns.states import Move

    _move(home_of(ctx), name, Move.PAUSE, "is paused; calls that are up go on", as_json)


@app.command(epilog="Example: tongdai campaign resume tet")
def resume(ctx: typer.Context, name: Name, as_json: JsonOption = False) -> None:
    """Go on after a pause."""
    from campaigns.states import Move

    _move(home_of(ctx), name, Move.RESUME, "goes on", as_json)


@app.command(epilog="Example: tongdai campaign stop tet")
def stop(ctx: typer.Context, name: Name, as_json: JsonOption = False) -> None:
    """End a campaign for good: it can not be started again."""
    from campaigns.states import Move

    _move(home_of(ctx), name, Move.STOP, "is stopped for good", as_json)


def _move(home: Home, name: str, move: Move, done: str, as_json: bool) -> None:
    from campaigns import campaigns
    from campaigns.states import Move

    moves = {
        Move.START: campaigns.start,
        Move.PAUSE: campaigns.pause,
        Move.RESUME: campaigns.resume,
        Move.STOP: campaigns.stop,
    }
    with home.database() as database:
        with database.write() as session:
            campaign = moves[move](session, name, actor=actor(), now=home.now())
        if move is Move.STOP:
            campaigns.close_leads(database, campaign.id, now=home.now())
    awake = home.wake_server()
    if as_json:
        _status(home, name, as_json=True)
    else:
        say(f"Campaign `{name}` {done}.")
    if move in (Move.START, Move.RESUME) and not awake:
        hint(NO_SERVER)


@app.command(epilog="Example: tongdai campaign status tet --json")
def status(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="None: every campaign.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far a campaign is: leads, results, keys, and why nothing is dialled now."""
    home = home_of(ctx)
    if name is None:
        _list(home, as_json)
    else:
        _status(home, name, as_json)


@app.command("list", epilog="Example: tongdai campaign list --json")
def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show every campaign, the newest first."""
    _list(home_of(ctx), as_json)


@app.command(epilog="Example: tongdai campaign watch tet")
def watch(
    ctx: typer.Context,
    name: Name,
    once: Annotated[bool, typer.Option("--once", help="Draw one picture and leave.")] = False,
) -> None:
    """Watch a campaign live: calls up, calls per second, results, keys. Ctrl-C leaves."""
    from cli.watch import watch as run

    run(home_of(ctx), name, once=once)


def _status(home: Home, name: str, as_json: bool) -> None:
    from cli.watch import look

    with home.database() as database:
        view = look(home, database, name)
    found = view.status
    if as_json:
        print_json({**found, "condition": view.condition})
        return
    leads = found["leads"]
    show_facts(
        [
            ("campaign", found["name"]),
            ("state", found["state"]),
            ("mode", f"{found['mode']} over {found['trunk']}"),
            (
                "numbers",
                f"{leads['total']:,}: {leads['done']:,} done, {leads['waiting']:,} waiting, "
                f"{leads['live']:,} on a call",
            ),
            ("results", _counts(found["results"])),
            ("keys", _counts(found["keys"])),
            ("outcomes", _counts(found["outcomes"])),
            ("not called", _counts(found["suppressed"])),
            ("started", _local(home, found["started_at"])),
            ("finished", _local(home, found["finished_at"])),
            ("now", view.condition),
        ]
    )


def _list(home: Home, as_json: bool) -> None:
    from campaigns import campaigns
    from campaigns.status import status as read_status

    with home.database() as database, database.read() as session:
        names = [campaign.name for campaign in campaigns.all_of(session)]
        found = [read_status(session, name, now=home.now()) for name in names]
    if as_json:
        print_json(found)
        return
    show_rows(
        ("Campaign", "Mode", "State", "Trunk", ">Numbers", ">Done", ">Answered", "Made"),
        (
            (
                one["name"],
                one["mode"],
                one["state"],
                one["trunk"],
                f"{one['leads']['total']:,}",
                f"{one['leads']['done']:,}",
                f"{one['results'].get('answered', 0):,}",
                _local(home, one["created_at"]),
            )
            for one in found
        ),
        empty="There are no campaigns yet: `tongdai campaign create --help` shows how.",
        spare=("Made", "Mode", "Trunk"),
    )


def _counts(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {number:,}" for name, number in ordered)


def _local(home: Home, text: str | None) -> str:
    from datetime import datetime

    return clock(datetime.fromisoformat(text), home.zone) if text else ""
