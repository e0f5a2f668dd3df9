"""Prompts: sound prepared once, as raw G.711 in both laws, for the workers to map and send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ivr.media.g711 import Law


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prepared prompt: raw G.711 files of whole 160-byte frames, padded with silence."""

    name: str
    files: Mapping[Law, Path]  # by law, "PCMA" and "PCMU"
    frames: int  # of 20 ms

    @property
    def seconds(self) -> float:
        """Return how long it plays."""
        return self.frames * 0.02
