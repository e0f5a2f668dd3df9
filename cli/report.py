"""`tongdai report`: figures and rows for people, spreadsheets and programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from cli.call import Direction
from cli.home import Home, home_of
from cli.output import plural, say, show_rows
from cli.progress import counted
from cli.root import COMMANDS, noun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reports.calls import CallFilter, CallLine
    from reports.metrics import Totals

app = noun(COMMANDS["report"])


class Format(StrEnum):
    """How a report is written."""

    TABLE = "table"
    CSV = "csv"
    XLSX = "xlsx"
    JSON = "json"


@app.command(epilog="Example: tongdai report calls --campaign tet --from today --output tet.xlsx")
def calls(
    ctx: typer.Context,
    *,
    campaign: Annotated[str | None, typer.Option(help="Only of this campaign.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="From this day or time on (2026-11-21, today).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="To this day (whole) or time (not included).")
    ] = None,
    result: Annotated[str | None, typer.Option(help="Only with this result, such as busy.")] = None,
    number: Annotated[str | None, typer.Option(help="Only with this number.")] = None,
    direction: Annotated[
        Direction | None, typer.Option(help="Only calls that came in, or went out.")
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="Left out: by the name of --output, or table.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write.", dir_okay=False)
    ] = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="CSV for Excel: mark the file as UTF-8.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Every call as a row, with all its times, result, keys and audio quality."""
    from reports.calls import CallFilter, parse_result
    from reports.period import parse_period

    home = home_of(ctx)
    chosen = Format.JSON if as_json else form or _by_name(output)
    which = CallFilter(
        campaign=campaign,
        period=parse_period(since, until, home.zone, today=home.now().date()),
        result=parse_result(result) if result else None,
        number=home.number(number),
        direction=direction and direction.value,
    )
    if chosen is Format.XLSX and output is None:
        raise typer.BadParameter("a workbook goes to a file: name it with --output.")
    _write(home, which, chosen, output, bom=bom)


def _by_name(output: Path | None) -> Format:
    suffix = output.suffix.lstrip(".").lower() if output else ""
    return Format(suffix) if suffix in {*Format} else Format.CSV if output else Format.TABLE


def _write(home: Home, which: CallFilter, form: Format, output: Path | None, *, bom: bool) -> None:
    from campaigns import campaigns
    from reports import calls as report
    from reports.metrics import Totals
    from reports.render import tallied

    totals = Totals()
    with home.database() as database, database.read() as session:
        if which.campaign is not None:
            campaigns.get(session, which.campaign)
        found = report.count(session, which)
        lines = tallied(report.lines(session, which, home.zone), totals)
        with counted(lines, found, "calls", quiet=output is None) as rows:
            _render(rows, totals, form, output, bom=bom, about=_about(home, which))
    if output is not None:
        say(f"{output}: {plural(totals.calls, 'call')}")


def _render(
    rows: Iterable[CallLine],
    totals: Totals,
    form: Format,
    output: Path | None,
    *,
    bom: bool,
    about: dict[str, str],
) -> None:
    from reports import render
    from reports.files import whole_file

    if form is Format.XLSX:
        from reports.xlsx import write_xlsx

        assert output is not None
        with whole_file(output) as path:
            write_xlsx(rows, path, totals, about)
        return
    with _stream(output, bom=bom and form is Format.CSV) as stream:
        if form is Format.CSV:
            render.write_csv(rows, stream)
        elif form is Format.JSON:
            render.write_json(rows, stream)
        else:
            show_rows(
                [f">{c.brief}" if c.kind.is_number else c.brief for c in render.BRIEF],
                render.brief(rows),
                empty="There are no such calls.",
                spare=("Outcome", "SIP", "Ring"),
                stream=stream,
            )
            stream.write(f"\n{render.summary(totals)}\n")


@contextmanager
def _stream(output: Path | None, *, bom: bool) -> Iterator[IO[str]]:
    from reports.files import whole_file

    encoding = "utf-8-sig" if bom else "utf-8"
    if output is None:
        if bom:
            sys.stdout.write("\ufeff")
        yield sys.stdout
        return
    with whole_file(output) as path, path.open("w", encoding=encoding, newline="") as file:
        yield file


def _about(home: Home, which: CallFilter) -> dict[str, str]:
    now = home.now()
    return {
        "report": "calls, one row a call",
        **which.describe(),
        "time zone": str(home.zone),
        "made": now.isoformat(timespec="seconds"),
    }
