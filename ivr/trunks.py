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
from datetime import UTC, datetime
from enum import StrEnum

from ivr.sip.digest import Credentials
from ivr.sip.endpoint import Response
from ivr.sip.message import Address, SipResponse, SipUri, stringify_uri
from ivr.sip.transport import Peer
from ivr.sip.useragent import UserAgent
from ivr.slots import Channels, Pace, Slot
from ivr.trunk import TrunkConfig

log = logging.getLogger(__name__)

QUALIFY_FAILURES = 2  # one lost OPTIONS is not an outage
QUALIFY_PATIENCE = 4.0  # seconds an answer may take; SIP itself would wait for 32 (timer F)
REFRESH_AT = 0.75  # of the registration's life
RETRY_FIRST, RETRY_MOST = 5.0, 600.0  # seconds between failed REGISTERs, doubling
NOT_REGISTERED = "registration failed"


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


def back_off(failures: int, chance: float) -> float:
    """Seconds until the next REGISTER after so many failures; `chance` in [0, 1) spreads them.

    Doubling with a random half, as RFC 5626 §4.5 has it, so that a carrier coming back is not
    met by all its customers in one second.
    """
    most = min(RETRY_MOST, RETRY_FIRST * 2.0 ** min(failures - 1, 20))
    return most * (0.5 + chance / 2)


def granted_expires(response: SipResponse, *, default: int) -> int:
    """The seconds a 200 to REGISTER grants: the Contact's `expires`, else the header's."""
    for contact in response.contact:
        value = contact.params.get("expires")
        if value and value.isdigit():
            return int(value)
    value = response.get_header("Expires")
    return int(value) if value and value.isdigit() else default


class Trunk:
    """One carrier: how many calls are up, whether it is alive, and its registration."""

    def __init__(self, config: TrunkConfig, agent: UserAgent) -> None:
        self.config = config
        self.state = TrunkState.UP
        self.reason = ""
        self.since = datetime.now(UTC)
        self.registered = False
        self.peer = Peer(config.transport, config.host, config.port)
        self.addresses: frozenset[str] = frozenset()
        self.credentials = (
            Credentials(config.username, config.password) if config.username else None
        )
        self._agent = agent
        self._networks = [ipaddress.ip_network(entry, strict=False) for entry in config.allow]
        self._channels = Channels(config.max_calls)
        self._pace = Pace(config.calls_per_second)
        self._failures = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Resolve the host and begin to watch and to register, as configured."""
        await self._resolve()
        name = self.config.name
        if self.config.qualify:
            self._tasks.append(asyncio.create_task(self._watch(), name=f"{name}: OPTIONS"))
        if self.config.register:
            self._tasks.append(
                asyncio.create_task(self._stay_registered(), name=f"{name}: REGISTER")
            )

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

    async def _resolve(self) -> None:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                self.config.host, self.config.port, family=socket.AF_INET
            )
        except OSError as error:
            self._move(TrunkState.DOWN, f"cannot resolve {self.config.host}: {error.strerror}")
            return
        self.addresses = frozenset(str(sockaddr[0]) for *_, sockaddr in found)
        host = str(found[0][4][0])
        self.peer = Peer(self.config.transport, host, self.config.port)

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

    def forbid(self, reason: str) -> None:
        """Stop sending calls: the carrier refuses us. Only `check` ends it."""
        log.error(
            "trunk %s is stopped: %s. Mend the account, then: tongdai trunk check %s",
            self.config.name, reason, self.config.name,
        )  # fmt: skip
        self._move(TrunkState.FORBIDDEN, reason)

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
            self._move(TrunkState.UP, "")
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

    def _move(self, state: TrunkState, reason: str) -> None:
        if state is not self.state:
            self.since = datetime.now(UTC)
            log.log(
                logging.INFO if state is TrunkState.UP else logging.WARNING,
                "trunk %s is %s%s", self.config.name, state, reason and f": {reason}",
            )  # fmt: skip
        self.state, self.reason = state, reason

    async def _watch(self) -> None:
        while True:
            await self._ask_options()
            healthy = not self._failures
            if healthy and self.state is TrunkState.DOWN:
                self._move(TrunkState.UP, "")
            elif self._failures >= QUALIFY_FAILURES and self.state is TrunkState.UP:
                self._move(TrunkState.DOWN, f"{self.peer} does not answer OPTIONS")
            # Ask sooner while it is in doubt, so that an outage is known within seconds.
            doubtful = min(self.config.qualify, QUALIFY_PATIENCE)
            await asyncio.sleep(self.config.qualify if healthy else doubtful)

    async def _ask_options(self) -> str:
        """Any answer at all shows the carrier alive, even 405 (RFC 3261 §11)."""
        patience = min(self.config.qualify or QUALIFY_PATIENCE, QUALIFY_PATIENCE)
        try:
            async with asyncio.timeout(patience):
                response = await self._send("OPTIONS", f"sip:{self._authority()}")
        except TimeoutError:
            response = None
        if response is None or response.source is None:
            self._failures += 1
            return f"no answer from {self.peer} to OPTIONS"
        self._failures = 0
        return f"{response.message.status_code} {response.message.reason_phrase}"

    # -- registration --------------------------------------------------------------------

    async def _stay_registered(self) -> None:
        failures = 0
        while True:
            granted, said = await self._register(self.config.register_expires)
            self.registered = granted > 0
            if granted:
                failures = 0
                if self.reason.startswith(NOT_REGISTERED):
                    self._move(TrunkState.UP, "")
                await asyncio.sleep(granted * REFRESH_AT)
            else:
                failures += 1
                if self.state is not TrunkState.FORBIDDEN:
                    self._move(TrunkState.DOWN, f"{NOT_REGISTERED}: {said}")
                await asyncio.sleep(back_off(failures, random.random()))

    async def _register(self, expires: int) -> tuple[int, str]:
        """One REGISTER (RFC 3261 §10.2): the seconds granted (0: none), and what was said."""
        response = await self._send(
            "REGISTER",
            f"sip:{self._authority()}",
            headers=[("Contact", f"<{self._contact()}>"), ("Expires", str(expires))],
        )
        status = response.message.status_code
        said = f"{status} {response.message.reason_phrase}"
        if not 200 <= status < 300:
            return 0, said
        return granted_expires(response.message, default=expires), said

    # -- requests outside calls ----------------------------------------------------------

    async def _send(
        self, method: str, uri: str, headers: list[tuple[str, str]] | None = None
    ) -> Response:
        ours = Address(uri=SipUri(user=self.user, host=self.config.host))
        theirs = ours if method == "REGISTER" else Address(uri=SipUri(host=self.config.host))
        return await self._agent.request(
            method,
            uri=uri,
            to=self.peer,
            from_=ours,
            to_addr=theirs,
            headers=headers or [],
            credentials=self.credentials,
        )

    @property
    def user(self) -> str:
        """The user part of who we are to this carrier."""
        return self.config.username or "tongdai"

    def uri(self, user: str) -> str:
        """The Request-URI of a number at this carrier."""
        return f"sip:{user}@{self._authority()}"

    def _authority(self) -> str:
        port = "" if self.config.port == 5060 else f":{self.config.port}"
        transport = "" if self.config.transport == "udp" else f";transport={self.config.transport}"
        return f"{self.config.host}{port}{transport}"

    def _contact(self) -> str:
        host, port = self._agent.endpoint.advertised(self.peer)
        params: dict[str, str | None] = (
            {} if self.config.transport == "udp" else {"transport": self.config.transport}
        )
        return stringify_uri(SipUri(user=self.user, host=host, port=port, params=params))
