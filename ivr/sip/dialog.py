"""Dialogs (RFC 3261 §12): who talks to whom, in which order, and where the next request goes. Pure.

A dialog is made from the INVITE and a response to it, by the caller from what it received and by
the callee from what it sent. Header values that must come back unchanged (From, To, routes) are
kept as the text they were.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

from ivr.sip.errors import MalformedMessage
from ivr.sip.message import (
    SipMessage,
    SipRequest,
    SipResponse,
    SipUri,
    parse_address,
    parse_uri,
    stringify_uri,
)
from ivr.sip.transport import Peer

MAX_FORWARDS = "70"  # RFC 3261 §8.1.1.6
DEFAULT_PORT = 5060

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Hop:
    """Where a URI says to send to: a name or an address, not yet resolved."""

    host: str
    port: int
    transport: Literal["udp", "tcp"]


@dataclass(slots=True)
class Dialog:
    """One peer-to-peer relationship of a call: early, or confirmed by a 2xx.

    `source` is where the peer's messages come from: the way back when its Contact leads nowhere.
    """

    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    target: str
    routes: tuple[str, ...]
    source: Peer
    local_seq: int
    remote_seq: int | None = None
    confirmed: bool = False

    @classmethod
    def as_caller(cls, invite: SipRequest, response: SipResponse, source: Peer) -> Self:
        """The dialog a 1xx or 2xx with a To tag makes for the one who called (§12.1.2)."""
        return cls(
            call_id=invite.call_id,
            local=_first(invite, "from"),
            remote=_first(response, "to"),
            local_tag=invite.from_addr.tag or "",
            remote_tag=response.to_addr.tag or "",
            target=contact_uri(response) or invite.uri,
            routes=_recorded(response)[::-1],
            source=source,
            local_seq=invite.cseq.seq,
            confirmed=response.status_code >= 200,
        )

    @classmethod
    def as_callee(cls, invite: SipRequest, local_tag: str, source: Peer) -> Self:
        """The dialog our response with `local_tag` will make for us, who are called (§12.1.1)."""
        return cls(
            call_id=invite.call_id,
            local=f"{_first(invite, 'to')};tag={local_tag}",
            remote=_first(invite, "from"),
            local_tag=local_tag,
            remote_tag=invite.from_addr.tag or "",  # RFC 2543 peers have none (§12.1.1)
            target=contact_uri(invite) or _bare(invite.from_addr.uri),
            routes=_recorded(invite),
            source=source,
            local_seq=0,
            remote_seq=invite.cseq.seq,
        )

    def confirm(self, response: SipResponse, source: Peer) -> None:
        """Take a 2xx to the INVITE: the route set is computed anew (§13.2.2.4)."""
        self.confirmed = True
        self.routes = _recorded(response)[::-1]
        self.refresh(response, source)

    def refresh(self, message: SipMessage, source: Peer) -> None:
        """Take the Contact of a target refresh: INVITE, UPDATE, and 2xx to them (§12.2)."""
        self.target = contact_uri(message) or self.target
        self.source = source

    def in_order(self, request: SipRequest) -> bool:
        """Count a request of theirs in; False: it is out of order, answer 500 (§12.2.2)."""
        seq = request.cseq.seq
        if self.remote_seq is not None and seq <= self.remote_seq:
            return False
        self.remote_seq = seq
        return True

    def request(
        self,
        method: str,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str | None = None,
        *,
        seq: int | None = None,
    ) -> SipRequest:
        """A request within the dialog (§12.2.1.1). `seq` is given for an ACK: its INVITE's."""
        if seq is None:
            self.local_seq += 1
            seq = self.local_seq
        uri, routes = self._request_uri_and_routes()
        request = SipRequest(method=method, uri=uri, body=body)
        for route in routes:
            request.headers.append("Route", route)
        fill(request, self.local, self.remote, self.call_id, f"{seq} {method}")
        add(request, headers, body, content_type)
        return request

    def next_hop(self) -> Hop | None:
        """Where requests go: the first route, else the target. None: there is no telling."""
        return hop_of(_uri(self.routes[0]) if self.routes else self.target)

    def hosts(self) -> frozenset[str]:
        """The addresses requests of this dialog may come from: its peer's, and its proxies'.

        Names are left out: what they stand for is not ours to guess.
        """
        hops = [hop_of(_uri(route)) for route in self.routes]
        hops.append(hop_of(self.target))
        return frozenset({self.source.host, *(hop.host for hop in hops if hop)})

    def _request_uri_and_routes(self) -> tuple[str, tuple[str, ...]]:
        """The loose router's way, or the strict one's: it wants itself as Request-URI."""
        if not self.routes or _is_loose(self.routes[0]):
            return self.target, self.routes
        first = parse_address(self.routes[0]).uri
        first.headers = {}  # not allowed in a Request-URI (§19.1.1)
        first.params.pop("method", None)
        return stringify_uri(first), (*self.routes[1:], f"<{self.target}>")


def fill(request: SipRequest, from_: str, to: str, call_id: str, cseq: str) -> None:
    """The headers every request has (§8.1.1), but for the Via."""
    headers = request.headers
    headers.append("Max-Forwards", MAX_FORWARDS)
    headers.append("From", from_)
    headers.append("To", to)
    headers.append("Call-ID", call_id)
    headers.append("CSeq", cseq)


def add(message: SipMessage, headers: Headers, body: bytes, content_type: str | None) -> None:
    """Further headers, and the body with its type."""
    for name, value in headers:
        message.headers.append(name, value)
    if body:
        message.body = body
        message.headers.set_single("Content-Type", content_type or "application/sdp")


def hop_of(uri: str | SipUri) -> Hop | None:
    """Where a SIP URI points (RFC 3263 §4 without DNS records); None for what we cannot reach.

    TLS belongs to an edge in front of us: sips and transport=tls are not ours to reach.
    """
    try:
        parsed = parse_uri(uri) if isinstance(uri, str) else uri
    except MalformedMessage:
        return None
    transport = (parsed.params.get("transport") or "udp").lower()
    if parsed.scheme != "sip" or transport not in ("udp", "tcp"):
        return None
    host = (parsed.params.get("maddr") or parsed.host).strip("[]")
    return Hop(host, parsed.port or DEFAULT_PORT, "tcp" if transport == "tcp" else "udp")


def peer_for(hop: Hop | None, source: Peer) -> Peer | None:
    """The address to send to, or None where `hop` is a name that must be resolved first.

    A peer behind NAT writes an address that only it can reach: then the way back is where its
    messages come from. So it is when it wrote that very address, whatever the transport.
    """
    if hop is None or (hop.host == source.host and hop.port == source.port):
        return source
    reach = _reach(hop.host)
    if reach is None:
        return None
    if reach < (_reach(source.host) or 0):
        return source
    return Peer(hop.transport, hop.host, hop.port)


@lru_cache(maxsize=1024)
def _reach(host: str) -> int | None:
    """From how far an address can be reached: 0 nowhere, 1 its host, 2 its network, 3 anywhere."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.is_unspecified:
        return 0
    if address.is_loopback:
        return 1
    return 3 if address.is_global else 2


def contact_uri(message: SipMessage) -> str | None:
    """The URI of the first Contact as text, or None where there is none to be read.

    Without the headers it may hold: they have no place in a Request-URI (§19.1.1).
    """
    value = message.headers.get_first("contact")
    if value is None or value.strip() == "*":
        return None
    try:
        parsed = parse_address(value).uri
    except MalformedMessage:
        return None
    parsed.headers = {}
    uri = stringify_uri(parsed)
    return None if any(map(str.isspace, uri)) else uri


def _bare(uri: SipUri) -> str:
    """A URI as a place to send to, without what else the sender wrote into it."""
    return stringify_uri(SipUri(scheme=uri.scheme, user=uri.user, host=uri.host, port=uri.port))


def _recorded(message: SipMessage) -> tuple[str, ...]:
    """The Record-Route values as they came; one nobody can read cannot be routed by."""
    return tuple(value for value in message.headers.get("record-route") if _readable(value))


def _readable(value: str) -> bool:
    try:
        parse_address(value)
    except MalformedMessage:
        return False
    return True


def _is_loose(route: str) -> bool:
    return "lr" in parse_address(route).uri.params


def _uri(route: str) -> SipUri:
    return parse_address(route).uri


def _first(message: SipMessage, name: str) -> str:
    value = message.headers.get_first(name)
    assert value is not None, "a message without it never gets here"
    return value
