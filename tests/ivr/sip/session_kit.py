"""A user agent on a table: a clock turned by hand, and a wire whose other end is the test."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from ivr.sip.endpoint import Endpoint
from ivr.sip.message import (
    Address,
    SipRequest,
    SipResponse,
    SipUri,
    make_response,
    new_branch,
    parse_message,
)
from ivr.sip.sdp import Audio, make_offer
from ivr.sip.session import Session
from ivr.sip.session_events import SessionEvent
from ivr.sip.transport import Peer
from ivr.sip.useragent import UserAgent
from tests.ivr.sip.clock import Clock

US = Peer("udp", "192.0.2.1", 5060)
FAR = Peer("udp", "192.0.2.2", 5060)
OFFER = make_offer(Audio("192.0.2.1", 4000), session_id=1, version=1)
ANSWER = make_offer(Audio("192.0.2.2", 5000, codecs=("PCMA",)), session_id=7, version=1)
HOLD = make_offer(Audio("192.0.2.2", 5000, direction="sendonly"), session_id=7, version=2)
ALICE = Address(uri=SipUri(user="alice", host="192.0.2.1"))
BOB = "sip:bob@192.0.2.2"


async def breathe() -> None:
    """Let tasks that can run do so."""
    for _ in range(8):
        await asyncio.sleep(0)


async def later(awaitable: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Begin to wait for something, and let it come as far as it can."""
    task = asyncio.ensure_future(awaitable)
    await breathe()
    return task


class WiredEndpoint(Endpoint):
    """An endpoint without sockets: what it sends is handed to `out`."""

    def __init__(self, local: Peer, out: Callable[[bytes, Peer], None], **options: Any) -> None:
        super().__init__(**options)
        self._local = local
        self._out = out

    @property
    def local(self) -> Peer:
        return self._local

    def advertised(self, to: Peer) -> tuple[str, int]:
        return self._local.host, self._local.port

    def transmit(
        self, data: bytes, to: Peer, failed: Callable[[], None], fallback: Peer | None = None
    ) -> None:
        self._out(data, to)

    def inject(self, data: bytes, source: Peer) -> None:
        """A datagram arrives."""
        self._received(data, source)


class Table:
    """One user agent of ours, and the far side played by the test, message by message."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.sent: deque[tuple[SipRequest | SipResponse, Peer]] = deque()
        self.endpoint = WiredEndpoint(US, self._out, scheduler=self.clock)
        self.agent = UserAgent(self.endpoint, **options)
        self.agent.on_invite = self._invited
        self.incoming: list[Session] = []
        self.events: list[SessionEvent] = []

    def _out(self, data: bytes, to: Peer) -> None:
        self.sent.append((parse_message(data), to))

    def _invited(self, session: Session) -> None:
        session.on_event = self.events.append
        self.incoming.append(session)

    async def wait(self, seconds: float) -> None:
        """Let time pass, and tasks run whenever something falls due."""
        until = self.clock.time() + seconds
        await breathe()
        while self.clock.time() < until:
            due = self.clock._due
            self.clock.advance(min(due[0][0] if due else until, until) - self.clock.time())
            await breathe()

    # our side ------------------------------------------------------------------------------------

    def call(self, **options: Any) -> Session:
        given: dict[str, Any] = {"uri": BOB, "to": FAR, "from_": ALICE, "sdp": OFFER}
        session = self.agent.invite(**(given | options))
        session.on_event = self.events.append
        return session

    def take(self, kind: str | int) -> Any:
        """The next message we sent, which must be this method or status."""
        message, self.sent_to = self.sent.popleft()
        told = message.method if isinstance(message, SipRequest) else message.status_code
        assert told == kind, f"sent {told}, expected {kind}"
        return message

    def silent(self) -> bool:
        return not self.sent

    def kinds(self) -> list[str | int]:
        """Everything we sent since last asked, by method or status."""
        told = [
            message.method if isinstance(message, SipRequest) else message.status_code
            for message, _ in self.sent
        ]
        self.sent.clear()
        return told

    def told(self, *kinds: type) -> list[Any]:
        """Events so far, or those of the kinds named."""
        return [event for event in self.events if not kinds or isinstance(event, kinds)]

    # the far side --------------------------------------------------------------------------------

    def hear(self, message: SipRequest | SipResponse | bytes, source: Peer = FAR) -> None:
        """A message from the far side arrives."""
        self.endpoint.inject(bytes(message), source)

    def respond(
        self,
        request: SipRequest,
        status: int,
        headers: Iterable[tuple[str, str]] = (),
        *,
        tag: str = "far",
        sdp: bytes | None = None,
        contact: str | None = "<sip:bob@192.0.2.2:5060>",
        source: Peer = FAR,
    ) -> SipResponse:
        """The far side answers a request of ours."""
        extra = list(headers)
        if contact and 100 < status < 300 and request.method in ("INVITE", "UPDATE"):
            extra.append(("Contact", contact))
        response = make_response(
            request,
            status,
            to_tag=tag if status > 100 else None,
            headers=extra,
            body=sdp or b"",
            content_type="application/sdp" if sdp else None,
        )
        self.hear(response, source)
        return response

    def invite(
        self,
        headers: Iterable[tuple[str, str]] = (),
        *,
        sdp: bytes | None = OFFER,
        call_id: str = "theirs@far",
        cseq: int = 1,
        source: Peer = FAR,
    ) -> SipRequest:
        """The far side calls us."""
        given = dict(headers)
        extra = [("Contact", "<sip:bob@192.0.2.2:5060>")] if "Contact" not in given else []
        request = far_request(
            "INVITE",
            "sip:alice@192.0.2.1",
            call_id=call_id,
            from_="Bob <sip:bob@192.0.2.2>;tag=far",
            to="Alice <sip:alice@192.0.2.1>",
            cseq=cseq,
            headers=[*extra, *headers],
            body=sdp or b"",
        )
        self.hear(request, source)
        return request

    def inside(
        self,
        method: str,
        cseq: int,
        headers: Iterable[tuple[str, str]] = (),
        *,
        session: Session,
        body: bytes = b"",
        content_type: str = "application/sdp",
        tag: str = "far",
    ) -> SipRequest:
        """A request of the far side within the dialog of `session`."""
        core = session._core
        assert core.dialog is not None
        request = far_request(
            method,
            "sip:alice@192.0.2.1:5060",
            call_id=core.call_id,
            from_=core.dialog.remote if tag == "far" else f"<sip:bob@192.0.2.2>;tag={tag}",
            to=core.dialog.local,
            cseq=cseq,
            headers=[("Contact", "<sip:bob@192.0.2.2:5060>"), *headers],
            body=body,
            content_type=content_type,
        )
        self.hear(request)
        return request

    # both together -------------------------------------------------------------------------------

    def up_out(self, **options: Any) -> tuple[Session, SipRequest]:
        """A call of ours that was answered; and its INVITE."""
        session = self.call(**options)
        invite = self.take("INVITE")
        self.respond(invite, 200, sdp=ANSWER)
        self.take("ACK")
        return session, invite

    def up_in(self, headers: Iterable[tuple[str, str]] = ()) -> Session:
        """A call of theirs that we answered."""
        self.invite(headers)
        session = self.incoming[-1]
        session.accept(ANSWER)
        self.take(200)
        self.inside("ACK", 1, session=session)
        return session

    def at_rest(self) -> bool:
        """Whether nothing is left of any session."""
        return not self.agent._sessions and not self.agent._invited


def far_request(
    method: str,
    uri: str,
    *,
    call_id: str,
    from_: str,
    to: str,
    cseq: int,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str = "application/sdp",
    branch: str | None = None,
) -> SipRequest:
    """A request as the far side writes it."""
    request = SipRequest(method=method, uri=uri, body=body)
    request.add_header("Via", f"SIP/2.0/UDP 192.0.2.2:5060;branch={branch or new_branch()}")
    request.add_header("Max-Forwards", "70")
    request.add_header("From", from_)
    request.add_header("To", to)
    request.add_header("Call-ID", call_id)
    request.add_header("CSeq", f"{cseq} {method}")
    for name, value in headers:
        request.add_header(name, value)
    if body:
        request.set_header("Content-Type", content_type)
    return request
