"""A whole installation under test: a home, the real server process, the real command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.database import Database
from store.models import CallRow, Lead
from tests.waiting import until

TONGDAI = (sys.executable, "-c", "from cli.main import main; main()")
CONFIG = """\
timezone = "Asia/Ho_Chi_Minh"
region = "VN"
drain_seconds = {drain}
[sip]
bind = "127.0.0.1:0"
[rtp]
ports = "{ports}"
[http]
bind = "127.0.0.1:0"
[compliance]
preset = "none"
[[trunk]]
name = "carrier"
host = "127.0.0.1:{port}"
caller_ids = ["+842873000000"]
calls_per_second = {cps}
max_calls = {channels}
qualify = 0
{more}
"""


class Installation:
    """A home and what can be done with it. `log` is what the server has said so far."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.server: asyncio.subprocess.Process | None = None
        self._log = home / "serve.log"

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    async def tongdai(self, *words: str, code: int = 0) -> str:
        """Run a command; its output. AssertionError unless it exits with `code`."""
        process = await asyncio.create_subprocess_exec(
            *TONGDAI, "--home", str(self.home), *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        text = out.decode()
        assert process.returncode == code, (
            f"tongdai {' '.join(words)}: {process.returncode}\n{text}"
        )
        return text

    async def make(self, port: int, **settings: Any) -> None:
        """Make the home, with one trunk that leads to `port`."""
        await self.tongdai("init")
        values = {"drain": 5, "cps": 1000, "channels": 100, "ports": "20000-59999", "more": ""}
        (self.home / "tongdai.toml").write_text(CONFIG.format(port=port, **{**values, **settings}))

    async def campaign(self, numbers: Sequence[str], *options: str, start: bool = True) -> None:
        """Import the numbers and make (and start) the campaign `test`."""
        await self.tongdai("list", "create", "all")
        file = self.home / "numbers.csv"
        file.write_text("phone\n" + "\n".join(numbers) + "\n")
        await self.tongdai("contact", "import", str(file), "--list", "all")
        await self.tongdai(
            "campaign", "create", "test", "--list", "all", "--trunk", "carrier",
            "--message", "A", "--key", "1=interested", "--repeats", "0",
            "--key-timeout", "0.2", *options,
        )  # fmt: skip
        if start:
            await self.tongdai("campaign", "start", "test")

    async def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(
            await self.tongdai("campaign", "status", "test", "--json")
        )
        return status

    @contextlib.asynccontextmanager
    async def serving(self, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the server; killed at the end of the block if it still runs then."""
        with await asyncio.to_thread(self._log.open, "ab") as log:
            process = await asyncio.create_subprocess_exec(
                *TONGDAI, "--home", str(self.home), "serve",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={**os.environ, **environment},
            )  # fmt: skip
        self.server = process
        ready = self.home / "run" / "api-url"
        try:
            await until(
                lambda: ready.exists() or process.returncode is not None,
                seconds=30,
                say=lambda: self.log,
            )
            assert process.returncode is None, self.log
            yield process
        finally:
            await self.kill()

    async def kill(self) -> None:
        """kill -9 the server and its workers, as a power cut would."""
        if self.server is not None and self.server.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.server.pid, signal.SIGKILL)
            await self.server.wait()
        for name in ("api-url", "api-token"):
            (self.home / "run" / name).unlink(missing_ok=True)

    async def finished(self, *, seconds: float = 60) -> None:
        """Wait until the campaign is completed, as the database has it."""
        await until(
            lambda: asyncio.to_thread(self.ask, _completed), seconds=seconds, say=lambda: self.log
        )

    def ask(self, question: Callable[[Session], Any]) -> Any:
        """Ask the database, from outside the server."""
        db = Database.open("sqlite:///tongdai.db", home=self.home)
        try:
            with db.read() as session:
                return question(session)
        finally:
            db.close()

    async def calls(self) -> list[CallRow]:
        """Every call on record."""
        found: list[CallRow] = await asyncio.to_thread(
            self.ask, lambda session: session.scalars(select(CallRow)).all()
        )
        return found

    async def leads(self) -> list[Lead]:
        """Every lead."""
        found: list[Lead] = await asyncio.to_thread(
            self.ask, lambda session: session.scalars(select(Lead)).all()
        )
        return found


def _completed(session: Session) -> bool:
    from store.models import Campaign, CampaignState

    states = session.scalars(select(Campaign.state)).all()
    return bool(states) and all(state == CampaignState.COMPLETED for state in states)
