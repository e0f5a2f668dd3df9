"""A layer without sockets: transactions run on a hand-driven clock and talk to a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ivr.sip.exchange import ClientTransaction, Response, ServerTransaction, Transaction
from ivr.sip.matching import server_key
from ivr.sip.message import (
    SipRequest,
    SipResponse,
    Via,
    make_response,
    new_branch,
    parse_message,
    stringify_via,
)
from ivr.sip.peer import Peer
from ivr.sip.transaction import EndReason, Event, Timers
from tests.ivr.sip.clock import Clock
from tests.ivr.sip.messages import make_request

UDP = Peer("udp", "192.0.2.1", 5060)
TCP = Peer("tcp", "192.0.2.1", 5060)


@dataclass(frozen=True)
class Sent:
    at: float
    what: str  # a method or a status

    def __str__(self) -> str:
        return f"{self.what}@{self.at:g}"


class FakeLayer:
    """Implements `ivr.sip.exchange.Layer`; times count from its making."""

    def __init__(self, timers: Timers | None = None) -> None:
        self.timers = timers or Timers()
        self.user_agent = "test"
        self.clock = Clock(0.0)
        self.sent: list[Sent] = []
        self.messages: list[SipRequest | SipResponse] = []
        self.forgotten: list[Transaction] = []
        self.children: list[ClientTransaction] = []
        self.acks: list[SipRequest] = []
        self.strays: list[SipResponse] = []
        self.network_down = False

    @property
    def scheduler(self) -> Clock:
        return self.clock

    def transmit(
        self, data: bytes, to: Peer, failed: Callable[[], None], fallback: Peer | None = None
    ) -> None:
        message = parse_message(data)
        what = message.method if isinstance(message, SipRequest) else str(message.status_code)
        self.messages.append(message)
        self.sent.append(Sent(self.clock.time(), what))
        if self.network_down:
            self.clock.call_later(0, failed)

    def inform(
        self, callback: Callable[..., object], call_id: str, *args: object
    ) -> Exception | None:
        callback(*args)
        return None

    def forget(self, transaction: Transaction) -> None:
        self.forgotten.append(transaction)

    def start_client(
        self, request: SipRequest, to: Peer, on_response: Callable[[Response], None]
    ) -> ClientTransaction:
        child = ClientTransaction(self, request, to, on_response)
        self.children.append(child)
        child.feed(Event.START)
        return child

    def pass_ack(self, ack: SipRequest, source: Peer) -> None:
        self.acks.append(ack)

    def pass_stray(self, response: SipResponse, source: Peer) -> None:
        self.strays.append(response)

    def times(self, what: str) -> list[float]:
        return [each.at for each in self.sent if each.what == what]

    @property
    def whats(self) -> list[str]:
        return [each.what for each in self.sent]


class Client:
    """A client transaction on a FakeLayer, and what its user was told."""

    def __init__(self, method: str = "INVITE", peer: Peer = UDP) -> None:
        self.layer = FakeLayer()
        self.peer = peer
        request = make_request(method, headers=[("Route", "<sip:p;lr>")])
        via = Via(transport="UDP", host="192.0.2.7", params={"branch": new_branch()})
        request.headers.set_single("Via", stringify_via(via))
        self.told: list[tuple[float, int, bool]] = []  # when, status, made locally
        self.transaction = ClientTransaction(self.layer, request, peer, self._told)

    def start(self) -> Client:
        self.transaction.feed(Event.START)
        return self

    def _told(self, response: Response) -> None:
        status = response.message.status_code
        self.told.append((self.layer.clock.time(), status, response.source is None))

    @property
    def statuses(self) -> list[int]:
        return [status for _, status, _ in self.told]

    def hear(self, status: int, to_tag: str = "theirs") -> None:
        response = make_response(self.transaction.request, status, to_tag=to_tag)
        self.transaction.receive(response, self.peer)

    def advance(self, seconds: float) -> None:
        self.layer.clock.advance(seconds)


class Server:
    """A server transaction on a FakeLayer, and what its user was told."""

    def __init__(self, method: str = "INVITE", peer: Peer = UDP) -> None:
        self.layer = FakeLayer()
        self.peer = peer
        request = make_request(method)
        request.headers.set_single("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKserver")
        self.request = request
        self.transaction = ServerTransaction(
            self.layer,
            request,
            peer,
            key=server_key(request, request.top_via, method),
            reply_to=peer,
        )
        self.cancels = 0
        self.ends: list[EndReason] = []
        self.transaction.on_cancel = self._cancelled
        self.transaction.on_end = self.ends.append

    def start(self) -> Server:
        self.transaction.feed(Event.START)
        return self

    def _cancelled(self) -> None:
        self.cancels += 1

    def hear_ack(self) -> None:
        ack = make_request("ACK", call_id=self.request.call_id)
        self.transaction.feed(Event.ACK, ack, self.peer)

    def advance(self, seconds: float) -> None:
        self.layer.clock.advance(seconds)
