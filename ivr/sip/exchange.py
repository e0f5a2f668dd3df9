"""A request and its answers: the transaction machines, run on a scheduler and a network.

`ClientTransaction` and `ServerTransaction` carry out the actions their machine's table names.
What they need of the endpoint is the small `Layer`, so that neither knows sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from ivr.sip.matching import TransactionKey, client_key, make_ack, make_cancel
from ivr.sip.message import SipMessage, SipRequest, SipResponse, make_response, new_tag
from ivr.sip.peer import Peer
from ivr.sip.scheduler import Scheduler
from ivr.sip.scheduler import Timer as Pending
from ivr.sip.transaction import (
    NO_TIMERS,
    RETRANSMITTING,
    Action,
    EndReason,
    Event,
    Machine,
    Start,
    State,
    Timer,
    Timers,
    duration,
)
from ivr.sip.transaction_client import INVITE_CLIENT, NON_INVITE_CLIENT
from ivr.sip.transaction_server import INVITE_SERVER, NON_INVITE_SERVER


@dataclass(frozen=True, slots=True)
class Response:
    """A response to a request of ours. `source` None: made here (408 time-out, 503 transport)."""

    message: SipResponse
    source: Peer | None


class Layer(Protocol):
    """What a transaction needs of the endpoint it lives in."""

    timers: Timers
    user_agent: str

    @property
    def scheduler(self) -> Scheduler:
        """The clock."""

    def transmit(
        self, data: bytes, to: Peer, failed: Callable[[], None], fallback: Peer | None = None
    ) -> None:
        """Send; `failed` is called later, never from within, when the network refuses."""

    def inform(
        self, callback: Callable[..., object], call_id: str, *args: object
    ) -> Exception | None:
        """Call back the user; what it raises is logged and returned."""

    def forget(self, transaction: Transaction) -> None:
        """The transaction is over."""

    def start_client(
        self, request: SipRequest, to: Peer, on_response: Callable[[Response], None]
    ) -> ClientTransaction:
        """Run a client transaction for a request that has its Via already."""

    def pass_ack(self, ack: SipRequest, source: Peer) -> None:
        """Hand an ACK to the user."""

    def pass_stray(self, response: SipResponse, source: Peer) -> None:
        """Hand a response that changes no transaction to the user."""


class Transaction:
    """Runs a machine: one event at a time, with its actions and timers."""

    __slots__ = ("_fired", "_layer", "_machine", "_running", "key", "state")

    def __init__(self, layer: Layer, machine: Machine, key: TransactionKey) -> None:
        self._layer = layer
        self._machine = machine
        self._running: dict[Timer, Pending] = {}
        self._fired = 0
        self.key = key
        self.state = State.IDLE

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself."""
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        """Whether the transaction is over and forgotten."""
        return self.state is State.TERMINATED

    def _do(self, action: Action, message: SipMessage | None, source: Peer | None) -> None:
        raise NotImplementedError

    def feed(
        self, event: Event, message: SipMessage | None = None, source: Peer | None = None
    ) -> None:
        """Let `event` happen. Raises ProtocolError where the table has no such step.

        Telling the user, who may feed an event in turn, is the last action of every list, and
        a timer of no duration fires at once, which only telling the user follows.
        """
        before = self.state
        self.state, actions = self._machine.step(before, event)
        if self.state is not before:
            self._stop(self._machine.timers[self.state])
            if self.state is State.TERMINATED:
                self._layer.forget(self)
        for action in actions:
            if isinstance(action, Start):
                self._start(action.timer)
            else:
                self._do(action, message, source)

    def _stop(self, kept: frozenset[Timer]) -> None:
        for timer in [timer for timer in self._running if timer not in kept]:
            self._running.pop(timer).cancel()

    def _start(self, timer: Timer) -> None:
        seconds = duration(
            timer, self._layer.timers, reliable=self.reliable, fired=self._fired, state=self.state
        )
        if seconds == 0:
            self.feed(timer.value)
        elif seconds is not None:
            self._running[timer] = self._layer.scheduler.call_later(seconds, self._fire, timer)

    def _fire(self, timer: Timer) -> None:
        del self._running[timer]
        if timer in RETRANSMITTING:
            self._fired += 1
        self.feed(timer.value)

    def _failed(self) -> None:
        self.feed(Event.TRANSPORT_ERROR)

    def close(self) -> None:
        """End at once, without a word to the peer."""
        self._stop(NO_TIMERS)
        self.state = State.TERMINATED


class ClientTransaction(Transaction):
    """A request of ours on its way; responses come to the `on_response` given to `request`.

    Provisionals come as they are (retransmitted ones too), a non-2xx final exactly once, and for
    INVITE every 2xx within 64*T1 of the first, retransmissions and other forks alike: each wants
    its ACK. The ACK to a non-2xx final is sent here.
    """

    __slots__ = ("_cancel_headers", "_on_response", "_wire", "peer", "request")

    def __init__(
        self,
        layer: Layer,
        request: SipRequest,
        peer: Peer,
        on_response: Callable[[Response], None],
    ) -> None:
        machine = INVITE_CLIENT if request.method == "INVITE" else NON_INVITE_CLIENT
        super().__init__(layer, machine, client_key(request))
        self.request = request
        self.peer = peer
        self._on_response = on_response
        self._wire = bytes(request)
        self._cancel_headers: tuple[tuple[str, str], ...] = ()

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself."""
        return self.peer.transport == "tcp"

    def cancel(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send CANCEL as soon as a provisional response has come (§9.1); INVITE only.

        Nothing happens after a final response. Without a final response within 64*T1 of the
        CANCEL a local 487 is delivered; if not even a provisional comes, the usual local 408.
        Raises ProtocolError for any other method.
        """
        if self.state not in (State.CANCEL_PENDING, State.CANCELLING):
            self._cancel_headers = tuple(headers)
        self.feed(Event.CANCEL)

    def receive(self, response: SipResponse, source: Peer) -> None:
        """A response that matches this transaction came (§17.1.3)."""
        self.feed(_event_of(response), response, source)

    def _do(self, action: Action, message: SipMessage | None, source: Peer | None) -> None:
        if action is Action.SEND:
            self._layer.transmit(self._wire, self.peer, self._failed)
        elif action in _LOCAL_STATUS:
            self._deliver(make_response(self.request, _LOCAL_STATUS[action]), None)
        elif action is Action.SEND_CANCEL:
            cancel = make_cancel(self.request, self._cancel_headers)
            self._layer.start_client(cancel, self.peer, _ignore)
        else:
            self._do_with(action, message, source)

    def _do_with(self, action: Action, message: SipMessage | None, source: Peer | None) -> None:
        assert isinstance(message, SipResponse)
        if action is Action.DELIVER:
            self._deliver(message, source)
        elif action is Action.SEND_ACK:
            ack = bytes(make_ack(self.request, message))
            self._layer.transmit(ack, self.peer, self._failed)
        elif action is Action.DELIVER_STRAY:
            assert source is not None
            self._layer.pass_stray(message, source)

    def _deliver(self, response: SipResponse, source: Peer | None) -> None:
        self._layer.inform(self._on_response, response.call_id, Response(response, source))


_LOCAL_STATUS = {
    Action.DELIVER_TIMEOUT: 408,
    Action.DELIVER_TRANSPORT_ERROR: 503,
    Action.DELIVER_CANCELLED: 487,
}


class ServerTransaction(Transaction):
    """A request that came in and wants an answer.

    `on_cancel`: a CANCEL came (and was answered 200); answer 487. Without it 487 is answered here.
    `on_end`: the transaction is over. `to_tag`: a fresh tag for the To of all its answers.
    """

    __slots__ = (
        "_fallback",
        "_reply_to",
        "_wire",
        "on_cancel",
        "on_end",
        "request",
        "source",
        "to_tag",
    )

    def __init__(
        self,
        layer: Layer,
        request: SipRequest,
        source: Peer,
        *,
        key: TransactionKey,
        reply_to: Peer,
        fallback: Peer | None = None,
    ) -> None:
        machine = INVITE_SERVER if request.method == "INVITE" else NON_INVITE_SERVER
        super().__init__(layer, machine, key)
        self.request = request
        self.source = source
        self.on_cancel: Callable[[], None] | None = None
        self.on_end: Callable[[EndReason], None] | None = None
        self.to_tag = new_tag()
        self._reply_to = reply_to
        self._fallback = fallback
        self._wire = b""

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself."""
        return self.source.transport == "tcp"

    @property
    def answered(self) -> bool:
        """A final response was sent, or the transaction is over: nothing more can be said."""
        return self.state not in (State.IDLE, State.TRYING, State.PROCEEDING)

    def respond(self, response: SipResponse) -> None:
        """Send a provisional or final response; retransmitting it is done here.

        A 2xx to INVITE is sent once, and repeating it until the ACK (§13.3.1.4) is the caller's.
        Raises ProtocolError after a final response; does nothing when the transaction is over.
        """
        self.feed(_event_of(response), response)

    def reply(
        self,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> SipResponse:
        """`respond` with `make_response` and this transaction's To tag; gives what it sent."""
        response = make_response(
            self.request,
            status,
            reason,
            to_tag=self.to_tag if status > 100 else None,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        self.respond(response)
        return response

    def _do(self, action: Action, message: SipMessage | None, source: Peer | None) -> None:
        if action is Action.SEND:
            self._send(message)
        elif action is Action.SEND_TRYING:
            self._send(make_response(self.request, 100))
        elif action is Action.DELIVER_CANCEL:
            self._deliver_cancel()
        elif action is Action.DELIVER_ACK:
            assert isinstance(message, SipRequest)
            assert source is not None
            self._layer.pass_ack(message, source)
        else:
            self._end(_END_REASON[action])

    def _send(self, response: SipMessage | None) -> None:
        """A new response, or once more the latest."""
        if response is not None and isinstance(response, SipResponse):
            if "server" not in response.headers:
                response.set_header("Server", self._layer.user_agent)
            self._wire = bytes(response)
        self._layer.transmit(self._wire, self._reply_to, self._failed, self._fallback)

    def _deliver_cancel(self) -> None:
        if self.on_cancel is not None:
            self._layer.inform(self.on_cancel, self.request.call_id)
        else:
            self.reply(487)

    def _end(self, reason: EndReason) -> None:
        if self.on_end is not None:
            self._layer.inform(self.on_end, self.request.call_id, reason)

    def close(self) -> None:
        """End at once, without a word to the peer."""
        super().close()
        self._end(EndReason.CLOSED)


_END_REASON = {
    Action.END: EndReason.COMPLETED,
    Action.END_TIMEOUT: EndReason.TIMEOUT,
    Action.END_TRANSPORT_ERROR: EndReason.TRANSPORT_ERROR,
}


def _event_of(response: SipResponse) -> Event:
    if response.status_code < 200:
        return Event.PROVISIONAL
    return Event.SUCCESS if response.status_code < 300 else Event.FAILURE


def _ignore(_response: Response) -> None:
    """The answer to a CANCEL says nothing the INVITE's own answer does not."""
