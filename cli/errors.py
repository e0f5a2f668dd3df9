"""Every error as one sentence on stderr, and the exit code that goes with it."""

from __future__ import annotations

import os
import traceback

import typer

from reports.legible import legible

FAILED, USAGE = 1, 2
DEBUG = "TONGDAI_DEBUG"  # set: show where an unexpected error came from


def report(error: Exception) -> int:
    """Print the sentence for an error; return the exit code."""
    message, code = explain(error)
    if message:
        typer.echo(f"tongdai: {legible(message)}", err=True)
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    return code


def explain(error: Exception) -> tuple[str, int]:
    """The sentence for an error, and 2 where what was typed is wrong, else 1."""
    if isinstance(error, typer.TyperException):
        return _of_typer(error), error.exit_code
    if isinstance(error, typer.Abort):  # a question was answered with Ctrl-D
        return "Stopped.", FAILED
    if isinstance(error, OSError) and error.filename:
        return (
            f"{error.filename} cannot be used ({error.strerror}): check that it is there, and that "
            "this user may read and write it.",
            FAILED,
        )
    if isinstance(error, _expected()):
        return str(error), USAGE if isinstance(error, _mistaken()) else FAILED
    name = type(error).__name__
    return (
        f"This is a fault in Tongdai ({name}: {error}): please report it with what "
        f"`{DEBUG}=1` in front of the same command prints.",
        FAILED,
    )


def _of_typer(error: typer.TyperException) -> str:
    """Usage errors know their command: say where its help is. No arguments: help was printed."""
    message = error.format_message().strip().replace("\t", "").replace("Value error, ", "")
    ctx = getattr(error, "ctx", None)
    if not message or ctx is None:
        return message
    return f"{message.rstrip('.')} (see `{ctx.command_path} --help`)."


def _expected() -> tuple[type[Exception], ...]:
    """What the packages raise on purpose: the message is a sentence for a person."""
    from campaigns.errors import CampaignsError
    from crm.errors import CrmError
    from ivr.media.errors import MediaError
    from ivr.sip.errors import SipError
    from recordings.errors import RecordingError
    from reports.errors import ReportError
    from server.config import ConfigError
    from server.rundir import ServerError
    from store.errors import StoreError

    return (
        CampaignsError, ConfigError, CrmError, MediaError, RecordingError, ReportError,
        ServerError, SipError, StoreError,
    )  # fmt: skip


def _mistaken() -> tuple[type[Exception], ...]:
    """Those that mean: what was typed, or a file that was given, is not what it must be."""
    from campaigns import errors as campaigns
    from crm.errors import CrmError
    from reports.errors import BadFilter, UnknownCall
    from server.config import ConfigError

    return (
        BadFilter,
        ConfigError,
        CrmError,
        UnknownCall,
        campaigns.BadSettings,
        campaigns.CampaignExists,
        campaigns.CampaignNotFound,
        campaigns.ImportRefused,
        campaigns.ListExists,
        campaigns.ListNotFound,
    )
