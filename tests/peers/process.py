"""Start a program, wait until it is ready, and stop it whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from tests.waiting import until

DEADLINE = 20.0  # seconds until a program must be ready, or gone


def need(program: str, package: str) -> str:
    """The path of a program; a failure that names the Debian package where it is missing."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError(f"{program} is missing: apt-get install {package}")
    return found


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A port nobody has now. For programs that cannot be told 0 and asked afterwards."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program in a session of its own, its output in `log`; killed at the end."""
    with await asyncio.to_thread(log.open, "wb") as output:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def udp_bound(port: int) -> None:
    """Wait until somebody has this UDP port on loopback, as the kernel lists it."""
    wanted = f"0100007F:{port:04X}"
    everywhere = f"00000000:{port:04X}"

    async def listed() -> bool:
        table = await asyncio.to_thread(Path("/proc/net/udp").read_text)
        return wanted in table or everywhere in table

    await until(listed, seconds=DEADLINE)
