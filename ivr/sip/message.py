"""SIP messages: what the rest of the signalling package reads, writes and builds.

A façade over aiosipua's data classes, our `model` and `syntax` and the strict `reader`. Whatever
arrives, the only exception is `MalformedMessage`, and it says what to answer (RFC 4475).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from aiosipua.headers import (
    Address,
    AuthChallenge,
    AuthCredentials,
    CaseInsensitiveDict,
    CSeq,
    SipUri,
    Via,
    parse_auth,
    stringify_auth,
)

from ivr.sip.errors import MalformedMessage
from ivr.sip.model import SipMessage, SipRequest, SipResponse
from ivr.sip.reader import parse_message
from ivr.sip.reasons import REASONS
from ivr.sip.syntax import (
    format_hostport,
    parse_address,
    parse_cseq,
    parse_params,
    parse_uri,
    parse_via,
    split_values,
    stringify_address,
    stringify_cseq,
    stringify_params,
    stringify_uri,
    stringify_via,
)

__all__ = [
    "MAGIC_COOKIE",
    "REASONS",
    "Address",
    "AuthChallenge",
    "AuthCredentials",
    "CSeq",
    "CaseInsensitiveDict",
    "MalformedMessage",
    "SipMessage",
    "SipRequest",
    "SipResponse",
    "SipUri",
    "Via",
    "format_hostport",
    "make_response",
    "new_branch",
    "new_call_id",
    "new_tag",
    "parse_address",
    "parse_auth",
    "parse_cseq",
    "parse_message",
    "parse_params",
    "parse_uri",
    "parse_via",
    "split_values",
    "stringify_address",
    "stringify_auth",
    "stringify_cseq",
    "stringify_params",
    "stringify_uri",
    "stringify_via",
]

MAGIC_COOKIE = "z9hG4bK"  # RFC 3261 §8.1.1.7
_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")


def make_response(
    request: SipRequest,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> SipResponse:
    """Answer `request` as RFC 3261 §8.2.6 says.

    Via, From, To, Call-ID and CSeq are copied; Record-Route into 101–299 (§12.1.1), Timestamp
    into 100. A To without a tag gets `to_tag`, or a new tag for every status but 100.
    `reason` defaults to the registered phrase.
    """
    ours = CaseInsensitiveDict()
    response = SipResponse(
        headers=ours,
        body=body,
        status_code=status,
        reason_phrase=_one_line(reason) if reason is not None else REASONS.get(status, "Unknown"),
    )
    copied = _COPIED + (("Record-Route",) if 100 < status < 300 else ())
    for name in (*copied, "Timestamp") if status == 100 else copied:
        for value in request.headers.get(name):
            ours.append(name, value)
    if status > 100 or to_tag:
        _tag_to(response, to_tag)
    for name, value in headers:
        ours.append(name, value)
    if content_type is not None:
        ours.set_single("Content-Type", content_type)
    return response


def _tag_to(response: SipResponse, tag: str | None) -> None:
    """Give the To header a tag unless it has one; its text stays as the peer wrote it."""
    to = response.headers.get_first("to")
    if to is None:
        return
    try:
        if parse_address(to).tag is not None:
            return
    except MalformedMessage:
        return
    response.headers.set_single("To", f"{to};tag={tag or new_tag()}")


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def new_branch() -> str:
    """A Via branch no other transaction has, with the magic cookie of RFC 3261 §8.1.1.7."""
    return MAGIC_COOKIE + secrets.token_hex(10)


def new_tag() -> str:
    """A tag for From or To: unique and not to be guessed (§19.3)."""
    return secrets.token_hex(8)


def new_call_id() -> str:
    """A Call-ID; random alone, so that it tells nobody the address of this machine."""
    return secrets.token_hex(16)
