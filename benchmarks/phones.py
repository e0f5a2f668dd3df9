"""The phone that is measured, as the server sets it up, on loopback."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from benchmarks.machine import children
from ivr.call import Call
from ivr.media import tones
from ivr.media.plane import MediaConfig
from ivr.media.prompts import Prompt, PromptStore
from ivr.phone import Phone, PhoneConfig
from ivr.trunk import TrunkConfig
from server.garbage import keep_pauses_short

TRUNK: Final = "carrier"
NUMBER: Final = "+84912345678"
PROMPT_MS: Final = 10_000


@contextlib.asynccontextmanager
async def phone(port: int, *, rate: float, calls: int, workers: int = 1) -> AsyncIterator[Phone]:
    """Run a phone whose trunk is SIPp at `port`, for so many calls at once."""
    trunk = TrunkConfig(TRUNK, "127.0.0.1", port, qualify=0, calls_per_second=rate, max_calls=calls)
    made = Phone(
        PhoneConfig(bind="127.0.0.1:0", max_calls=calls),
        [trunk],
        MediaConfig(bind="127.0.0.1", workers=workers),
    )
    await made.start()
    keep_pauses_short()
    try:
        yield made
    finally:
        await made.close()


def processes() -> list[int]:
    """Return the processes that carry the calls: this one and its media workers."""
    return [os.getpid(), *children(os.getpid(), "ivr.media.worker")]


async def prompt(folder: Path) -> Prompt:
    """Return ten seconds of a tone."""
    return await PromptStore(folder / "prompts").from_pcm("tone", tones.tone(600, ms=PROMPT_MS))


async def play_for_ever(call: Call, what: Prompt) -> None:
    """Play again and again, as a script does that waits for a key that never comes."""
    while True:
        await call.play(what)
