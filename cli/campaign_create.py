"""What `campaign create` does once its options are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import typer

from cli.contact import pairs
from cli.home import Home, actor
from cli.lists import size
from cli.progress import bar

if TYPE_CHECKING:
    from campaigns.settings import Settings


def make_campaign(
    home: Home, name: str, *, mode: str, list_name: str, trunk: str, chosen: dict[str, Any]
) -> int:
    """Make the campaign and its leads; return how many leads."""
    from campaigns import campaigns, fill
    from campaigns.presets import Preset
    from campaigns.settings import Settings

    settings = Settings.load(chosen)
    _prepare(home, settings)
    with home.database() as database:
        with database.write() as session:
            campaign = campaigns.create(
                session,
                name,
                mode=mode,
                list_name=list_name,
                trunk=trunk,
                settings=settings,
                preset=Preset(home.config.compliance.preset),
                actor=actor(),
                now=home.now(),
            )
            total = size(session, list_name)
        with bar("leads", total) as advance:
            return fill.make_leads(database, campaign.id, now=home.now(), on_progress=advance)


def _prepare(home: Home, settings: Settings) -> None:
    """Prepare what will be played: what cannot be is refused now, not when it is dialled."""
    import asyncio

    from campaigns import broadcast
    from ivr.media.errors import MediaError
    from server.prompts import prompts_of

    if not (settings.message_file or settings.message_text):
        return
    try:
        asyncio.run(broadcast.prepare(settings, prompts_of(home.path), home.path))
    except MediaError as error:
        raise typer.BadParameter(str(error), param_hint="--message") from error


def number_to_show(text: str) -> str:
    """A caller ID, checked as those of tongdai.toml are. Raises BadParameter."""
    from server.config.values import parse_caller_id

    try:
        return parse_caller_id(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--caller-id") from error


def delays(texts: list[str]) -> dict[str, float]:
    """RESULT=TIME options as seconds: 90, 90s, 10m, 2h. Raises BadParameter."""
    units = {"": 1, "s": 1, "m": 60, "h": 3600}
    found = {}
    for result, text in pairs(texts, "--retry", "busy=10m").items():
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text)
        if match is None:
            raise typer.BadParameter(
                f"“{text}” is not a time: expected one like 90s, 10m or 2h", param_hint="--retry"
            )
        found[result] = float(match[1]) * units[match[2]]
    return found
