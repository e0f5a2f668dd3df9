"""The one asyncio layer of signalling: sockets, timers, and which message belongs where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from ivr.sip.message import SipRequest, SipResponse
from ivr.sip.trace import TraceRecord
from ivr.sip.transaction import EndReason, Timers
from ivr.sip.transport import Peer


class Timer(Protocol):
    """A pending call-back."""

    def cancel(self) -> None:
        """Never call back."""


class Scheduler(Protocol):
    """The clock of an endpoint; the running event loop is one."""

    def time(self) -> float:
        """Seconds on a clock that never steps back."""

    def call_later(self, delay: float, callback: Callable[..., object], /, *args: object) -> Timer:
        """Call `callback(*args)` once, `delay` seconds from now."""


@dataclass(frozen=True)
class Screening:
    """What becomes of a new request: `ACCEPT`, `DROP`, or `refuse(status)`."""

    status: int | None
    """None: let it in; 0: drop it without a word; else the status it is answered, statelessly."""
    headers: tuple[tuple[str, str], ...] = ()


ACCEPT = Screening(None)
DROP = Screening(0)


def refuse(status: int, *, retry_after: int | None = None) -> Screening:
    """Answer `status` without a transaction; `retry_after` seconds become Retry-After."""
    return Screening(status, () if retry_after is None else (("Retry-After", str(retry_after)),))


@dataclass(frozen=True, slots=True)
class Response:
    """A response to a request of ours. `source` None: made here (408 time-out, 503 transport)."""

    message: SipResponse
    source: Peer | None


class ClientTransaction:
    """A request of ours on its way; responses come to the `on_response` given to `request`.

    Provisionals come as they are (retransmitted ones too), a non-2xx final exactly once, and for
    INVITE every 2xx within 64*T1 of the first, retransmissions and other forks alike: each wants
    its ACK. The ACK to a non-2xx final is sent here.
    """

    request: SipRequest
    peer: Peer
    ended: bool

    def cancel(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send CANCEL as soon as a provisional response has come (§9.1); INVITE only.

        Nothing happens after a final response. Without a final response within 64*T1 of the
        CANCEL a local 487 is delivered; if not even a provisional comes, the usual local 408.
        """
        raise NotImplementedError


class ServerTransaction:
    """A request that came in and wants an answer.

    `on_cancel`: a CANCEL came (and was answered 200); answer 487. Without it 487 is answered here.
    `on_end`: the transaction is over.
    """

    request: SipRequest
    source: Peer
    on_cancel: Callable[[], None] | None
    on_end: Callable[[EndReason], None] | None
    answered: bool
    """A final response was sent, or the transaction is over: `respond` has no more to say."""

    def respond(self, response: SipResponse) -> None:
        """Send a provisional or final response; retransmitting it is done here.

        A 2xx to INVITE is sent once, and repeating it until the ACK (§13.3.1.4) is the caller's.
        Raises ProtocolError after a final response; does nothing when the transaction is over.
        """
        raise NotImplementedError


class Endpoint:
    """Sockets, transactions and timers of one SIP address (UDP and TCP on one port)."""

    local: Peer
    """The bound UDP address with its real port."""
    counters: Counter[str]
    """What was received, sent, dropped, refused, by name."""
    on_request: Callable[[ServerTransaction], None]
    """Every new request except ACK and CANCEL; retransmissions never come here.

    If it raises, 500 is answered (400 for MalformedMessage).
    """
    on_ack: Callable[[SipRequest, Peer], None]
    """An ACK to a 2xx, or a stray one."""
    on_stray_response: Callable[[SipResponse, Peer], None]
    """A response that belongs to no transaction, as a 2xx repeated after its transaction ended."""
    screen: Callable[[SipRequest, Peer], Screening] | None
    """Asked about each new request without a To tag before there is a transaction."""

    def __init__(
        self,
        *,
        timers: Timers = Timers(),  # noqa: B008 - frozen
        scheduler: Scheduler | None = None,
        trace: Callable[[TraceRecord], None] | None = None,
        user_agent: str = "Tongdai",
        max_transactions: int = 50_000,
    ) -> None:
        raise NotImplementedError

    async def listen(
        self, bind: str = "127.0.0.1:0", *, external_address: str = "", tcp: bool = True
    ) -> None:
        """Open UDP and, unless `tcp` is false, TCP on the same port.

        `external_address` is what peers are told, "host" or "host:port"; empty: the local address.
        Raises TransportError when the address cannot be had.
        """
        raise NotImplementedError

    def advertised(self, to: Peer) -> tuple[str, int]:
        """Host and port for Via and Contact towards `to`."""
        raise NotImplementedError

    def request(
        self, request: SipRequest, to: Peer, on_response: Callable[[Response], None]
    ) -> ClientTransaction:
        """Send a request in a new transaction; a Via with a new branch and rport goes on top.

        Max-Forwards and User-Agent are added where missing. Never raises for the network:
        what goes wrong there comes as a Response.
        """
        raise NotImplementedError

    def send(self, message: SipRequest | SipResponse, to: Peer) -> None:
        """Send without a transaction: ACK to a 2xx, a repeated 2xx, a proxied message.

        A request gets a Via of ours on top with a new branch, unless its top Via is already ours.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Close the sockets and end every transaction (on_end CLOSED, no more responses)."""
        raise NotImplementedError
