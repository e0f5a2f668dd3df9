"""`campaign watch`: looks at the database and the running server, and draws what it sees."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rich.live import Live

from campaigns.status import status
from cli.home import Home
from cli.output import console, show
from cli.screen import Screen, View
from reports import calls
from server.client import ServerNotRunning, ServerRefused

if TYPE_CHECKING:
    from store.database import Database

EVERY = 0.5  # seconds between two looks, at least
SHARE = 4  # a look that takes long (a million leads) is followed by so many times its length
RECENT = 40  # ended calls at most on the screen
MOST_NAMES = 1000  # calls that are up whose names are looked up: more than any screen shows
PIPED = 120  # columns of a picture that is not on a terminal
OVER = ("completed", "stopped")


def watch(home: Home, name: str, *, once: bool = False) -> None:
    """Show a campaign until it is over or Ctrl-C; the last picture stays on the terminal.

    In a pipe, or with `once`, one picture is printed.
    """
    screen = console()
    with home.database() as database:
        view = look(home, database, name)
        if screen.is_terminal and not once:
            with (
                suppress(KeyboardInterrupt),
                Live(console=screen, screen=True, auto_refresh=False) as live,
            ):
                while True:
                    live.update(Screen(view, screen.height), refresh=True)
                    if view.status["state"] in OVER and not view.calls:
                        break
                    started = time.monotonic()
                    view = look(home, database, name)
                    time.sleep(max(EVERY, SHARE * (time.monotonic() - started)))
    show(Screen(view), width=PIPED)


def look(home: Home, database: Database, name: str) -> View:
    """See how a campaign is now. Raises CampaignNotFound."""
    now, live = home.now(), _live(home)
    with database.read() as session:
        found = status(session, name, now=now)
        up = [UUID(call["call_id"]) for call in live["calls"][:MOST_NAMES]] if live else []
        names = {str(call): who for call, who in calls.contacts_of(session, up).items()}
        latest = calls.latest(session, calls.CallFilter(campaign=name), home.zone, RECENT + len(up))
    recent = sorted(filter(_ended, latest), key=_ended, reverse=True)
    return View(found, recent, now, home.zone, live=live, names=names)


def _ended(call: calls.CallLine) -> float:
    """When a call ended; 0 where it is up."""
    return call.ended_at.timestamp() if call.ended_at else 0.0


def _live(home: Home) -> dict[str, Any] | None:
    with suppress(ServerNotRunning, ServerRefused):
        return home.server.status()
    return None
