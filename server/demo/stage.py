"""Running the demonstration's processes and commands, and leaving none of them behind."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from server.client import Client, ServerNotRunning
from server.rundir import ServerError

READY_WITHIN = 20.0  # seconds for a process to say that it is ready
ENDED_WITHIN = 15.0  # seconds for it to end when it is told to
TONGDAI = [sys.executable, "-c", "from cli.main import main; main()"]


class DemoFailed(ServerError):
    """The demonstration could not be run; the message says what went wrong and where to look."""


class Stage:
    """A context manager: whatever was started in it has ended when it is left.

    That holds for Ctrl-C and SIGTERM too. Each process has a session of its own, so that Ctrl-C
    reaches this one alone, which then ends the others in the right order. The log of each is
    HOME/demo/NAME.log.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._logs = home / "demo"
        self._started = ExitStack()

    def __enter__(self) -> Stage:
        self._logs.mkdir(parents=True, exist_ok=True)
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        self._started.callback(signal.signal, signal.SIGTERM, before)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._started.close()

    def tongdai(self, *words: str) -> None:
        """Run a command of Tongdai's on the home, here in this terminal. Raises DemoFailed."""
        command = [*TONGDAI, "--home", str(self._home), *words]
        code = subprocess.run(command, check=False).returncode  # noqa: S603  our own program
        if code:
            raise DemoFailed(f"`tongdai {' '.join(words[:2])} …` failed ({code}), see above.")

    def helper(self, module: str, orders: str) -> str:
        """Start one of our own modules with its orders; return the line that says it is ready.

        It ends when its standard input does: with this process at the latest.
        """
        name = module.rpartition(".")[2]
        process = self._start(name, [sys.executable, "-m", module], stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(orders + "\n")
        process.stdin.flush()
        assert process.stdout is not None
        return self._first_line(process, process.stdout, name)

    def serve(self) -> None:
        """Start `tongdai serve` and wait until it answers."""
        process = self._start("serve", [*TONGDAI, "--home", str(self._home), "serve"])
        client = Client(self._home)
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise self._failed("serve", "ended at once")
            try:
                client.health()
            except ServerNotRunning:
                time.sleep(0.1)
            else:
                return
        raise self._failed("serve", f"does not answer after {READY_WITHIN:g} seconds")

    def end(self) -> None:
        """End everything that was started, the last first, and wait for it."""
        self._started.close()

    def _start(
        self, name: str, command: Sequence[str], stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        log = self._started.enter_context(self._log(name).open("a", encoding="utf-8"))
        process = subprocess.Popen(  # noqa: S603  our own program
            command,
            stdin=stdin,
            stdout=subprocess.PIPE if stdin == subprocess.PIPE else log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        self._started.callback(_end, process)
        return process

    def _first_line(self, process: subprocess.Popen[str], out: IO[str], name: str) -> str:
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=lambda: lines.put(out.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=READY_WITHIN).strip()
        except queue.Empty:
            raise self._failed(name, f"is not ready after {READY_WITHIN:g} seconds") from None
        if not line:
            raise self._failed(name, f"ended at once ({process.wait()})")
        return line

    def _failed(self, name: str, what: str) -> DemoFailed:
        return DemoFailed(f"The process {name} {what}: see {self._log(name)}.")

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _end(process: subprocess.Popen[str]) -> None:
    """End a process: by closing what it reads from, else by SIGTERM, else at last by force."""
    if process.stdin is not None:
        process.stdin.close()
    else:
        process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDED_WITHIN)
    finally:  # an impatient second Ctrl-C comes by here too
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
