"""A small SIP proxy: the simulated carrier's switch (RFC 3261 §16, stateful).

Calls from customers (Tongdai's trunk, who must authenticate) go to the phone registered for the
number; within a call, requests go wherever their Request-URI leads. Responses, CANCEL and ACK
find their way by the transactions on both sides. What it does otherwise than §16: it never forks,
sets no timer C, for its callers do, and like a border controller keeps the Vias of either side to
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import partial
from urllib.parse import unquote

from ivr.sip.authenticator import Authenticator, Challenged
from ivr.sip.endpoint import Endpoint, Response, ServerTransaction
from ivr.sip.message import (
    Address,
    CaseInsensitiveDict,
    SipMessage,
    SipRequest,
    SipResponse,
    SipUri,
    parse_address,
    parse_uri,
    stringify_address,
)
from ivr.sip.registrar import Registrar
from ivr.sip.transport import Peer

Note = Callable[..., None]
MAX_FORWARDS = 70
METHODS = "REGISTER, OPTIONS, INVITE, ACK, CANCEL, BYE"


class Proxy:
    """Answers for `numbers`, the carrier's subscribers, and no others.

    A subscriber whose phone is not registered is 480, a number that is nobody's 404. `note` is
    told of every new call: what, number, Call-ID. With `record_route` the proxy stays on the path
    of every request of a call; without, it sees only what the phones send through it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        registrar: Registrar,
        customers: Authenticator,
        numbers: Container[str],
        note: Note,
        *,
        record_route: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self._registrar = registrar
        self._customers = customers
        self._numbers = numbers
        self._note = note
        self._record_route = record_route
        endpoint.screen = registrar.screen
        endpoint.on_request = self._take
        endpoint.on_ack = self._pass_ack

    def _take(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.method == "REGISTER":
            self._registrar.handle(transaction)
        elif _hops_left(request) < 0:
            transaction.reply(483)
        elif request.to_addr.tag is not None:
            uri = parse_uri(request.uri)
            self._relay(transaction, _peer(_next_hop(request, self._is_me) or uri), request.uri)
        elif request.method == "OPTIONS":
            transaction.reply(200)
        elif request.method == "INVITE":
            self._place_call(transaction)
        else:
            transaction.reply(405, headers=[("Allow", METHODS)])

    def _place_call(self, transaction: ServerTransaction) -> None:
        """Route a new call to the phone of its number."""
        request = transaction.request
        verdict = self._customers.check(
            request.method,
            request.uri,
            request.headers.get("authorization"),
            source=transaction.source.host,
            now=self._registrar.clock(),
        )
        if isinstance(verdict, Challenged):
            transaction.reply(401, headers=verdict.headers)
            return
        number = unquote(parse_uri(request.uri).user or "")
        bindings = self._registrar.lookup(number)
        if bindings:
            self._note("put through", number, request.call_id)
            self._relay(transaction, bindings[0].peer, bindings[0].uri)
            return
        status = 480 if number in self._numbers else 404
        self._note("refused", number, request.call_id, status=status)
        transaction.reply(status)

    def _relay(self, transaction: ServerTransaction, to: Peer, uri: str) -> None:
        """Pass a request on in a transaction of its own, and its responses back (§16.6, §16.7)."""
        request = self._forwarded(transaction.request, uri)
        if self._record_route and request.to_addr.tag is None:
            host, port = self._endpoint.advertised(to)
            here = Address(uri=SipUri(host=host, port=port, params={"lr": None}))
            _prepend(request, "Record-Route", stringify_address(here))
        client = self._endpoint.request(request, to, partial(self._answer, transaction))
        if request.method == "INVITE":
            transaction.on_cancel = client.cancel

    def _answer(self, transaction: ServerTransaction, response: Response) -> None:
        """Pass a response back to who asked. 100 is for the next hop only (§16.7 step 5)."""
        status = response.message.status_code
        if status == 100:
            return
        message = _backward(response.message, transaction.request.headers.get("via"))
        if not transaction.answered:
            transaction.respond(message)
        elif 200 <= status < 300:  # repeated by a phone that waits for its ACK
            self._endpoint.send(message, transaction.source)

    def _pass_ack(self, ack: SipRequest, source: Peer) -> None:  # noqa: ARG002  the endpoint's signature
        """Pass the ACK of a 2xx on; it has no transaction (§13.2.2.4)."""
        next_hop = _next_hop(ack, self._is_me) or parse_uri(ack.uri)
        if not self._is_me(next_hop):
            self._endpoint.send(self._forwarded(ack, ack.uri), _peer(next_hop))

    def _forwarded(self, request: SipRequest, uri: str) -> SipRequest:
        """Copy a request as it goes on: one hop less, our own Route entry gone (§16.4, §16.6)."""
        headers = request.headers.copy()
        headers.remove("via")  # the endpoint writes ours
        headers.set_single("Max-Forwards", str(_hops_left(request)))
        routes = [route for route in headers.get("route") if not self._is_me(_uri_of(route))]
        copy = SipRequest(headers=headers, body=request.body, method=request.method, uri=uri)
        copy.set_headers("Route", routes)
        return copy

    def _is_me(self, uri: SipUri) -> bool:
        return (uri.host, uri.port or 5060) == (
            self._endpoint.local.host,
            self._endpoint.local.port,
        )


def _next_hop(request: SipRequest, is_me: Callable[[SipUri], bool]) -> SipUri | None:
    """Return where the first Route that is not our own leads, if there is one (§16.5)."""
    routes = map(_uri_of, request.headers.get("route"))
    return next((uri for uri in routes if not is_me(uri)), None)


def _uri_of(value: str) -> SipUri:
    return parse_address(value).uri


def _peer(uri: SipUri) -> Peer:
    """Return the address a URI leads to; here hosts are IP addresses."""
    transport = (uri.params.get("transport") or "udp").lower()
    return Peer("tcp" if transport == "tcp" else "udp", uri.host, uri.port or 5060)


def _hops_left(request: SipRequest) -> int:
    """Return Max-Forwards as it is to be sent on (§16.6 step 3)."""
    text = request.headers.get_first("max-forwards") or ""
    return int(text) - 1 if text.isdigit() else MAX_FORWARDS


def _backward(response: SipResponse, vias: list[str]) -> SipResponse:
    """Copy a response as it goes back, with the Vias of the request that it answers there."""
    headers = CaseInsensitiveDict()
    for value in vias:
        headers.append("Via", value)
    for name, values in response.headers.items():
        if name.lower() != "via":
            for value in values:
                headers.append(name, value)
    return SipResponse(
        headers=headers,
        body=response.body,
        status_code=response.status_code,
        reason_phrase=response.reason_phrase,
    )


def _prepend(message: SipMessage, name: str, value: str) -> None:
    message.set_headers(name, [value, *message.headers.get(name)])
