"""`tongdai serve`: run the server."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from cli.home import home_of
from cli.root import single

app = single()


class LogFormat(StrEnum):
    """How the log looks."""

    TEXT = "text"
    JSON = "json"


@app.command(epilog="Example: tongdai serve --home /var/lib/tongdai")
def serve(
    ctx: typer.Context,
    trace_sip: Annotated[
        bool, typer.Option("--trace-sip", help="Log every SIP message, secrets masked.")
    ] = False,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(help="In place of the one in tongdai.toml."),
    ] = None,
) -> None:
    """Run the server: it makes the calls of every running campaign.

    SIGTERM or Ctrl-C: nothing new is dialled, calls that are up may end, then it exits. A second
    time: they are hung up.
    """
    import asyncio

    from server import logs
    from server.app import secrets_of
    from server.app import serve as run

    home = home_of(ctx)
    config = home.config
    secrets = secrets_of(config)
    os.umask(0o077)  # recordings and the database are personal data
    style = log_format.value if log_format else config.log.format
    stop_logging = logs.start(style, config.log.level, home.zone, secrets)
    try:
        asyncio.run(run(config, home.path, trace_sip=trace_sip))
    finally:
        stop_logging()
