"""What the dialler needs of the phone, the prompts and the recorder, and nothing more.

`ivr.phone.Phone` and `ivr.media.prompts.PromptStore` fit; so do the fakes of the tests.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from ivr.media.prompts import Prompt
from ivr.slots import Slot
from ivr.story import CallStory, OnStory


class Call(Protocol):
    """An answered call, as its script sees it."""

    story: CallStory

    async def play(self, prompt: Prompt, *, barge_in: bool = True) -> str:
        """Play to the end or to the first key, which stays typed; returns that key or ""."""

    async def collect(self, *, max_digits: int = 1, timeout: float = 5.0) -> str:
        """The keys typed, waiting `timeout` seconds for each."""

    async def detect_machine(self) -> str:
        """Who answered: human, machine, fax or notsure."""

    async def record(self, path: Path) -> None:
        """Record from now to the end."""


Script = Callable[[Call], Awaitable[None]]


class RunningCall(Call, Protocol):
    """An answered call, as the dialler sees it."""

    async def run(self, script: Script) -> CallStory:
        """Run a script to its end or the hang-up; then the story is whole."""


class Phone(Protocol):
    """What makes calls."""

    async def reserve(self, trunk: str) -> Slot:
        """Wait for a channel and for the rate. Raises `ivr.trunks.TrunkDown`."""

    async def dial(
        self,
        number: str,
        *,
        slot: Slot,
        caller_id: str,
        ring_timeout: float,
        call_id: uuid.UUID,
        on_event: OnStory,
    ) -> RunningCall:
        """The answered call. Raises `ivr.story.CallFailed`; cancelling it ends the call."""


class Prompts(Protocol):
    """What prepares what is played."""

    async def load(self, path: Path) -> Prompt:
        """Prepare a sound file."""

    async def say(self, text: str, language: str = "vi") -> Prompt:
        """Prepare a spoken text."""
