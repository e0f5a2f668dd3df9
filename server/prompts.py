"""Where a home keeps prepared prompts: `campaign create` prepares them, the server plays them."""

from __future__ import annotations

from pathlib import Path

from ivr.media.prompts import PromptStore


def prompts_of(home: Path) -> PromptStore:
    """The prepared prompts of a home."""
    return PromptStore(home / "prompts" / ".prepared")
