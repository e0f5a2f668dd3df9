"""The doors of the phone: who a request comes from, and what becomes of it (`ivr.admission`)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from ivr.admission import RETRY_AFTER, LagMeter, Load, Source, judge
from ivr.sip.authenticator import Granted
from ivr.sip.message import SipRequest
from ivr.sip.registrar import Registrar
from ivr.sip.screening import ACCEPT, DROP, Screening, refuse
from ivr.sip.session import Session
from ivr.sip.transport import Peer
from ivr.trunks import Trunk


class Doors:
    """Lets requests in. `room` says how many calls more may come, and `lag` how late we run."""

    def __init__(
        self,
        trunks: Mapping[str, Trunk],
        registrar: Registrar,
        *,
        users_exist: bool,
        room: Callable[[], int],
        lag: LagMeter,
    ) -> None:
        self._trunks = trunks
        self._registrar = registrar
        self._users_exist = users_exist
        self._room = room
        self._lag = lag

    def screen(self, request: SipRequest, source: Peer) -> Screening:
        """The verdict on a new request from outside our dialogs: an endpoint's `screen`."""
        load = Load(self._room(), self._lag.lag)
        kind = self._kind(request, source)
        match judge(request.method, kind, users_exist=self._users_exist, load=load):
            case "accept":
                return ACCEPT
            case "ask_registrar":
                return self._registrar.screen(request, source)
            case "overloaded":
                return refuse(503, retry_after=random.randint(*RETRY_AFTER))
        return DROP

    def trunk_of(self, source: Peer) -> Trunk | None:
        """The trunk whose address this is; by port too, where several share one host."""
        found = [trunk for trunk in self._trunks.values() if trunk.accepts_from(source.host)]
        exact = [trunk for trunk in found if trunk.peer.port == source.port]
        return next(iter(exact or found), None)

    def proved(self, session: Session) -> bool:
        """Whether a registered phone's INVITE carries its user's proof; else it is refused.

        The caller it names must be that user: a phone does not speak for its neighbour.
        """
        request = session.request
        verdict = self._registrar.authenticator.check(
            request.method,
            request.uri,
            request.headers.get("authorization"),
            source=session.source.host,
            now=time.monotonic(),
        )
        if not isinstance(verdict, Granted):
            session.reject(401, headers=verdict.headers)
            return False
        if verdict.user != unquote(session.remote.uri.user or ""):
            session.reject(403)
            return False
        return True

    def _kind(self, request: SipRequest, source: Peer) -> Source:
        if self.trunk_of(source) is not None:
            return "trunk"
        phones = self._registrar.lookup(unquote(request.from_addr.uri.user or ""))
        known = any(phone.peer.host == source.host for phone in phones)
        return "phone" if known else "stranger"
