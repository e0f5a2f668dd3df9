"""One media worker as the server sees it: a process, a socket, and its sessions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ivr.media.errors import PlaneDown
from ivr.media.lateness import BOUNDS_MS
from ivr.media.protocol import Command, Pulse, Ready, SessionNotice, decode, encode

if TYPE_CHECKING:
    from ivr.media.session import MediaSession

log = logging.getLogger(__name__)

START_TIMEOUT: Final = 20.0  # seconds a worker may take to import what it needs and get ready
LAST_BREATH: Final = 1.0  # seconds a worker that has closed its socket may take to be gone
EXIT_TIMEOUT: Final = 10.0  # seconds it may take to finish its recordings
PULSE_CHECK: Final = 2.0  # seconds between two looks at whether a worker still beats
MISSED_PULSES: Final = 5  # looks without a pulse after which a worker is taken for stuck


class MediaWorker:
    """A running worker process. Make one with `start`.

    `on_notice` is told everything the worker says but its pulse.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        rim: int,
        on_notice: Callable[[MediaWorker, SessionNotice], None],
    ) -> None:
        self.process = process
        self.rim = rim
        self.sessions: dict[int, MediaSession] = {}
        self.late = [0] * (len(BOUNDS_MS) + 1)  # wake-ups of its pump, as `Pulse` has them
        self.latest_ms = 0.0
        self._reader = reader
        self._writer = writer
        self._on_notice = on_notice
        self._unseen = 0  # looks since the last pulse

    @classmethod
    async def start(cls, on_notice: Callable[[MediaWorker, SessionNotice], None]) -> MediaWorker:
        """Start a worker process and wait until it is ready. Raises PlaneDown."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            with theirs:
                process = await _spawn(theirs.fileno())
        except BaseException:
            writer.close()
            raise
        try:
            async with asyncio.timeout(START_TIMEOUT):
                ready = decode(await reader.readuntil())
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
            await _end(process, writer, LAST_BREATH)
            raise PlaneDown(_why_not_started(process, error)) from error
        except BaseException:
            await _end(process, writer, LAST_BREATH)
            raise
        assert isinstance(ready, Ready)
        return cls(process, reader, writer, ready.rim, on_notice)

    def send(self, command: Command) -> None:
        """Tell the worker to do something; a dead one does nothing."""
        if not self._writer.is_closing():
            self._writer.write(encode(command))

    async def attend(self) -> str:
        """Pass notices on until the worker is gone; return how it ended, as a sentence.

        When cancelled it leaves the worker as it is: use `stop`.
        """
        watch = asyncio.create_task(self._watch())
        try:
            while line := await self._reader.readline():
                notice = decode(line)
                if isinstance(notice, Pulse):
                    self._unseen, self.late, self.latest_ms = 0, notice.late, notice.latest_ms
                else:
                    self._on_notice(self, notice)
        except ConnectionError:
            log.debug("The connection to media worker %d broke", self.process.pid)
        finally:
            watch.cancel()
        await _end(self.process, self._writer, LAST_BREATH)
        return f"Media worker {self.process.pid} ended with status {self.process.returncode}"

    async def stop(self) -> None:
        """Let the worker finish its recordings and exit; after EXIT_TIMEOUT without mercy."""
        await _end(self.process, self._writer, EXIT_TIMEOUT)

    async def _watch(self) -> None:
        """Kill the process when it has stopped to beat: a stuck worker is worse than a dead one."""
        while self._unseen < MISSED_PULSES:
            await asyncio.sleep(PULSE_CHECK)
            self._unseen += 1
        log.error("Media worker %d does not respond and is killed", self.process.pid)
        _kill(self.process)


async def _spawn(descriptor: int) -> asyncio.subprocess.Process:
    """Start the interpreter on the worker's end of the socket."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing in the folder that the server runs in may pass for a module
        "-m",
        "ivr.media.worker",
        str(descriptor),
        pass_fds=[descriptor],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # frames are too small to share out
    )


async def _end(
    process: asyncio.subprocess.Process, writer: asyncio.StreamWriter, patience: float
) -> None:
    """Close the socket, which ends the worker, and wait; kill it when `patience` is at its end."""
    writer.close()
    try:
        async with asyncio.timeout(patience):
            await process.wait()
    except TimeoutError:
        _kill(process)
        await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _why_not_started(process: asyncio.subprocess.Process, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return (
            f"A media worker was not ready within {START_TIMEOUT:g} s; is the machine overloaded?"
        )
    return (
        f"A media worker ended with status {process.returncode} before it was ready; "
        "what it wrote to the standard error above says why."
    )
