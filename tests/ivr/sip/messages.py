"""Requests and responses for tests, as short as SIP allows."""

from __future__ import annotations

from collections.abc import Iterable

from ivr.sip.message import CaseInsensitiveDict, SipRequest, new_call_id, new_tag


def make_request(
    method: str = "OPTIONS",
    uri: str = "sip:bob@127.0.0.1",
    *,
    cseq: int = 1,
    call_id: str | None = None,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> SipRequest:
    """A request as a user agent builds it: all but the Via, which the endpoint adds."""
    ours = CaseInsensitiveDict()
    ours.append("From", f"<sip:alice@example.com>;tag={new_tag()}")
    ours.append("To", "<sip:bob@example.com>" + (f";tag={to_tag}" if to_tag else ""))
    ours.append("Call-ID", call_id or new_call_id())
    ours.append("CSeq", f"{cseq} {method}")
    for name, value in headers:
        ours.append(name, value)
    return SipRequest(headers=ours, method=method, uri=uri, body=body)


def raw_request(
    method: str = "OPTIONS",
    *,
    branch: str = "z9hG4bKraw1",
    call_id: str = "raw@example.com",
    cseq: int = 1,
    via_host: str = "192.0.2.9",
    extra: str = "",
    body: str = "",
) -> bytes:
    """The bytes of a request, for tests that play a peer by hand."""
    return (
        f"{method} sip:bob@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {via_host};branch={branch};rport\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:alice@example.com>;tag=raw\r\n"
        "To: <sip:bob@example.com>\r\n"
        f"Call-ID: {call_id}\r\n"
        f"CSeq: {cseq} {method}\r\n"
        f"{extra}"
        f"Content-Length: {len(body)}\r\n"
        f"\r\n{body}"
    ).encode()
