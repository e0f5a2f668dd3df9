"""What all sessions of a user agent share, and what every one of them says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ivr.sip.endpoint import Endpoint, Timer
from ivr.sip.message import Address, SipUri, stringify_address
from ivr.sip.resolver import Resolver
from ivr.sip.timer import TimerPolicy
from ivr.sip.transport import Peer

if TYPE_CHECKING:
    from ivr.sip.session_core import SessionCore

ALLOWED = (
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY",
)  # fmt: skip
SUPPORTED = ("timer", "100rel")

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Surroundings:
    """What all sessions of a user agent share."""

    endpoint: Endpoint
    resolver: Resolver
    policy: TimerPolicy
    gone: Callable[[SessionCore], None]
    """Told once a session is over and owes nothing more to the network."""
    lessened: Callable[[], None]
    """Told when a session that is over owes the network less than before."""
    allow: Headers = field(default_factory=lambda: [("Allow", ", ".join(ALLOWED))])
    supported: Headers = field(default_factory=lambda: [("Supported", ", ".join(SUPPORTED))])

    def later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call back in `delay` seconds of the endpoint's clock."""
        return self.endpoint.scheduler.call_later(delay, callback)

    def contact(self, user: str | None, towards: Peer) -> tuple[str, str]:
        """The Contact by which `towards` reaches us."""
        host, port = self.endpoint.advertised(towards)
        params: dict[str, str | None] = {"transport": "tcp"} if towards.transport == "tcp" else {}
        uri = SipUri(user=user, host=host, port=port, params=params)
        return "Contact", stringify_address(Address(uri=uri))
