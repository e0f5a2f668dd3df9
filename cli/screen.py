"""The picture of a running campaign, drawn from plain values: `campaign watch`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.bar import Bar
from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from reports.calls import CallLine
from reports.legible import legible

WIDE = 110  # columns from which the tables stand side by side
NARROWEST = 60
ROOM = 14  # lines for calls where the picture may be as high as it likes
COLOURS = {
    "answered": "green",
    "machine": "yellow",
    "no_answer": "yellow",
    "busy": "yellow",
    "unreachable": "yellow",
    "rejected": "magenta",
    "invalid_number": "magenta",
    "congestion": "red",
    "forbidden": "red",
    "abandoned": "red",
    "failed": "red",
}
STATES = {"running": "green", "paused": "yellow", "completed": "cyan", "stopped": "red"}


@dataclass(frozen=True, slots=True)
class View:
    """What there is to see. `status` is `campaigns.status.status`; `live` the server's snapshot,
    None where no server answers.
    """

    status: Mapping[str, Any]
    recent: Sequence[CallLine]  # calls that are over, the last to end first
    now: datetime
    zone: ZoneInfo
    live: Mapping[str, Any] | None = None
    names: Mapping[str, str] = field(default_factory=dict)  # of calls that are up, by their id

    @property
    def calls(self) -> list[Mapping[str, Any]]:
        """The campaign's calls that are up, the longest first."""
        calls = self.live["calls"] if self.live else []
        return [call for call in calls if call["campaign"] == self.status["name"]]

    @property
    def rate(self) -> float | None:
        """Calls dialled per second, where the server says."""
        mine = self.live and self.live["campaigns"].get(self.status["name"])
        return mine["calls_per_second"] if mine else 0.0 if self.live else None

    @property
    def trunk(self) -> Mapping[str, Any] | None:
        """The campaign's trunk, as the server has it."""
        trunks = self.live["trunks"] if self.live else []
        return next((one for one in trunks if one["name"] == self.status["trunk"]), None)

    @property
    def condition(self) -> str:
        """Why nothing is dialled now, in a sentence; "" where something is."""
        if self.status["state"] == "running" and self.live is None:
            return "No server runs on this home: start one with `tongdai serve`."
        mine = self.live["campaigns"].get(self.status["name"]) if self.live else None
        if mine and mine["condition"]:
            return str(mine["condition"])
        blocked = self.status["blocked_by"]
        if not blocked or self.status["state"] in ("completed", "stopped"):
            return ""
        until = blocked["until"] and datetime.fromisoformat(blocked["until"])
        when = f" Until {until.astimezone(self.zone):%a %H:%M:%S}." if until else ""
        return f"{blocked['detail']}{when}"


@dataclass(frozen=True, slots=True)
class Screen:
    """Draws a view to the width and height there is."""

    view: View
    height: int | None = None  # lines; None: as many as it takes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw: the figures above, and the calls under or beside the results."""
        width, view = max(options.max_width, NARROWEST), self.view
        above = [head(view), *_condition(view), Text(), progress(view, width), line(view), Text()]
        if width >= WIDE:
            calls = Group(*call_tables(view, self._room(console, above)))
            figures = Group(results(view), Text(), keys(view))
            yield Group(*above, side_by_side(figures, calls, width))
        else:
            above += [Columns([results(view), keys(view)], padding=(0, 4)), Text()]
            yield Group(*above, *call_tables(view, self._room(console, above)))

    def _room(self, console: Console, above: Sequence[RenderableType]) -> int:
        """How many lines there are for calls."""
        if self.height is None:
            return ROOM
        return max(4, self.height - len(console.render_lines(Group(*above))) - 1)


def head(view: View) -> RenderableType:
    """The campaign, its state, and the time."""
    state = view.status["state"]
    colour = STATES.get(state, "white")
    title = (
        f"[bold]{escape(view.status['name'])}[/]  {view.status['mode']} over "
        f"{escape(view.status['trunk'])}  [bold {colour}]{state}[/]"
    )
    grid = Table.grid(expand=True)
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_row(title, f"[dim]{view.now.astimezone(view.zone):%H:%M:%S}[/]")
    return Group(grid, Rule(style="dim"))


def _condition(view: View) -> Iterable[RenderableType]:
    """Why nothing is dialled, or else what is wrong with the trunk."""
    trunk = view.trunk
    if view.condition:
        yield Text(view.condition, style="yellow")
    elif trunk and trunk["state"] != "up":
        yield Text(f"Trunk {trunk['name']} is {trunk['state']}: {trunk['reason']}", "bold red")


def progress(view: View, width: int) -> RenderableType:
    """How many numbers are done."""
    leads = view.status["leads"]
    total, done = leads["total"], leads["done"]
    percent = 100 * done // total if total else 0
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=10)
    grid.add_column(width=min(40, max(8, width - 68)))
    grid.add_column()
    counts = (
        f"[bold]{percent} %[/]  {done:,} of {total:,} done, {leads['waiting']:,} waiting, "
        f"{leads['live']:,} on a call"
    )
    grid.add_row("Numbers", Bar(max(total, 1), 0, done, color="cyan", bgcolor="grey23"), counts)
    return grid


def line(view: View) -> RenderableType:
    """Calls up and calls per second."""
    up = len(view.calls) if view.live else view.status["leads"]["live"]
    parts = [f"[bold]{up:,}[/] up"]
    if trunk := view.trunk:
        parts.append(f"{trunk['calls']:,} of {trunk['max_calls']:,} channels in use")
    if view.rate is not None:
        parts.append(f"[bold]{view.rate:.1f}[/] calls per second")
    ended = sum(view.status["results"].values())
    parts.append(f"{ended:,} ended")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=10)
    grid.add_column()
    grid.add_row("Calls", " [dim]·[/] ".join(parts))
    return grid


def results(view: View) -> RenderableType:
    """The results as bars."""
    return bars("Results", view.status["results"], colours=COLOURS)


def keys(view: View) -> RenderableType:
    """What was pressed and what it came to, as bars."""
    counts = {f"key {key}": number for key, number in view.status["keys"].items()}
    outcomes = dict(view.status["outcomes"])
    suppressed = {f"not called: {rule}": n for rule, n in view.status["suppressed"].items()}
    return bars("Keys", {**counts, **outcomes, **suppressed}, colours={})


def bars(title: str, counts: Mapping[str, int], *, colours: Mapping[str, str]) -> RenderableType:
    """A bar a name, the longest first."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=16, no_wrap=True)
    grid.add_column(justify="right", width=7)
    grid.add_column(width=12)
    grid.add_row(f"[bold]{title}[/]", "", "")
    most = max(counts.values(), default=1)
    for name, number in sorted(counts.items(), key=lambda item: -item[1]):
        colour = colours.get(name, "cyan")
        grid.add_row(escape(name), f"{number:,}", Bar(most, 0, number, color=colour))
    if not counts:
        grid.add_row("[dim]none yet[/]", "", "")
    return grid


def call_tables(view: View, room: int) -> list[RenderableType]:
    """The calls that are up, then the last that ended, in `room` lines in all."""
    up = view.calls
    ended = view.recent
    shown = up[: max(1, (room - 3) // 2 if ended else room - 1)]
    ended = ended[: max(1, room - len(shown) - 3 if shown else room - 1)]
    parts: list[RenderableType] = []
    if shown:
        more = f" [dim](and {len(up) - len(shown):,} more)[/]" if len(up) > len(shown) else ""
        parts += [f"[bold]On the line[/]{more}", live_table(view, shown)]
    if shown and ended:
        parts.append(Text())
    if ended:
        parts += ["[bold]Last calls[/]", recent_table(ended)]
    return parts


def live_table(view: View, calls: Sequence[Mapping[str, Any]]) -> Table:
    """Calls that are up."""
    grid = _call_grid()
    for call in calls:
        since = call["answered_at"] or call["started_at"]
        lasts = max(view.now - datetime.fromisoformat(since), timedelta(0))
        colour = "green" if call["state"] == "answered" else "dim"
        grid.add_row(
            f"{int(lasts.total_seconds()) // 60}:{int(lasts.total_seconds()) % 60:02}",
            call["number"],
            escape(legible(view.names.get(call["call_id"], ""))),
            f"[{colour}]{call['state']}[/]",
            "",
            call["keys"],
        )
    return grid


def recent_table(calls: Sequence[CallLine]) -> Table:
    """Calls that ended."""
    grid = _call_grid()
    for call in calls:
        colour = COLOURS.get(call.result or "", "white")
        pressed = f"{call.keys} {call.outcome or ''}".strip()
        grid.add_row(
            f"{call.ended_at:%H:%M:%S}",
            call.number,
            escape(legible(call.contact or "")),
            f"[{colour}]{call.result}[/]",
            "" if call.talk_seconds is None else f"{call.talk_seconds:.0f} s",
            escape(pressed),
        )
    return grid


def _call_grid() -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8, justify="right", style="dim")
    grid.add_column(width=14, no_wrap=True)
    grid.add_column(width=20, no_wrap=True, overflow="ellipsis")
    grid.add_column(width=14, no_wrap=True)
    grid.add_column(width=5, justify="right")
    grid.add_column(no_wrap=True, overflow="ellipsis")
    return grid


def side_by_side(left: RenderableType, right: RenderableType, width: int) -> Table:
    """Two blocks beside each other."""
    grid = Table.grid(padding=(0, 3))
    grid.add_column(width=40)
    grid.add_column(width=width - 46)
    grid.add_row(left, right)
    return grid
