"""`tongdai doctor`: is everything there?"""

from __future__ import annotations

from dataclasses import asdict

import typer

from cli.home import home_of
from cli.output import JsonOption, console, print_json, say
from cli.root import single

app = single()

MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[bold red]✗[/]"}


@app.command(epilog="Example: tongdai doctor --home /var/lib/tongdai")
def doctor(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Check that everything Tongdai needs is there and works.

    Every line that is not well says what to do. Exit code 1 if anything failed.
    """
    from rich.markup import escape

    from cli.trunk import check_all
    from server.doctor import Finding, examine

    home = home_of(ctx)
    screen, found = console(), list[Finding]()
    for finding in examine(home.path, lambda config: check_all(home, [*config.trunks])):
        found.append(finding)
        if not as_json:
            screen.print(
                f"{MARKS[finding.verdict]} {escape(finding.name):<14} {escape(finding.found)}"
            )
            if finding.advice:
                screen.print(f"  {'':<14} → {escape(finding.advice)}")
    if as_json:
        print_json([asdict(finding) for finding in found])
    bad = sum(finding.verdict == "failed" for finding in found)
    if bad:
        raise typer.Exit(1)
    if not as_json:
        say("Everything that must work, works.")
