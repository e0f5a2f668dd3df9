"""What can go wrong in signalling. `ivr.sip` raises on purpose only SipErrors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ivr.sip.message import SipRequest


class SipError(Exception):
    """Base of every error raised by the signalling package."""


class MalformedMessage(SipError):
    """What a peer sent is not SIP as RFC 3261 writes it.

    `status` is the answer it deserves (400, 505…), `request` the request as far as it could be
    read, when enough of it is there to address an answer.
    """

    def __init__(
        self, reason: str, request: SipRequest | None = None, *, status: int = 400
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.request = request
        self.status = status


class ProtocolError(SipError):
    """Our side asked a transaction for something its state does not allow (a local bug)."""


class TransportError(SipError):
    """A message could not be handed to the network."""
