"""Which message belongs to which transaction, and the requests made inside one: ACK, CANCEL."""

from __future__ import annotations

from collections.abc import Iterable

from ivr.sip.message import (
    MAGIC_COOKIE,
    CaseInsensitiveDict,
    CSeq,
    SipRequest,
    SipResponse,
    Via,
    stringify_cseq,
)

TransactionKey = tuple[str, ...]

_COOKIE = MAGIC_COOKIE.lower()


def client_key(message: SipRequest | SipResponse) -> TransactionKey:
    """What a response shares with the request it answers (§17.1.3)."""
    return ((message.top_via.branch or "").lower(), message.cseq.method)


def server_key(request: SipRequest, via: Via, method: str) -> TransactionKey:
    """What a retransmission, ACK or CANCEL shares with its request (§17.2.3).

    `method` is INVITE for an ACK or CANCEL that looks for its INVITE. A branch without the magic
    cookie is RFC 2543's, which is unique in nothing: there the whole identity of the request
    takes its place. `via` is the top Via as it came.
    """
    branch = (via.branch or "").lower()
    if branch.startswith(_COOKIE) and branch != _COOKIE:
        return (branch, via.host.lower(), str(via.port), method)
    from_tag, number = request.from_addr.tag or "", str(request.cseq.seq)
    identity = (request.uri, from_tag, request.call_id, number, request.headers.get("via")[0])
    return (*identity, method)


def make_ack(request: SipRequest, response: SipResponse) -> SipRequest:
    """The ACK to a non-2xx final (§17.1.1.3): the INVITE's branch and route, the answer's To."""
    ack = _within(request, "ACK")
    ack.headers.set_single("To", response.headers.get("to")[0])
    return ack


def make_cancel(request: SipRequest, headers: Iterable[tuple[str, str]] = ()) -> SipRequest:
    """The CANCEL of a pending INVITE (§9.1)."""
    cancel = _within(request, "CANCEL")
    for name, value in headers:
        cancel.headers.append(name, value)
    return cancel


def _within(request: SipRequest, method: str) -> SipRequest:
    """A request that belongs to the transaction of `request`: same top Via, target and route."""
    headers = CaseInsensitiveDict()
    headers.append("Via", request.headers.get("via")[0])
    headers.append("Max-Forwards", "70")
    for name in ("From", "To", "Call-ID", "Route"):
        for value in request.headers.get(name):
            headers.append(name, value)
    headers.append("CSeq", stringify_cseq(CSeq(request.cseq.seq, method)))
    return SipRequest(headers=headers, method=method, uri=request.uri)
