"""What an INVITE, or any request, is refused for before anyone is asked (RFC 3261 §8.2). Pure."""

from __future__ import annotations

from typing import NamedTuple

from ivr.sip.message import SipMessage, SipRequest
from ivr.sip.session_around import SUPPORTED, Headers
from ivr.sip.session_bodies import SDP, unreadable_body
from ivr.sip.timer import IntervalTooSmall, TimerPolicy


class Objection(NamedTuple):
    """A status to refuse a request with, and the headers that say what would do."""

    status: int
    headers: Headers


def objection_to_extensions(request: SipRequest) -> Objection | None:
    """420 where it requires what we do not know (§8.2.2.3)."""
    unknown = [option for option in required(request) if option not in SUPPORTED]
    return Objection(420, [("Unsupported", ", ".join(unknown))]) if unknown else None


def objection_to_invite(request: SipRequest, policy: TimerPolicy) -> Objection | None:
    """What stands against a first INVITE: its body (§8.2.3), or its session interval."""
    if unreadable_body(request):
        return Objection(415, [("Accept", SDP), ("Accept-Encoding", "identity")])
    try:
        policy.agreed_as_server(request)
    except IntervalTooSmall:
        return Objection(422, policy.refusal_headers())
    return None


def required(message: SipMessage) -> list[str]:
    """The extensions named in Require, in lower case."""
    values = message.headers.get("require")
    return [
        option.strip().lower() for value in values for option in value.split(",") if option.strip()
    ]
