"""The trace of SIP messages: what went over the wire, with the secrets masked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ivr.sip.peer import Peer

MASK = "***"

# A digest can be attacked off line by whoever has response, nonce and cnonce; user and realm stay.
_CREDENTIALS = re.compile(
    r"^((?:Proxy-)?Authorization|(?:WWW|Proxy)-Authenticate|Authentication-Info)([ \t]*:\s*)"
    r"([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_SECRET_PARAM = re.compile(
    r"\b((?:response|nonce|cnonce|nextnonce|opaque|rspauth)[ \t]*=[ \t]*)"
    r'("[^"]*"?|[^,\s]+)',
    re.IGNORECASE,
)
_SDP_KEY = re.compile(
    r"^(a=crypto:\d+ \S+ inline:|a=(?:key-mgmt|ice-pwd):|k=(?:(?:clear|base64|uri):)?)[^\r\n]+",
    re.IGNORECASE | re.MULTILINE,
)
_URI_PASSWORD = re.compile(r"(\bsips?:[^\s:@<>;?\"]+:)[^\s@<>\"]+@", re.IGNORECASE)
_PASSWORD_PARAM = re.compile(r"([;?&](?:password|passwd|pwd|token)=)[^\s;&<>\"]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One message on the wire. `at` is aware UTC; `text` is the message, secrets masked."""

    direction: Literal["in", "out"]
    at: datetime
    peer: Peer
    text: str


def record(direction: Literal["in", "out"], data: bytes, peer: Peer) -> TraceRecord:
    """What to remember of a message that passes now."""
    return TraceRecord(direction, datetime.now(UTC), peer, mask(data.decode("utf-8", "replace")))


def mask(text: str) -> str:
    """A SIP message without what would let its reader in: digests, keys, passwords."""
    text = _CREDENTIALS.sub(_mask_credentials, text)
    text = _SDP_KEY.sub(rf"\1{MASK}", text)
    text = _URI_PASSWORD.sub(rf"\1{MASK}@", text)
    return _PASSWORD_PARAM.sub(rf"\1{MASK}", text)


def _mask_credentials(matched: re.Match[str]) -> str:
    name, colon, value = matched.groups()
    scheme, space, _ = value.partition(" ")
    if scheme.lower() == "digest" or name.lower() == "authentication-info":
        value = _SECRET_PARAM.sub(rf"\1{MASK}", value)
    else:  # Basic, Bearer: all of it is the secret
        value = f"{scheme} {MASK}" if space else MASK
    return f"{name}{colon}{value}"


def format_record(record: TraceRecord) -> str:
    """The record for people: a line with time, direction and peer, then the message indented."""
    arrow = "<-" if record.direction == "in" else "->"
    lines = "\n".join(f"    {_printable(line)}" for line in record.text.splitlines())
    return f"{record.at.isoformat(timespec='milliseconds')} {arrow} {record.peer}\n{lines}\n"


def _printable(line: str) -> str:
    """Without control characters: a peer must not move the reader's cursor."""
    return "".join(character if character.isprintable() else "·" for character in line)
