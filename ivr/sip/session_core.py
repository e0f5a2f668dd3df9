"""What every part of a session shares: its state, its dialog, its clock, its way out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from ivr.sip.dialog import Dialog
from ivr.sip.digest import Attempt, Credentials, Login
from ivr.sip.endpoint import Response, ServerTransaction, Timer
from ivr.sip.message import SipMessage, SipRequest, SipResponse, make_response
from ivr.sip.session_around import Headers, Surroundings
from ivr.sip.session_events import Ended, Failed, SessionEvent, SessionOver, SessionStateError
from ivr.sip.session_states import ANSWERED, MOVES, Ending, Input, State
from ivr.sip.transport import Peer

log = logging.getLogger(__name__)

LATE_ANSWERS = "late answers"  # held by a call that failed: a callee may answer it all the same

OnResponse = Callable[[Response, SipRequest], None]
"""Takes a response to a request of ours, and the request as it was sent."""


class SessionCore:
    """State, dialog, timers and in-dialog requests of one session.

    `held` names what the session still owes the network after it is over (an answer to BYE, the
    end of a transfer); until it is empty the user agent keeps routing its dialog here.
    """

    def __init__(
        self,
        around: Surroundings,
        *,
        direction: Literal["in", "out"],
        request: SipRequest,
        local_tag: str,
        peer: Peer,
        credentials: Credentials | None = None,
    ) -> None:
        self.around = around
        self.direction = direction
        self.request = request
        self.call_id = request.call_id
        self.local = request.from_addr if direction == "out" else request.to_addr
        self.remote = request.to_addr if direction == "out" else request.from_addr
        self.local_tag = local_tag
        self.peer = peer
        self.login = Login(credentials) if credentials else None
        self.state = State.CALLING if direction == "out" else State.INCOMING
        self.dialog: Dialog | None = None
        self.local_sdp = request.body or None if direction == "out" else None
        self.remote_sdp: bytes | None = None
        self.policy = around.policy
        self.peer_allows: frozenset[str] = frozenset()
        self.at_end: list[Callable[[], None]] = []
        self.held: set[str] = set()
        self._listener: Callable[[SessionEvent], None] | None = None
        self._untold: list[SessionEvent] = []
        self._timers: dict[str, Timer] = {}
        self._promises: set[asyncio.Future[Any]] = set()

    # -- the story ----------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the final event was given."""
        return self.state is State.OVER

    @property
    def listener(self) -> Callable[[SessionEvent], None] | None:
        """Who gets the events."""
        return self._listener

    def listen(self, listener: Callable[[SessionEvent], None]) -> None:
        """Send events there, those that came before anyone listened first."""
        self._listener = listener
        while self._untold:
            self._tell(self._untold.pop(0))

    def tell(self, event: SessionEvent) -> None:
        """Hand an event to the owner."""
        if self._listener is None or self._untold:
            self._untold.append(event)
        else:
            self._tell(event)

    def _tell(self, event: SessionEvent) -> None:
        assert self._listener is not None
        try:
            self._listener(event)
        except Exception:  # the owner's bug must not stop the signalling of its call
            log.exception("Call %s: the handler of %s failed", self.call_id, type(event).__name__)

    def can(self, what: Input) -> bool:
        """Whether the state has a move for this."""
        return what in MOVES[self.state]

    def move(self, what: Input) -> Ending | None:
        """Take a step in the table; SessionStateError where there is none."""
        try:
            self.state, ending = MOVES[self.state][what]
        except KeyError:
            raise SessionStateError(
                f"Call {self.call_id}: {what.name.lower()} is not possible "
                f"while it is {self.state.name.lower()}."
            ) from None
        return ending

    def finish(self, what: Input, event: Failed | Ended) -> None:
        """Take the step into the end and report it, unless it was reported before."""
        ending = self.move(what)
        if ending is None:
            return
        assert (ending is Ending.ENDED) == isinstance(event, Ended), f"{what} told as {event}"
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for promise in list(self._promises):
            if not promise.done():
                promise.set_exception(SessionOver(f"Call {self.call_id} is over."))
        for callback in self.at_end:
            callback()
        self.tell(event)
        self._settle()

    def hold(self, what: str) -> None:
        """Keep the dialog known after the end, until `release`."""
        self.held.add(what)

    def release(self, what: str) -> None:
        """The reverse of `hold`."""
        self.held.discard(what)
        self._settle()

    @property
    def parting(self) -> bool:
        """Whether the far side still waits for the end of it, or has not heard of it yet."""
        return not self.over or bool(self.held - {LATE_ANSWERS})

    def _settle(self) -> None:
        if self.over and not self.held:
            self.around.gone(self)
        if self.over:
            self.around.lessened()

    def hears_from(self, host: str) -> bool:
        """Whether a request of this dialog may come from there: a hop of its own."""
        hosts = self.dialog.hosts() if self.dialog else frozenset()
        return host == self.peer.host or host in hosts

    # -- the clock ----------------------------------------------------------------------------

    def after(self, name: str, delay: float, callback: Callable[[], object]) -> None:
        """Call back once, unless the session ends or the name is set again before."""
        self.stop(name)
        self._timers[name] = self.around.later(delay, callback)

    async def sleep(self, delay: float) -> None:
        """Wait on the session's clock; SessionOver when it ends meanwhile."""
        promise = self.promise()
        timer = self.around.later(delay, lambda: settle(promise))
        try:
            await promise
        finally:
            timer.cancel()

    def promise(self) -> asyncio.Future[Any]:
        """A future that fails with SessionOver at the end of the session."""
        if self.over or self.dialog is None:
            raise SessionOver(f"Call {self.call_id} is not up.")
        promise: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._promises.add(promise)
        promise.add_done_callback(self._promises.discard)
        return promise

    def stop(self, name: str) -> None:
        """Forget a timer."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    # -- the wire -----------------------------------------------------------------------------

    def note_peer(self, message: SipMessage) -> None:
        """Remember which methods the far side allows."""
        values = message.headers.get("allow")
        if values:
            self.peer_allows = frozenset(
                method.strip().upper() for value in values for method in value.split(",")
            )

    def contact(self) -> tuple[str, str]:
        """Our Contact in this dialog."""
        source = self.dialog.source if self.dialog else self.peer
        return self.around.contact(self.local.uri.user, source)

    def send(self, dialog: Dialog, request: SipRequest) -> None:
        """Send an ACK: outside any transaction, where the dialog leads."""
        self.around.resolver.locate(
            dialog.next_hop(), dialog.source, lambda to: self.around.endpoint.send(request, to)
        )

    def ask(
        self,
        method: str,
        on_response: OnResponse,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        *,
        dialog: Dialog | None = None,
    ) -> None:
        """Send a request in the dialog; challenges are answered, the rest goes to `on_response`."""
        within = dialog or self.dialog
        assert within is not None, "no request before there is a dialog"
        _Asking(self, within, method, list(headers), body, content_type, on_response).send()

    async def asked(
        self,
        method: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> SipResponse:
        """Send a request in the dialog and wait for its final response.

        Raises SessionOver when the session ends meanwhile; 408 and 481 end it (§12.2.1.2).
        """
        promise = self.promise()

        def on_response(response: Response, _: SipRequest) -> None:
            if response.message.status_code >= 200:
                settle(promise, response.message)
                self.check_alive(response.message)

        self.ask(method, on_response, headers, body, content_type)
        final: SipResponse = await promise
        return final

    def answer(
        self,
        transaction: ServerTransaction,
        status: int,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        reason: str | None = None,
    ) -> SipResponse:
        """Answer a request in the dialog, unless its transaction is over."""
        response = make_response(
            transaction.request,
            status,
            reason,
            to_tag=self.local_tag,
            headers=headers,
            body=body or b"",
            content_type="application/sdp" if body else None,
        )
        if not transaction.answered:
            transaction.respond(response)
        return response

    # -- the end ------------------------------------------------------------------------------

    def check_alive(self, response: SipResponse) -> None:
        """End the session where the far side does not know it, or says nothing (§12.2.1.2).

        Before it is answered its INVITE alone decides.
        """
        if response.status_code in (408, 481) and self.state in ANSWERED:
            why = "no answer" if response.status_code == 408 else "the far side knows it no more"
            self.lose(f"{why} to {response.cseq.method}")

    def lose(self, reason: str) -> None:
        """The far side of an answered session is gone: say BYE all the same, and end."""
        if self.state in ANSWERED:
            self.say_bye(headers=[("Reason", f'SIP;cause=408;text="{reason}"')])
            self.finish(Input.LOST, Ended("network", reason))

    def say_bye(
        self, headers: Iterable[tuple[str, str]] = (), *, dialog: Dialog | None = None
    ) -> None:
        """Send BYE, and keep the dialog known until it is answered."""
        within = dialog or self.dialog
        assert within is not None
        name = f"bye {within.remote_tag}"
        self.hold(name)

        def on_response(response: Response, _: SipRequest) -> None:
            if response.message.status_code >= 200:
                self.release(name)

        self.ask("BYE", on_response, headers, dialog=within)


@dataclass(slots=True)
class _Asking:
    """One request in a dialog, sent again with credentials where that is asked for."""

    core: SessionCore
    dialog: Dialog
    method: str
    headers: Headers
    body: bytes
    content_type: str | None
    on_response: OnResponse
    attempt: Attempt | None = None

    def send(self) -> None:
        """Send it, with credentials where a realm of the session has asked for them."""
        request = self.dialog.request(self.method, self.headers, self.body, self.content_type)
        login = self.core.login
        if login is not None:
            for name, value in login.headers(self.method, request.uri):
                request.headers.append(name, value)
        around = self.core.around

        def go(to: Peer) -> None:
            around.endpoint.request(request, to, partial(self._received, request))

        around.resolver.locate(self.dialog.next_hop(), self.dialog.source, go)

    def _received(self, request: SipRequest, response: Response) -> None:
        message = response.message
        if message.status_code in (401, 407) and self.core.login is not None:
            self.attempt = self.attempt or self.core.login.attempt()
            if self.attempt.accept(message):
                self.send()
                return
        self.on_response(response, request)


def settle(promise: asyncio.Future[Any], value: object = None) -> None:
    """Keep a promise that may have been cancelled or broken before."""
    if not promise.done():
        promise.set_result(value)


def proof_of(invite: SipRequest) -> Headers:
    """The credentials of an INVITE, which its ACK repeats (§22.1)."""
    return [
        (name, value)
        for name in ("Authorization", "Proxy-Authorization")
        for value in invite.headers.get(name)
    ]
