"""SIPp, with a scenario of ours, as the far side of a test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.peers.process import free_port, need, running, udp_bound

SCENARIOS = Path(__file__).parent / "scenarios"
LIMIT = 60  # seconds; SIPp ends itself then


@dataclass
class Sipp:
    """A SIPp that runs. `done` waits for it: 0 means that every call went as its file says."""

    port: int
    process: asyncio.subprocess.Process
    log: Path
    errors: Path

    async def done(self) -> None:
        """Wait for its end; AssertionError with what it complained of, unless all went well."""
        code = await self.process.wait()
        if code:
            said = self.errors.read_text(errors="replace") if self.errors.exists() else ""
            raise AssertionError(f"SIPp ended with {code}: {said or self.log.read_text()[-3000:]}")


@contextlib.asynccontextmanager
async def sipp(
    scenario: Path,
    folder: Path,
    *,
    target: tuple[str, int] | None = None,
    calls: int = 1,
    keys: Mapping[str, str] | None = None,
    extra: tuple[str, ...] = (),
) -> AsyncIterator[Sipp]:
    """Run a scenario for so many calls: the caller where `target` is given, else the called."""
    port = free_port()
    errors = folder / f"{scenario.stem}-{port}.errors"
    command = [
        need("sipp", "sip-tester"), "-sf", scenario, "-i", "127.0.0.1", "-p", str(port),
        "-m", str(calls), "-nostdin", "-timeout", str(LIMIT), "-timeout_error",
        "-trace_err", "-error_file", errors,
    ]  # fmt: skip
    for key, value in (keys or {}).items():
        command += ["-key", key, value]
    command += extra
    if target is not None:
        command.append(f"{target[0]}:{target[1]}")
    log = folder / f"{scenario.stem}-{port}.log"
    async with running(command, log=log, cwd=folder) as process:
        if target is None:
            await udp_bound(port)
        yield Sipp(port, process, log, errors)
