"""The whole demonstration, start to finish, by the very commands a person would type."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from server import config
from server.demo import records
from server.demo.check import Difference, Lived, compare, listened, live, unheard
from server.demo.diary import read_all
from server.demo.ear import load, share_heard
from server.demo.people import cast
from server.demo.props import MESSAGE, Props
from server.demo.stage import DemoFailed, Stage
from store.database import Database

LIST = CAMPAIGN = "chao-he"
COMPLETED_WITHIN = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demonstration came to."""

    calls: int
    differences: Sequence[Difference]


def run(home: Path, console: Console) -> Outcome:
    """Run the demonstration in `home`, and compare what people did with what is on record.

    Raises DemoFailed where it could not be run at all.
    """
    began = time.monotonic()
    console.print(
        "A telesales campaign from start to finish: contacts are imported, the phones of a "
        "simulated carrier\nare called over real SIP and RTP, and what their owners did is "
        "compared with what Tongdai has on record."
    )
    props = Props(home)
    props.lay_out()
    with Stage(home) as stage:
        demo = _Demo(props, stage, console)
        demo.import_contacts()
        demo.open()
        demo.call_everyone()
        demo.report()
        demo.close()
    outcome = _compare(props, console)
    console.print(
        f"\n{time.monotonic() - began:.0f} seconds. The reports are {home}/calls.csv and "
        f"calls.xlsx, the recordings in {home}/recordings;\nwhat the people heard is in "
        f"{props.heard}, what each did in {props.folder}/*.jsonl."
    )
    return outcome


@dataclass(frozen=True, slots=True)
class _Demo:
    props: Props
    stage: Stage
    console: Console

    def import_contacts(self) -> None:
        self._title("A call list, as people really write one")
        self._tongdai("init")
        self._tongdai("contact", "import", str(self.props.contacts), "--list", LIST)

    def open(self) -> None:
        """Start the carrier, the phones and the server."""
        people = cast(self._numbers())
        self._title("A carrier, its subscribers, and Tongdai")
        asyncio.run(self.props.record_voices())
        orders = self.props.carrier_orders(people)
        port = int(self.stage.helper("server.demo.carrier", orders.to_json()))
        for owners in self.props.phone_orders(people, port):
            self.stage.helper("server.demo.phones", owners.to_json())
        self.props.configure(carrier_port=port)
        self.stage.serve()
        phones = sum(person.has_phone for person in people)
        self.console.print(
            f"A simulated carrier answers on 127.0.0.1:{port}. {phones} pyVoIP phones have "
            "registered there.\n`tongdai serve` runs. Nothing leaves this machine, so the demo "
            "keeps no calling hours\n(compliance preset none)."
        )
        self._tongdai("trunk", "check", "carrier")

    def call_everyone(self) -> None:
        self._title("A campaign")
        self._tongdai("dnc", "add", self._numbers()[-1], "--reason", "asked by letter")
        self._tongdai(
            *("campaign", "create", CAMPAIGN, "--list", LIST, "--trunk", "carrier"),
            *("--message", MESSAGE, "--key", "1=interested", "--key", "2=do_not_call"),
            *("--amd", "--record", "--repeats", "0", "--key-timeout", "2"),
            *("--ring-timeout", "5", "--attempts", "2", "--retry", "busy=2s"),
            *("--retry", "no_answer=2s", "--retry", "machine=2s", "--retry", "unreachable=2s"),
        )
        self._tongdai("campaign", "start", CAMPAIGN)
        self._tongdai("campaign", "watch", CAMPAIGN)
        self._wait_until_completed()

    def report(self) -> None:
        self._title("What came of it")
        self._tongdai("campaign", "status", CAMPAIGN)
        for suffix in ("csv", "xlsx"):
            file = str(self.props.home / f"calls.{suffix}")
            self._tongdai("report", "calls", "--campaign", CAMPAIGN, "--output", file)
        self._tongdai("recording", "list", "--limit", "5")
        self._tongdai("dnc", "list")

    def close(self) -> None:
        """Let everyone go home: only then are the diaries whole."""
        self._title("Did Tongdai get it right?")
        self.stage.end()

    def _title(self, text: str) -> None:
        self.console.print(f"\n[bold cyan]── {escape(text)} ──[/]")

    def _tongdai(self, *words: str) -> None:
        """Show a command as a person would type it, then run it."""
        self.console.print(f"[dim]$[/] [bold]tongdai {escape(shlex.join(words))}[/]")
        self.stage.tongdai(*words)

    def _wait_until_completed(self) -> None:
        """Wait for the last call: in a pipe, `watch` draws one picture and leaves."""
        deadline = time.monotonic() + COMPLETED_WITHIN
        with _database(self.props.home) as database:
            while time.monotonic() < deadline:
                with database.read() as session:
                    if records.is_completed(session, CAMPAIGN):
                        return
                time.sleep(0.2)
        raise DemoFailed(
            f"The campaign is not completed after {COMPLETED_WITHIN:g} seconds: see "
            f"{self.props.folder / 'serve.log'}."
        )

    def _numbers(self) -> list[str]:
        with _database(self.props.home) as database, database.read() as session:
            return records.numbers_of(session, LIST)


@contextmanager
def _database(home: Path) -> Iterator[Database]:
    database = Database.open(config.load(home).database, home=home)
    try:
        yield database
    finally:
        database.close()


def _compare(props: Props, console: Console) -> Outcome:
    """Compare, and show the result."""
    lived = live(read_all(props.folder))
    with _database(props.home) as database, database.read() as session:
        on_record = records.read(session, CAMPAIGN, props.home / "recordings")
    message = asyncio.run(props.message())
    share = {
        call.heard: share_heard(load(props.heard / call.heard), message)
        for call in listened(lived.values())
        if call.heard
    }
    differences = [*compare(lived, on_record), *unheard(lived.values(), share)]
    console.print(_happened(list(lived.values())))
    if differences:
        console.print(_table_of(differences))
    else:
        console.print(
            f"[bold green]Yes:[/] {len(lived)} calls, each on record exactly as the person at the "
            f"other end\nlived it. The {len(share)} who listened heard every word of the message."
        )
    return Outcome(len(lived), differences)


def _happened(lived: Sequence[Lived]) -> Table:
    """Count what people did and what it came to."""
    table = Table("What the person did", "Result", "Keys", "Calls", box=None, header_style="bold")
    rows = Counter((call.act, call.result, call.keys) for call in lived)
    for (act, result, keys), number in sorted(rows.items()):
        table.add_row(act, result, keys, str(number))
    return table


def _table_of(differences: Sequence[Difference]) -> Table:
    table = Table(title=f"{len(differences)} differences", title_style="bold red")
    for title in ("Number", "What", "The person", "Tongdai"):
        table.add_column(title)
    for difference in differences:
        table.add_row(difference.number, difference.what, difference.lived, difference.recorded)
    return table
