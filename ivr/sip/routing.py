"""Where responses go (RFC 3261 §18.2, RFC 3581): back to where the request really came from."""

from __future__ import annotations

from ivr.sip.message import SipRequest, Via, stringify_via
from ivr.sip.peer import Peer

DEFAULT_PORT = 5060


def stamp(request: SipRequest, via: Via, source: Peer) -> None:
    """Write `received` and `rport` into the top Via of a request that just arrived.

    A `received` the sender wrote itself is overwritten: it could name a victim.
    """
    if "rport" in via.params:
        via.rport = str(source.port)
    elif via.received is None and via.host.strip("[]") == source.host:
        return
    via.received = source.host
    request.headers.get("via")[0] = stringify_via(via)


def reply_to(via: Via, source: Peer) -> Peer:
    """Where the responses to a request go (§18.2.2, RFC 3581 §4).

    `maddr` is not followed: SIP multicast is dead, and it would let a stranger aim our answers.
    """
    if source.transport == "tcp" or "rport" in via.params:
        return source
    return source._replace(port=via.port or DEFAULT_PORT)


def fallback(via: Via, source: Peer) -> Peer | None:
    """Where they go over TCP when the connection of the request is gone; None over UDP."""
    return source._replace(port=via.port or DEFAULT_PORT) if source.transport == "tcp" else None
