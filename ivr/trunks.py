"""Live trunks: channels and rate (slots), health (OPTIONS), registration.

The rules (numbers, caller IDs, the token bucket) are in `ivr.trunk`; this is the rim that
holds the clock and speaks to the carrier.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import random
import socket
from collections.abc import Coroutine
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from ivr.registration import back_off, granted_expires, longer_expires, refresh_after
from ivr.sip.digest import Credentials
from ivr.sip.endpoint import Response
from ivr.sip.errors import SipError
from ivr.sip.message import Address, SipResponse, SipUri, new_call_id, stringify_address
from ivr.sip.transport import Peer, is_address
from ivr.sip.useragent import UserAgent
from ivr.slots import Channels, Pace, Slot
from ivr.story import printable
from ivr.trunk import TrunkConfig, as_user

log = logging.getLogger(__name__)

QUALIFY_FAILURES = 2  # one lost OPTIONS is not an outage
QUALIFY_PATIENCE = 4.0  # seconds an answer may take; SIP itself would wait for 32 (timer F)


class TrunkState(StrEnum):
    """Whether calls may be sent to a trunk."""

    UP = "up"
    DOWN = "down"  # it does not answer OPTIONS, or registration fails
    FORBIDDEN = "forbidden"  # it refuses us; stays so until a person has it checked


class TrunkDown(Exception):
    """A trunk that takes no calls now, and why."""

    def __init__(self, trunk: str, reason: str) -> None:
        self.trunk = trunk
        self.reason = reason
        super().__init__(f"trunk {trunk} is {reason}")


class _Fault(StrEnum):
    """What can be wrong with a trunk; each is found, and found to be over, by itself."""

    UNKNOWN = "unknown"  # its name has no address
    SILENT = "silent"  # no answer to OPTIONS
    UNREGISTERED = "unregistered"


class Trunk:
    """One carrier: how many calls are up, whether it is alive, and its registration."""

    def __init__(self, config: TrunkConfig, agent: UserAgent) -> None:
        self.config = config
        self.since = datetime.now(UTC)
        self.registered = False
        self.peer = Peer(config.transport, config.host, config.port)
        self.addresses: frozenset[str] = frozenset()
        self.credentials = (
            Credentials(config.username, config.password) if config.username else None
        )
        self._faults: dict[_Fault, str] = {}
        if config.register:  # a carrier refuses calls of those it does not know yet
            self._faults[_Fault.UNREGISTERED] = "not registered yet"
        self._refusal = ""  # why it is forbidden
        self._register_id = new_call_id()  # §10.2: one Call-ID for all of them
        self._agent = agent
        self._networks = [ipaddress.ip_network(entry, strict=False) for entry in config.allow]
        self._channels = Channels(config.max_calls)
        self._pace = Pace(config.calls_per_second)
        self._failures = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Resolve the host and begin to watch and to register, as configured."""
        await self._resolve()
        if self.config.qualify:
            self._keep("OPTIONS", self._watch())
        elif not self.addresses:
            self._keep("name", self._find())
        if self.config.register:
            self._keep("REGISTER", self._stay_registered())

    async def close(self) -> None:
        """Stop watching; unregister where registered, without waiting long for an answer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self.registered:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._register(0), 2.0)
            self.registered = False

    def _keep(self, what: str, loop: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(loop, name=f"trunk {self.config.name}: {what}")
        task.add_done_callback(_log_failure)
        self._tasks.append(task)

    async def _resolve(self) -> None:
        """Find its addresses, or what has become of them; the one in use stays while it is one."""
        host, port = self.config.host, self.config.port
        if is_address(host):
            self.addresses = frozenset({host})
            return
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, family=socket.AF_INET)
        except (OSError, UnicodeError) as error:
            if not self.addresses:
                why = getattr(error, "strerror", None) or error
                self._note(_Fault.UNKNOWN, f"cannot resolve {host}: {why}")
            return
        self.addresses = frozenset(str(sockaddr[0]) for *_, sockaddr in found)
        if self.peer.host not in self.addresses:
            self.peer = Peer(self.config.transport, str(found[0][4][0]), port)
        self._note(_Fault.UNKNOWN, "")

    async def _find(self) -> None:
        """A name that was not known at the start may be known later."""
        failures = 0
        while not self.addresses:
            failures += 1
            await asyncio.sleep(back_off(failures, random.random()))
            await self._resolve()

    # -- slots ---------------------------------------------------------------------------

    async def acquire(self) -> Slot:
        """Wait for a free channel and for the rate, in the order of asking.

        Raises TrunkDown where the trunk takes no calls, now or when its turn has come.
        """
        self.require_up()
        await self._channels.take()
        try:
            await self._pace.take()
            self.require_up()
        except BaseException:
            self._channels.give_back()
            raise
        return self._slot()

    def try_acquire(self) -> Slot | None:
        """A slot at once, or None where the trunk is down, full or at its rate."""
        if self.state is not TrunkState.UP or not self._channels.try_take():
            return None
        if not self._pace.try_take():
            self._channels.give_back()
            return None
        return self._slot()

    def try_channel(self) -> Slot | None:
        """A channel for an incoming call, or None where all are in use: its rate is theirs."""
        return self._slot() if self._channels.try_take() else None

    def require_up(self) -> None:
        """Raise TrunkDown unless calls may be sent."""
        if self.state is not TrunkState.UP:
            raise TrunkDown(self.config.name, f"{self.state}: {self.reason}")

    @property
    def calls(self) -> int:
        """How many channels are in use."""
        return self._channels.in_use

    def _slot(self) -> Slot:
        return Slot(self.config.name, self.config.caller_ids, self._channels.give_back)

    # -- health --------------------------------------------------------------------------

    @property
    def state(self) -> TrunkState:
        """Whether calls may be sent."""
        if self._refusal:
            return TrunkState.FORBIDDEN
        return TrunkState.DOWN if self._faults else TrunkState.UP

    @property
    def reason(self) -> str:
        """Why they may not; empty while it is up."""
        return self._refusal or next(iter(self._faults.values()), "")

    def forbid(self, reason: str) -> None:
        """Stop sending calls: the carrier refuses us. Only `check` ends it."""
        log.error(
            "trunk %s is stopped: %s. Mend the account, then: tongdai trunk check %s",
            self.config.name, reason, self.config.name,
        )  # fmt: skip
        before, self._refusal = self.state, reason
        self._changed(before)

    async def check(self) -> str:
        """Ask the carrier now (REGISTER where configured, then OPTIONS); return what it said.

        A person asking ends `forbidden` if the carrier answers.
        """
        if self.config.register:
            granted, said = await self._register(self.config.register_expires)
            if not granted:
                return said
        said = await self._ask_options()
        if not self._failures:
            self._note(_Fault.SILENT, "")
            before, self._refusal = self.state, ""
            self._changed(before)
        return said

    def accepts_from(self, host: str) -> bool:
        """Whether an incoming request from this address is this carrier's."""
        if host in self.addresses:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _note(self, fault: _Fault, reason: str) -> None:
        """Something is wrong, or (no reason) no longer."""
        before = self.state
        if reason:
            self._faults[fault] = reason
        else:
            self._faults.pop(fault, None)
        self._changed(before)

    def _changed(self, before: TrunkState) -> None:
        state, reason = self.state, self.reason
        if state is not before:
            self.since = datetime.now(UTC)
            log.log(
                logging.INFO if state is TrunkState.UP else logging.WARNING,
                "trunk %s is %s%s", self.config.name, state, reason and f": {reason}",
            )  # fmt: skip

    async def _watch(self) -> None:
        while True:
            await self._resolve()
            await self._ask_options()
            if not self._failures:
                self._note(_Fault.SILENT, "")
            elif self._failures >= QUALIFY_FAILURES:
                self._note(_Fault.SILENT, f"{self.peer} does not answer OPTIONS")
            # Ask sooner while it is in doubt, so that an outage is known within seconds.
            doubtful = min(self.config.qualify, QUALIFY_PATIENCE)
            await asyncio.sleep(doubtful if self._failures else self.config.qualify)

    async def _ask_options(self) -> str:
        """Any answer at all shows the carrier alive, even 405 (RFC 3261 §11)."""
        patience = min(self.config.qualify or QUALIFY_PATIENCE, QUALIFY_PATIENCE)
        try:
            async with asyncio.timeout(patience):
                response = await self._send("OPTIONS", f"sip:{self._authority()}")
        except TimeoutError:
            response = None
        except SipError as error:
            self._failures += 1
            return str(error)
        if response is None or response.source is None:
            self._failures += 1
            return f"no answer from {self.peer} to OPTIONS"
        self._failures = 0
        return _said(response.message)

    # -- registration --------------------------------------------------------------------

    async def _stay_registered(self) -> None:
        failures = 0
        while True:
            granted, _ = await self._register(self.config.register_expires)
            if granted:
                failures = 0
                await asyncio.sleep(refresh_after(granted))
            else:
                failures += 1
                await asyncio.sleep(back_off(failures, random.random()))
                await self._resolve()

    async def _register(self, expires: int) -> tuple[int, str]:
        """Register for so many seconds: those granted (0: none), and what was said."""
        try:
            granted, said = await self._bind(expires)
        except SipError as error:
            granted, said = 0, str(error)
        self.registered = granted > 0
        if expires:
            self._note(_Fault.UNREGISTERED, "" if granted else f"registration failed: {said}")
        return granted, said

    async def _bind(self, expires: int) -> tuple[int, str]:
        """REGISTER (RFC 3261 §10.2), again for longer where that is too short. Raises SipError."""
        response = (await self._send_register(expires)).message
        longer = longer_expires(response, expires) if expires else None
        if longer is not None:
            response = (await self._send_register(longer)).message
        if not 200 <= response.status_code < 300:
            return 0, _said(response)
        return granted_expires(response, self._contact(), default=expires), _said(response)

    async def _send_register(self, expires: int) -> Response:
        contact = stringify_address(Address(uri=self._contact()))
        return await self._send(
            "REGISTER",
            f"sip:{self._authority()}",
            headers=[("Contact", contact), ("Expires", str(expires))],
            call_id=self._register_id,
        )

    # -- requests outside calls ----------------------------------------------------------

    async def _send(
        self,
        method: str,
        uri: str,
        headers: list[tuple[str, str]] | None = None,
        call_id: str | None = None,
    ) -> Response:
        ours = Address(uri=SipUri(user=as_user(self.user), host=self.config.host))
        theirs = ours if method == "REGISTER" else Address(uri=SipUri(host=self.config.host))
        return await self._agent.request(
            method,
            uri=uri,
            to=self.peer,
            from_=ours,
            to_addr=theirs,
            headers=headers or [],
            credentials=self.credentials,
            call_id=call_id,
        )

    @property
    def user(self) -> str:
        """The user part of who we are to this carrier."""
        return self.config.username or "tongdai"

    def uri(self, user: str) -> str:
        """The Request-URI of a number at this carrier."""
        return f"sip:{as_user(user)}@{self._authority()}"

    def _authority(self) -> str:
        port = "" if self.config.port == 5060 else f":{self.config.port}"
        transport = "" if self.config.transport == "udp" else f";transport={self.config.transport}"
        return f"{self.config.host}{port}{transport}"

    def _contact(self) -> SipUri:
        host, port = self._agent.endpoint.advertised(self.peer)
        params: dict[str, str | None] = (
            {} if self.config.transport == "udp" else {"transport": self.config.transport}
        )
        return SipUri(user=as_user(self.user), host=host, port=port, params=params)


def _log_failure(task: asyncio.Task[None]) -> None:
    """A watch that ends by a fault of ours must not end unseen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s has ended", task.get_name(), exc_info=error)


def _said(response: SipResponse) -> str:
    return printable(f"{response.status_code} {response.reason_phrase}")
