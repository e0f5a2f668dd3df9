"""What a session reads in bodies and headers: SDP parts, keys, progress, reasons. Pure."""

from __future__ import annotations

import re
from email.message import Message
from email.parser import BytesParser

from ivr.sip.message import SipMessage

SDP = "application/sdp"
SIPFRAG = "message/sipfrag"
DTMF_RELAY = "application/dtmf-relay"
DTMF = "application/dtmf"

DEFAULT_KEY_MS = 250  # what application/dtmf, which states none, is taken for
LONGEST_KEY_MS = 10_000

_KEYS = "0123456789*#ABCD"
_EVENTS = {str(number): key for number, key in enumerate(_KEYS)}  # "10" is *, "11" is #
_RELAY_LINE = re.compile(r"\s*(signal|duration)\s*=\s*(\S+)\s*", re.IGNORECASE)
_FRAGMENT = re.compile(rb"SIP/2\.0 +([1-6]\d\d)(?: +([^\r\n]*))?", re.IGNORECASE)
_REASON_TEXT = re.compile(r'text\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_REASON_CAUSE = re.compile(r"cause\s*=\s*(\d+)", re.IGNORECASE)


def media_type(message: SipMessage) -> str:
    """The Content-Type without parameters, in lower case; "" where there is none."""
    value = message.headers.get_first("content-type") or ""
    return value.partition(";")[0].strip().lower()


def sdp_of(message: SipMessage) -> bytes | None:
    """The session description a message carries, alone or within a multipart body."""
    if not message.body.strip():
        return None
    kind = media_type(message)
    if kind in (SDP, ""):  # a body nobody named is a description in every phone seen
        return message.body
    return _sdp_part(message) if kind.startswith("multipart/") else None


def _sdp_part(message: SipMessage) -> bytes | None:
    head = f"Content-Type: {message.headers.get_first('content-type')}\r\n\r\n".encode()
    parsed: Message = BytesParser().parsebytes(head + message.body)
    for part in parsed.walk():
        if part.get_content_type() == SDP:
            payload = part.get_payload(decode=True)
            return payload if isinstance(payload, bytes) else None
    return None


def unreadable_body(message: SipMessage) -> bool:
    """Whether an offer's body is of a kind we cannot read (415)."""
    if not message.body.strip():
        return False
    encoding = (message.headers.get_first("content-encoding") or "identity").strip().lower()
    return encoding != "identity" or sdp_of(message) is None


def key_of(message: SipMessage) -> tuple[str, int] | None:
    """The key and its duration in ms of an INFO; None where it is not a key we can read."""
    text = message.body.decode("ascii", errors="replace")
    if media_type(message) == DTMF:
        return _key(text.strip(), str(DEFAULT_KEY_MS))
    lines = [_RELAY_LINE.fullmatch(line) for line in text.splitlines()]
    values = {line[1].lower(): line[2] for line in lines if line}
    return _key(values.get("signal", ""), values.get("duration", str(DEFAULT_KEY_MS)))


def _key(signal: str, duration: str) -> tuple[str, int] | None:
    key = signal.upper() if len(signal) == 1 and signal.upper() in _KEYS else _EVENTS.get(signal)
    if not key:
        return None
    number = int(duration) if duration.isascii() and duration.isdigit() else DEFAULT_KEY_MS
    return key, min(number, LONGEST_KEY_MS)


def fragment(status: int, reason: str) -> bytes:
    """The body of a NOTIFY about a transfer (RFC 3515 §2.4.5)."""
    return f"SIP/2.0 {status} {reason}\r\n".encode()


def progress_of(message: SipMessage) -> tuple[int, str] | None:
    """The status a NOTIFY about a transfer tells; None where the body is not one."""
    matched = _FRAGMENT.match(message.body)
    if matched is None:
        return None
    return int(matched[1]), (matched[2] or b"").decode("utf-8", errors="replace").strip()


def reason_of(message: SipMessage) -> str:
    """What the Reason header (RFC 3326) says for people, else its cause; "" where there is none."""
    value = message.headers.get_first("reason") or ""
    text = _REASON_TEXT.search(value)
    if text is not None:
        return re.sub(r"\\(.)", r"\1", text[1])
    cause = _REASON_CAUSE.search(value)
    protocol = value.partition(";")[0].strip()
    return f"{protocol} {cause[1]}" if cause else protocol
