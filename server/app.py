"""The server process: what starts in which order, and how it stops.

One signal (SIGTERM or SIGINT) stops dialling, lets calls end for `drain_seconds`, stores every
result and exits with 0. A second one hangs up what is still up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web
from sqlalchemy import make_url

from campaigns.dialler import Dialler, node_name
from ivr.phone import Phone
from ivr.sip.errors import TransportError
from recordings import catalogue
from server.config import Config
from server.garbage import keep_pauses_short
from server.http import make_app
from server.inbound import InboundRecord
from server.metrics import Metrics
from server.rundir import RunDir, ServerError
from server.telephony import Telephony, make_dialler, make_phone
from store.database import Database

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class CannotListen(ServerError):
    """An address of the configuration cannot be listened on."""


class Server:
    """A running server. `url` is where its API listens once `start` has returned."""

    def __init__(
        self,
        config: Config,
        home: Path,
        *,
        trace_sip: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.config, self.home = config, home.absolute()
        self.url = ""
        self._trace, self._environment = trace_sip, environment
        self._parts = AsyncExitStack()
        self._hurry = asyncio.Event()
        self.phone: Phone
        self.telephony: Telephony
        self._dialler: Dialler

    async def start(self) -> None:
        """Start everything, or nothing.

        Raises AlreadyRunning, CannotListen, StoreError, ConfigError, MediaError.
        """
        async with AsyncExitStack() as parts:
            run = await parts.enter_async_context(self._home())
            db = await parts.enter_async_context(self._database())
            phone = self.phone = make_phone(
                self.config, self.home, trace=self._trace, environment=self._environment
            )
            node = await asyncio.to_thread(node_name, self.home)
            self._dialler = make_dialler(self.config, self.home, db, phone, node=node)
            metrics = Metrics()
            inbound = InboundRecord(db, self._dialler.owner)
            await parts.enter_async_context(inbound.keeping())  # until the last call has ended
            self.telephony = Telephony(db, phone, self._dialler, metrics, inbound)
            await parts.enter_async_context(_listening(phone))
            app = make_app(self.telephony, run.token, metrics.registry)
            self.url = await parts.enter_async_context(self._http(app))
            await self._dialler.start()
            await asyncio.to_thread(run.announce, self.url)
            self._parts = parts.pop_all()
        log.info("listening for SIP on %s, for HTTP on %s", phone.endpoint.local, self.url)
        if self.config.inbound:
            log.warning("[[inbound]] is not used by this version: incoming calls get 480")

    async def stop(self) -> None:
        """Stop dialling, let calls end, store what they came to, close everything."""
        self.telephony.stopping = True
        try:
            await self._dialler.drain(self.config.drain_seconds, hurry=self._hurry)
        finally:
            await self._parts.aclose()
        log.info("stopped")

    def hang_up(self) -> None:
        """Do not wait any longer for calls to end."""
        self._hurry.set()

    @asynccontextmanager
    async def _home(self) -> AsyncIterator[RunDir]:
        run = RunDir(self.home)
        await asyncio.to_thread(run.__enter__)
        try:
            yield run
        finally:
            await asyncio.to_thread(run.__exit__)

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        url, home = self.config.database, self.home
        db = await asyncio.to_thread(Database.open, url, home=home, migrate=True)
        try:
            root = home / "recordings"
            await db.run(lambda session: catalogue.reconcile(session, root))
            yield db
        finally:
            await asyncio.to_thread(db.close)

    @asynccontextmanager
    async def _http(self, app: web.Application) -> AsyncIterator[str]:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        bind = self.config.http.bind
        try:
            site = web.TCPSite(runner, bind.host, bind.port)
            try:
                await site.start()
            except OSError as error:
                said = f"HTTP cannot listen on {bind}: {os.strerror(error.errno or 0)}."
                raise _cannot_listen("[http] bind", said) from error
            host, port = runner.addresses[0][:2]
            yield f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104  compared with
        finally:
            await runner.cleanup()


@asynccontextmanager
async def _listening(phone: Phone) -> AsyncIterator[None]:
    try:
        try:
            await phone.start()
        except TransportError as error:
            raise _cannot_listen("[sip] bind", str(error)) from error
        yield
    finally:
        await phone.close()


def _cannot_listen(key: str, said: str) -> CannotListen:
    return CannotListen(
        f"tongdai.toml: {key}: {said} Stop the program that has that port, or choose another."
    )


async def serve(config: Config, home: Path, *, trace_sip: bool = False) -> None:
    """Run a server until SIGTERM or SIGINT; returns when everything is stored and closed."""
    server = Server(config, home, trace_sip=trace_sip)
    told = asyncio.Event()

    def on_signal() -> None:
        if told.is_set():
            server.hang_up()
        else:
            log.info("stopping; a second signal hangs up the calls that are still up")
            told.set()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:  # before the start: a signal during it must not leave half of it behind
        loop.add_signal_handler(number, on_signal)
    await server.start()
    keep_pauses_short()
    await told.wait()
    await server.stop()


def secrets_of(config: Config, environment: Mapping[str, str] = os.environ) -> set[str]:
    """Everything that must never be logged."""
    found = set()
    for account in (*config.trunks, *config.users):
        found.add(account.secret(environment))
    found.add(make_url(config.database).password or "")
    return found - {""}
