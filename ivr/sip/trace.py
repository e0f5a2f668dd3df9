"""The trace of SIP messages: what went over the wire, with the secrets masked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ivr.sip.transport import Peer


@dataclass(frozen=True)
class TraceRecord:
    """One message on the wire. `at` is aware UTC; `text` is the message, secrets masked."""

    direction: Literal["in", "out"]
    at: datetime
    peer: Peer
    text: str
