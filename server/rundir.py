"""HOME/run: one server a home, and how the command line finds and proves itself to it.

run/lock        held by the server that runs; its text is the process id
run/api-token   a random bearer token, made anew at each start, readable by this user alone
run/api-url     where the API listens
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import IO

LOCK, TOKEN, URL = "lock", "api-token", "api-url"


class ServerError(Exception):
    """The base of everything the server raises on purpose."""


class AlreadyRunning(ServerError):
    """Another server runs on this home."""


class RunDir:
    """The folder, locked by this process. A context manager; leaving it removes what it wrote."""

    def __init__(self, home: Path) -> None:
        self.path = home / "run"
        self.token = secrets.token_urlsafe(32)
        self._lock: IO[str] | None = None

    def __enter__(self) -> RunDir:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self.path / LOCK).open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip()
            lock.close()
            raise AlreadyRunning(
                f"A Tongdai server (process {pid}) runs on {self.path.parent} already: stop it "
                "first, or name another folder with --home."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock
        return self

    def __exit__(self, *_: object) -> None:
        for name in (TOKEN, URL):
            (self.path / name).unlink(missing_ok=True)
        assert self._lock is not None
        # The lock file stays: removing it would let two processes lock two different files.
        self._lock.truncate(0)
        self._lock.close()

    def announce(self, url: str) -> None:
        """Let the command line find the API: write its token and its address."""
        write_private(self.path / TOKEN, self.token)
        write_private(self.path / URL, url)


def write_private(path: Path, text: str) -> None:
    """Write a file only this user can read; it appears whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
