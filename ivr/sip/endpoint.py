"""The one asyncio layer of signalling: sockets, timers, and which message belongs where."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import Counter
from collections.abc import Callable

from ivr.sip import trace as tracing
from ivr.sip.errors import MalformedMessage, ProtocolError
from ivr.sip.exchange import ClientTransaction, Response, ServerTransaction, Transaction
from ivr.sip.matching import TransactionKey, client_key, server_key
from ivr.sip.message import (
    SipRequest,
    SipResponse,
    Via,
    make_response,
    new_branch,
    parse_message,
    stringify_via,
)
from ivr.sip.peer import Peer, is_address
from ivr.sip.routing import fallback, reply_to, stamp
from ivr.sip.scheduler import Scheduler, Timer
from ivr.sip.screening import ACCEPT, DROP, Screening, refuse
from ivr.sip.trace import TraceRecord
from ivr.sip.transaction import EndReason, Event, Timers
from ivr.sip.transport import Transport

__all__ = [
    "ACCEPT",
    "DROP",
    "ClientTransaction",
    "EndReason",
    "Endpoint",
    "Response",
    "Scheduler",
    "Screening",
    "ServerTransaction",
    "Timer",
    "Timers",
    "refuse",
]

log = logging.getLogger(__name__)

RETRY_AFTER = 5  # seconds, told to those we have no room for


class Endpoint:
    """Sockets, transactions and timers of one SIP address (UDP and TCP on one port).

    Whoever uses it sets `on_request` and the other call-backs before `listen`. A call-back that
    raises is logged with its Call-ID and answered 500 (400 for MalformedMessage).
    """

    def __init__(
        self,
        *,
        timers: Timers = Timers(),  # noqa: B008 - frozen
        scheduler: Scheduler | None = None,
        trace: Callable[[TraceRecord], None] | None = None,
        user_agent: str = "Tongdai",
        max_transactions: int = 50_000,
    ) -> None:
        self.timers = timers
        self.user_agent = user_agent
        self.counters: Counter[str] = Counter()
        """What was received, sent, dropped and refused, by name."""
        self.on_request: Callable[[ServerTransaction], None] = _not_implemented
        """Every new request except ACK and CANCEL; retransmissions never come here."""
        self.on_ack: Callable[[SipRequest, Peer], None] = _ignore
        """An ACK to a 2xx, or a stray one."""
        self.on_stray_response: Callable[[SipResponse, Peer], None] = _ignore
        """A response of no transaction, as a 2xx repeated after its transaction ended."""
        self.screen: Callable[[SipRequest, Peer], Screening] | None = None
        """Asked about each new request outside our dialogs, before there is a transaction."""
        self.in_dialog: Callable[[SipRequest, Peer], bool] = _has_to_tag
        """Whether a request is of a dialog we are in, from where its requests may come: such a
        one is not screened."""
        self._scheduler = scheduler
        self._trace = trace
        self._max_transactions = max_transactions
        self._clients: dict[TransactionKey, ClientTransaction] = {}
        self._servers: dict[TransactionKey, ServerTransaction] = {}
        self._tag_secret = secrets.token_bytes(16)
        self._transport = Transport(self._received, self._lost, self.counters)

    # What the user calls

    @property
    def scheduler(self) -> Scheduler:
        """The clock: the one given, or the running loop."""
        if self._scheduler is None:
            self._scheduler = asyncio.get_running_loop()
        return self._scheduler

    @property
    def local(self) -> Peer:
        """The bound UDP address with its real port. Raises TransportError before `listen`."""
        return self._transport.local

    @property
    def transactions(self) -> int:
        """How many transactions there are, absorbing ones included."""
        return len(self._clients) + len(self._servers)

    async def listen(
        self, bind: str = "127.0.0.1:0", *, external_address: str = "", tcp: bool = True
    ) -> None:
        """Open UDP and, unless `tcp` is false, TCP on the same port.

        `external_address` is what peers are told, "host" or "host:port"; empty: the local address.
        Raises TransportError when the address cannot be had.
        """
        await self._transport.listen(bind, external_address, tcp)

    def advertised(self, to: Peer) -> tuple[str, int]:
        """Host and port for Via and Contact towards `to`."""
        return self._transport.advertised(to)

    def request(
        self, request: SipRequest, to: Peer, on_response: Callable[[Response], None]
    ) -> ClientTransaction:
        """Send a request in a new transaction, which takes the message over.

        It gets one Via with a new branch and rport, in place of any it had, and Max-Forwards and
        User-Agent where missing. What the network refuses comes later as a Response with status
        503. Raises ProtocolError for what cannot be sent: a URI with spaces, a peer that is a
        name instead of an address.
        """
        if not is_address(to.host):
            raise ProtocolError(f"SIP is sent to IP addresses, and {to.host!r} is not one.")
        if not request.uri or any(character.isspace() for character in request.uri):
            raise ProtocolError(f"The request URI {request.uri[:80]!r} is empty or has spaces.")
        self._put_via(request, to)
        if "max-forwards" not in request.headers:
            request.headers.set_single("Max-Forwards", "70")
        if "user-agent" not in request.headers:
            request.headers.set_single("User-Agent", self.user_agent)
        return self.start_client(request, to, on_response)

    def send(self, message: SipRequest | SipResponse, to: Peer) -> None:
        """Send without a transaction: the ACK to a 2xx, a repeated 2xx.

        A request without a Via gets one with a new branch; one that has its Via keeps it, so that
        a repeated ACK stays the same message.
        """
        if isinstance(message, SipRequest) and "via" not in message.headers:
            self._put_via(message, to)
        self.transmit(bytes(message), to, _nothing)

    async def close(self) -> None:
        """Close the sockets and end every transaction (on_end CLOSED, no more responses)."""
        for transaction in [*self._clients.values(), *self._servers.values()]:
            transaction.close()
        self._clients.clear()
        self._servers.clear()
        await self._transport.close()

    # What the transactions call (exchange.Layer)

    def transmit(
        self, data: bytes, to: Peer, failed: Callable[[], None], fallback: Peer | None = None
    ) -> None:
        """Send; `failed` is called later, never from within, when the network refuses."""
        self.counters["sent"] += 1
        if self._trace is not None:
            self._trace_message(tracing.record("out", data, to))
        self._transport.send(data, to, failed, fallback)

    def inform(
        self, callback: Callable[..., object], call_id: str, *args: object
    ) -> Exception | None:
        """Call back the user; what it raises is logged and returned."""
        try:
            callback(*args)
        except Exception as error:
            self.counters["callback_errors"] += 1
            log.exception("Handling a SIP message of call %r failed", call_id[:80])
            return error
        return None

    def forget(self, transaction: Transaction) -> None:
        """The transaction is over."""
        kept = self._clients if isinstance(transaction, ClientTransaction) else self._servers
        kept.pop(transaction.key, None)

    def start_client(
        self, request: SipRequest, to: Peer, on_response: Callable[[Response], None]
    ) -> ClientTransaction:
        """Run a client transaction for a request that has its Via already."""
        transaction = ClientTransaction(self, request, to, on_response)
        self._clients[transaction.key] = transaction
        transaction.feed(Event.START)
        return transaction

    def pass_ack(self, ack: SipRequest, source: Peer) -> None:
        """Hand an ACK to the user."""
        self.inform(self.on_ack, ack.call_id, ack, source)

    def pass_stray(self, response: SipResponse, source: Peer) -> None:
        """Hand a response that changes no transaction to the user."""
        self.counters["stray_responses"] += 1
        self.inform(self.on_stray_response, response.call_id, response, source)

    # What the network brings

    def _received(self, data: bytes, source: Peer) -> None:
        """A datagram or a message of a stream; nothing in it may harm the loop."""
        try:
            self._dispatch(data, source)
        except Exception:
            self.counters["internal_errors"] += 1
            log.exception("A SIP message from %s could not be handled", source)

    def _dispatch(self, data: bytes, source: Peer) -> None:
        if not data.strip(b"\r\n\0 "):
            self.counters["keepalives"] += 1
            return
        self.counters["received"] += 1
        if self._trace is not None:
            self._trace_message(tracing.record("in", data, source))
        try:
            message = parse_message(data)
        except MalformedMessage as error:
            self._refuse_malformed(error, source)
            return
        if isinstance(message, SipRequest):
            self._dispatch_request(message, source)
        else:
            self._dispatch_response(message, source)

    def _dispatch_response(self, response: SipResponse, source: Peer) -> None:
        transaction = self._clients.get(client_key(response))
        if transaction is None:
            self.pass_stray(response, source)
        else:
            transaction.receive(response, source)

    def _dispatch_request(self, request: SipRequest, source: Peer) -> None:
        via = request.top_via
        method = "INVITE" if request.method == "ACK" else request.method
        key = server_key(request, via, method)
        transaction = self._servers.get(key)
        if request.method == "ACK":
            if transaction is not None:
                transaction.feed(Event.ACK, request, source)
            else:
                self.pass_ack(request, source)
        elif transaction is not None:
            self.counters["retransmissions"] += 1
            transaction.feed(Event.REQUEST)
        else:
            invite = None
            if request.method == "CANCEL":
                invite = self._servers.get(server_key(request, via, "INVITE"))
            stamp(request, via, source)
            # A CANCEL goes the way of its INVITE (§9.1); from elsewhere it is screened like any.
            same_way = invite is not None and invite.source.host == source.host
            if same_way or self._let_in(request, via, source):
                self._serve(self._open(key, request, via, source), invite)

    def _let_in(self, request: SipRequest, via: Via, source: Peer) -> bool:
        verdict = ACCEPT
        if self.screen is not None and not self.in_dialog(request, source):
            verdict = self._ask_screen(request, source)
        if verdict.status is None and self.transactions >= self._max_transactions:
            self.counters["overloaded"] += 1
            verdict = refuse(503, retry_after=RETRY_AFTER)
        if verdict.status is None:
            return True
        self.counters["refused" if verdict.status else "dropped"] += 1
        if verdict.status:
            self._answer(request, via, source, verdict.status, headers=verdict.headers)
        return False

    def _ask_screen(self, request: SipRequest, source: Peer) -> Screening:
        """The user's verdict; what it cannot read, or fails on, stays out."""
        assert self.screen is not None
        try:
            return self.screen(request, source)
        except MalformedMessage:
            return DROP
        except Exception:
            self.counters["callback_errors"] += 1
            log.exception("Screening a request from %s failed", source)
            return refuse(500)

    def _open(
        self, key: TransactionKey, request: SipRequest, via: Via, source: Peer
    ) -> ServerTransaction:
        transaction = ServerTransaction(
            self,
            request,
            source,
            key=key,
            reply_to=reply_to(via, source),
            fallback=fallback(via, source),
        )
        self._servers[key] = transaction
        transaction.feed(Event.START)
        return transaction

    def _serve(self, transaction: ServerTransaction, cancelled: ServerTransaction | None) -> None:
        request = transaction.request
        if request.method == "CANCEL":
            self._cancel(transaction, cancelled)
            return
        error = self.inform(self.on_request, request.call_id, transaction)
        if error is not None and not transaction.answered:
            transaction.reply(400 if isinstance(error, MalformedMessage) else 500)

    def _cancel(self, cancel: ServerTransaction, invite: ServerTransaction | None) -> None:
        """Answer a CANCEL and tell the owner of what it cancels (§9.2)."""
        if invite is None:
            cancel.reply(481)
            return
        cancel.to_tag = invite.to_tag
        cancel.reply(200)
        invite.feed(Event.CANCEL)

    def _refuse_malformed(self, error: MalformedMessage, source: Peer) -> None:
        """Answer what can be answered, to those who are let in."""
        self.counters["malformed"] += 1
        log.debug("Malformed SIP message from %s: %s", source, error.reason)
        request = error.request
        if request is None or request.method == "ACK":
            return
        try:
            via = request.top_via
        except MalformedMessage:
            return
        stamp(request, via, source)
        if self.screen is None or self._ask_screen(request, source).status != 0:
            self._answer(request, via, source, error.status)

    def _answer(
        self,
        request: SipRequest,
        via: Via,
        source: Peer,
        status: int,
        *,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Respond statelessly; the same request gets the same To tag each time (§8.2.7)."""
        digest = hashlib.blake2b(
            request.headers.get("via")[0].encode(), key=self._tag_secret, digest_size=8
        )
        response = make_response(request, status, to_tag=digest.hexdigest(), headers=headers)
        self.transmit(bytes(response), reply_to(via, source), _nothing)

    def _lost(self, peer: Peer) -> None:
        """A TCP connection ended: requests that were on it will hear no answer there."""
        for transaction in [each for each in self._clients.values() if each.peer == peer]:
            transaction.feed(Event.CONNECTION_LOST)

    def _trace_message(self, record: TraceRecord) -> None:
        assert self._trace is not None
        self.inform(self._trace, "(trace)", record)

    def _put_via(self, request: SipRequest, to: Peer) -> None:
        host, port = self.advertised(to)
        via = Via(
            transport=to.transport.upper(),
            host=host,
            port=port,
            params={"branch": new_branch(), "rport": None},
        )
        request.headers.set_single("Via", stringify_via(via))


def _not_implemented(transaction: ServerTransaction) -> None:
    transaction.reply(501)


def _ignore(_message: SipRequest | SipResponse, _peer: Peer) -> None:
    """Nobody asked to be told."""


def _nothing() -> None:
    """Nobody waits for a message without a transaction; it is sent again, or not missed."""


def _has_to_tag(request: SipRequest, _peer: Peer) -> bool:
    return request.to_addr.tag is not None
