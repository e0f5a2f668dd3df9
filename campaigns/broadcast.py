"""The script of one broadcast call: say the message, take a key, confirm it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from campaigns.ports import Call, Prompts, Script
from campaigns.settings import Settings
from ivr.media.prompts import Prompt
from ivr.result import MACHINES

OnKey = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What a broadcast plays, prepared: the message, and a confirmation by outcome."""

    message: Prompt
    confirmations: Mapping[str, Prompt]


async def prepare(settings: Settings, prompts: Prompts, home: Path) -> Broadcast:
    """Prepare what a campaign plays; a relative message_file is under `home`.

    Raises what the prompts raise, a sentence.
    """
    if settings.message_file:
        message = await prompts.load(home / settings.message_file)
    else:
        message = await prompts.say(settings.message_text or "", settings.language)
    confirmations = {
        outcome: await prompts.say(settings.confirmation(outcome), settings.language)
        for outcome in dict.fromkeys(settings.keys.values())
    }
    return Broadcast(message, confirmations)


def script(settings: Settings, sounds: Broadcast, on_key: OnKey) -> Script:
    """The script; `on_key` is told a key with a meaning the moment it has been pressed."""

    async def broadcast(call: Call) -> None:
        if settings.amd and await call.detect_machine() in MACHINES:
            if settings.machine == "leave_message":
                await call.play(sounds.message, barge_in=False)
            return
        key = await _ask(call, settings, sounds.message)
        if key:
            on_key(key)
            await call.play(sounds.confirmations[settings.keys[key]], barge_in=False)

    return broadcast


async def _ask(call: Call, settings: Settings, message: Prompt) -> str:
    """The message until a key with a meaning is pressed, or it has been said often enough."""
    if not settings.keys:
        await call.play(message, barge_in=False)
        return ""
    for _ in range(1 + settings.repeats):
        await call.play(message)
        key = await call.collect(max_digits=1, timeout=settings.key_timeout)
        if key in settings.keys:
            return key
    return ""
