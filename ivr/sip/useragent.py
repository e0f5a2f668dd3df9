"""The user agent: sessions in and out, requests outside sessions, and who gets which message."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable

from ivr.sip.dialog import add, fill
from ivr.sip.digest import Credentials, Login
from ivr.sip.endpoint import Endpoint, Response, ServerTransaction
from ivr.sip.message import (
    Address,
    SipRequest,
    SipResponse,
    new_call_id,
    new_tag,
    stringify_address,
)
from ivr.sip.resolver import Resolver
from ivr.sip.session import Session
from ivr.sip.session_around import Surroundings
from ivr.sip.session_bodies import SDP
from ivr.sip.session_checks import objection_to_extensions, objection_to_invite
from ivr.sip.session_core import SessionCore, settle
from ivr.sip.session_out import new_invite
from ivr.sip.timer import TimerPolicy
from ivr.sip.transport import Peer

__all__ = ["Credentials", "Session", "UserAgent"]

log = logging.getLogger(__name__)

Headers = Iterable[tuple[str, str]]
Handler = Callable[[ServerTransaction], None]

DialogKey = tuple[str, str]
"""Call-ID and our own tag: ours is unique, the far side's is checked by the session."""


class UserAgent:
    """Every session of one endpoint, in both directions (RFC 3261 §8, §13).

    `on_invite` gets each new incoming call; `handlers` take requests outside dialogs by method,
    and what has no handler is answered 405. `session_expires` and `min_se` in seconds (RFC 4028;
    `session_expires` 0: no session timers).
    """

    def __init__(
        self, endpoint: Endpoint, *, session_expires: int = 1800, min_se: int = 90
    ) -> None:
        self.endpoint = endpoint
        self.on_invite: Callable[[Session], None] = _nobody_there
        self.handlers: dict[str, Handler] = {"OPTIONS": self._options_received}
        self._around = Surroundings(
            endpoint, Resolver(), TimerPolicy(session_expires, min_se), self._gone, self._lessened
        )
        self._sessions: dict[DialogKey, Session] = {}
        self._invited: set[tuple[str, str, int]] = set()
        self._cseq = itertools.count(1)
        self._less = asyncio.Event()
        endpoint.in_dialog = self._is_ours
        endpoint.on_request = self._requested
        endpoint.on_ack = self._acknowledged
        endpoint.on_stray_response = self._strayed

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Every session that still has something to do with the network."""
        return tuple(self._sessions.values())

    async def settle(self, patience: float) -> None:
        """Wait until BYEs and CANCELs are answered, but for no more than `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while any(session.parting for session in self.sessions):
                    self._less.clear()
                    await self._less.wait()

    def close(self) -> None:
        """End every session, each with its last event. Close the endpoint after this."""
        for session in self.sessions:
            session.close("The server is stopping")
        self._sessions.clear()
        self._invited.clear()
        self._around.resolver.close()

    # -- what we start ----------------------------------------------------------------------------

    def invite(
        self,
        *,
        uri: str,
        to: Peer,
        from_: Address,
        to_addr: Address | None = None,
        sdp: bytes | None,
        credentials: Credentials | None = None,
        headers: Headers = (),
        call_id: str | None = None,
    ) -> Session:
        """Call `uri` by way of `to`. Set `on_event` on what is returned; nothing is missed.

        Without `sdp` the far side is asked for an offer: it comes in `Accepted`, and
        `answer_offer` answers it. Challenges are answered with `credentials`. Raises
        SipError for a `uri` that is none, or a peer that is no IP address.
        """
        tag = new_tag()
        around = self._around
        request = new_invite(
            uri=uri,
            from_=_with_tag(from_, tag),
            to=stringify_address(to_addr) if to_addr else f"<{uri}>",
            call_id=call_id or new_call_id(),
            headers=[
                around.contact(from_.uri.user, to),
                *around.allow,
                # Asking for an offer, we must not get it in a reliable 18x: PRACK cannot wait.
                *(around.supported if sdp else [("Supported", "timer")]),
                *around.policy.request_headers(),
                *headers,
            ],
            sdp=sdp,
        )
        core = SessionCore(
            around,
            direction="out",
            request=request,
            local_tag=tag,
            peer=to,
            credentials=credentials,
        )
        session = Session(core)
        session.start()
        self._sessions[core.call_id, tag] = session
        return session

    async def request(
        self,
        method: str,
        *,
        uri: str,
        to: Peer,
        from_: Address,
        to_addr: Address | None = None,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str | None = None,
        credentials: Credentials | None = None,
        call_id: str | None = None,
    ) -> Response:
        """Send a request outside any dialog; its final response, challenges answered.

        The CSeq goes up from request to request, so that `call_id` may be kept for a
        registration's refreshes. A response made here (408, 503) has no source.
        """
        login = Login(credentials) if credentials else None
        attempt = login.attempt() if login else None
        call_id, from_text = call_id or new_call_id(), _with_tag(from_, new_tag())
        to_text = stringify_address(to_addr) if to_addr else f"<{uri}>"
        given = list(headers)
        while True:
            request = SipRequest(method=method, uri=uri)
            fill(request, from_text, to_text, call_id, f"{next(self._cseq)} {method}")
            proof = login.headers(method, uri) if login else []
            add(request, [*given, *proof], body, content_type)
            response = await self._final(request, to)
            status = response.message.status_code
            if status not in (401, 407) or not attempt or not attempt.accept(response.message):
                return response

    async def _final(self, request: SipRequest, to: Peer) -> Response:
        promise: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def on_response(response: Response) -> None:
            if response.message.status_code >= 200:
                settle(promise, response)

        self.endpoint.request(request, to, on_response)
        return await promise

    # -- what comes in ----------------------------------------------------------------------------

    def _requested(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        tag = request.to_addr.tag
        objection = objection_to_extensions(request)
        if objection is not None:
            transaction.reply(objection.status, headers=objection.headers)
        elif tag is not None:
            session = self._sessions.get((request.call_id, tag))
            if session is None:
                transaction.reply(481)
            else:
                session.receive(transaction)
        elif request.method == "INVITE":
            self._invite_received(transaction)
        else:
            self.handlers.get(request.method, self._unknown)(transaction)

    def _invite_received(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        identity = (request.call_id, request.from_addr.tag or "", request.cseq.seq)
        if identity in self._invited or self._is_our_own(request):
            transaction.reply(482)  # by another way, merged (§8.2.2.2), or back at its sender
            return
        objection = objection_to_invite(request, self._around.policy)
        if objection is not None:
            transaction.reply(objection.status, headers=objection.headers)
            return
        core = SessionCore(
            self._around,
            direction="in",
            request=request,
            local_tag=transaction.to_tag,
            peer=transaction.source,
        )
        session = self._sessions[core.call_id, core.local_tag] = Session(core, transaction)
        self._invited.add(identity)
        try:
            self.on_invite(session)
        except BaseException:
            session.reject(500)
            raise

    def _is_our_own(self, request: SipRequest) -> bool:
        """A call of ours that was sent straight back to us, for us to send again for ever."""
        session = self._sessions.get((request.call_id, request.from_addr.tag or ""))
        return session is not None and session.request.uri == request.uri

    def _is_ours(self, request: SipRequest, source: Peer) -> bool:
        """Whether it is of a dialog we know, by a way of that dialog's own.

        A To tag alone proves nothing. Whoever learnt all three names of a call, from a log or a
        trace, still cannot end it from an address that has nothing to do with it.
        """
        session = self._sessions.get((request.call_id, request.to_addr.tag or ""))
        return session is not None and session.hears_from(source.host)

    def _acknowledged(self, ack: SipRequest, _source: Peer) -> None:
        session = self._sessions.get((ack.call_id, ack.to_addr.tag or ""))
        if session is not None:
            session.acknowledged(ack)

    def _strayed(self, response: SipResponse, source: Peer) -> None:
        if response.cseq.method != "INVITE" or not 200 <= response.status_code < 300:
            return
        session = self._sessions.get((response.call_id, response.from_addr.tag or ""))
        if session is not None:
            session.stray(response, source)

    def _options_received(self, transaction: ServerTransaction) -> None:
        """What an INVITE would find here (§11.2)."""
        around = self._around
        transaction.reply(200, headers=[self._allow(), *around.supported, ("Accept", SDP)])

    def _unknown(self, transaction: ServerTransaction) -> None:
        transaction.reply(405, headers=[self._allow()])

    def _allow(self) -> tuple[str, str]:
        """Every method we take, in and outside of dialogs."""
        methods = self._around.allow[0][1].split(", ")
        return "Allow", ", ".join(dict.fromkeys([*methods, *self.handlers]))

    def _lessened(self) -> None:
        self._less.set()

    def _gone(self, core: SessionCore) -> None:
        self._sessions.pop((core.call_id, core.local_tag), None)
        if core.direction == "in":
            request = core.request
            self._invited.discard((core.call_id, request.from_addr.tag or "", request.cseq.seq))


def _with_tag(address: Address, tag: str) -> str:
    """A From value; the address stays as it was given."""
    return f"{stringify_address(Address(address.display_name, address.uri))};tag={tag}"


def _nobody_there(session: Session) -> None:
    session.reject(480)
