"""`tongdai demo`: a whole campaign on this machine, with simulated customers."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli.home import home_of
from cli.output import console
from cli.root import single

app = single()


@app.command(epilog="Example: tongdai demo --home demo-home")
def demo(
    ctx: typer.Context,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the folder where --home names none.")
    ] = False,
) -> None:
    """Run a whole campaign on this machine, with simulated customers, and check every result.

    A simulated carrier and some fifty phones are started, the example contacts imported and
    called over real SIP and RTP, and reports written. Exit code 0: every call is on record
    exactly as the person at the other end lived it.
    """
    from server.demo import show

    home = home_of(ctx).path
    given = home != Path()
    folder = home if given else Path(tempfile.mkdtemp(prefix="tongdai-demo-"))
    try:
        outcome = show.run(folder, console())
    finally:
        if not given and not keep:
            shutil.rmtree(folder)
    raise typer.Exit(1 if outcome.differences else 0)
