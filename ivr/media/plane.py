"""The media plane: the server's handle on worker processes, RTP ports and sessions."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ivr.media import protocol
from ivr.media.crew import START_TIMEOUT, MediaWorker
from ivr.media.errors import PlaneDown
from ivr.media.lateness import percentile_ms
from ivr.media.ports import PortPool
from ivr.media.session import MediaSession, PortTaken

log = logging.getLogger(__name__)

_FIRST_BACK_OFF: Final = 0.1  # seconds before a dead worker is replaced, doubled while it fails
_LONGEST_BACK_OFF: Final = 5.0
_ATTEMPTS: Final = 3  # workers that may die while they open the same session
_ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - compared with, never bound here
_PUBLIC: Final = "192.0.2.1"  # RFC 5737: an address of the Internet that nothing is ever sent to


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """Where media flows. An empty range of ports means any the system gives."""

    bind: str = "0.0.0.0"  # noqa: S104 - RTP comes from anywhere; an IPv4 address of this machine
    ports: range = range(20000, 30000)  # the even ones are used
    external_address: str = ""  # what peers are told, behind NAT
    workers: int = 1
    recordings: Path = Path()  # relative paths of recordings are under this folder
    rtp_timeout: float = 60.0  # seconds without RTP until RtpStopped; 0: never
    quarantine: float = 10.0  # seconds a port rests between two calls


@dataclass(frozen=True, slots=True)
class PlaneStats:
    """The state of the plane, for health checks and metrics."""

    workers: int  # that run
    replaced: int  # that have died since the start
    sessions: int
    ports_in_use: int
    late_ms: float  # 99 % of all pump wake-ups came within this
    latest_ms: float  # the worst one


class MediaPlane:
    """Starts the workers, keeps them running, and opens sessions on the least loaded."""

    def __init__(self, config: MediaConfig) -> None:
        self._config = config
        self._ports = PortPool(config.ports, config.quarantine)
        self._workers: list[MediaWorker] = []  # those that run
        self._keepers: list[asyncio.Task[None]] = []
        self._any = asyncio.Event()  # set while there is a worker
        self._numbers = itertools.count(1)
        self._replaced = 0

    async def start(self) -> None:
        """Start all workers. Raises PlaneDown when one does not get ready."""
        starts = [MediaWorker.start(self._take) for _ in range(self._config.workers)]
        results = await asyncio.gather(*starts, return_exceptions=True)
        workers = [worker for worker in results if isinstance(worker, MediaWorker)]
        failures = [error for error in results if isinstance(error, BaseException)]
        if failures:
            await asyncio.gather(*(worker.stop() for worker in workers))
            raise failures[0]
        for worker in workers:
            self._employ(worker)
            self._keepers.append(asyncio.create_task(self._keep(worker)))

    async def close(self) -> None:
        """End all sessions and workers; returns when recordings are on disk and ports free."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()
        workers, self._workers = self._workers, []
        self._any.clear()
        await asyncio.gather(*(worker.stop() for worker in workers))
        for worker in workers:
            self._bury(worker, "the media plane is closed")

    async def open(
        self, *, call_id: str, near: MediaSession | None = None, toward: str = ""
    ) -> MediaSession:
        """Return a session with a port of its own, in the worker of `near` if that still runs.

        `toward` is the peer's host: it decides which of this machine's addresses the SDP should
        name when the plane is bound to all. Raises PortsExhausted, PlaneDown, and MediaError when
        the configured address cannot be bound.
        """
        host = self._advertised(toward)
        lost = 0
        while True:
            worker = await self._choose(near)
            session = self._order(worker, call_id, host)
            try:
                await session.opened()
            except PortTaken as taken:
                log.warning("%s Another port is tried.", taken)
            except PlaneDown:
                lost += 1
                if lost >= _ATTEMPTS:
                    raise
            else:
                return session

    def stats(self) -> PlaneStats:
        """Return the state of the plane; pulses of the workers keep it fresh to the second."""
        late = [sum(bucket) for bucket in zip(*(w.late for w in self._workers), strict=True)]
        return PlaneStats(
            workers=len(self._workers),
            replaced=self._replaced,
            sessions=sum(len(worker.sessions) for worker in self._workers),
            ports_in_use=self._ports.in_use,
            late_ms=percentile_ms(late, 0.99),
            latest_ms=max((worker.latest_ms for worker in self._workers), default=0.0),
        )

    def _order(self, worker: MediaWorker, call_id: str, host: str) -> MediaSession:
        """Have the worker open a session at the next free port."""
        config = self._config
        port = self._ports.take(_now())
        session = MediaSession(
            next(self._numbers),
            worker,
            call_id=call_id,
            host=host,
            port=port,
            recordings=config.recordings,
        )
        worker.send(protocol.Open(session.number, config.bind, port, config.rtp_timeout))
        return session

    def _advertised(self, toward: str) -> str:
        if self._config.external_address:
            return self._config.external_address
        if self._config.bind != _ANYWHERE:
            return self._config.bind
        return _local_address_towards(toward or _PUBLIC)

    async def _choose(self, near: MediaSession | None) -> MediaWorker:
        if near and near.worker in self._workers:
            return near.worker
        if not self._keepers:
            raise PlaneDown("The media plane is not running; start it before calls are made.")
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._any.wait()
        except TimeoutError as error:
            raise PlaneDown(
                "No media worker runs and none could be started; the log says why."
            ) from error
        return min(self._workers, key=lambda worker: len(worker.sessions))

    def _employ(self, worker: MediaWorker) -> None:
        self._workers.append(worker)
        self._any.set()

    async def _keep(self, worker: MediaWorker) -> None:
        """Attend to a worker, and to its successors after it."""
        while True:
            how = await worker.attend()
            self._workers.remove(worker)
            if not self._workers:
                self._any.clear()
            self._replaced += 1
            log.error("%s: its %d calls have lost their media", how, len(worker.sessions))
            self._bury(worker, how)
            worker = await self._replace()
            self._employ(worker)

    async def _replace(self) -> MediaWorker:
        back_off = _FIRST_BACK_OFF
        while True:
            try:
                return await MediaWorker.start(self._take)
            except PlaneDown as error:
                log.error("%s The next attempt is in %g s.", error, back_off)
            await asyncio.sleep(back_off)
            back_off = min(2 * back_off, _LONGEST_BACK_OFF)

    def _bury(self, worker: MediaWorker, reason: str) -> None:
        """Tell the sessions of a worker that it is gone, and take their ports back."""
        for session in list(worker.sessions.values()):
            self._forget(session)
            session.lose(reason)

    def _take(self, worker: MediaWorker, notice: protocol.SessionNotice) -> None:
        session = worker.sessions.get(notice.session)
        if session is None:
            return
        if isinstance(notice, protocol.Closed | protocol.Refused):
            self._forget(session)
        session.take(notice)

    def _forget(self, session: MediaSession) -> None:
        del session.worker.sessions[session.number]
        self._ports.give_back(session.port, _now())


def _now() -> float:
    return asyncio.get_running_loop().time()


def _local_address_towards(host: str) -> str:
    """Return the address of this machine that packets to a host would leave from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect((host, 9))
        except OSError:
            return "127.0.0.1"  # a machine without a network
        address: str = probe.getsockname()[0]
        return address
