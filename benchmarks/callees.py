"""Programs that are called beside Tongdai: each answers SIPp and plays a prompt for ever."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path


class Missing(Exception):
    """A program that is not on this machine; the message is for the table."""


@dataclass(frozen=True, slots=True)
class Callee:
    """One that runs: its process, where it listens, and the port it wants to be called from."""

    pid: int
    port: int
    caller_port: int | None = None


Serving = Callable[[Path], AbstractAsyncContextManager[Callee]]
