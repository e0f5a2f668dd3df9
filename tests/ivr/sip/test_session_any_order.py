"""Whatever happens, in whatever order: one last event, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivr.sip.errors import SipError
from ivr.sip.message import SipRequest, parse_message
from ivr.sip.session import Session
from ivr.sip.session_events import Ended, Failed
from tests.ivr.sip.session_kit import ANSWER, FAR, HOLD, OFFER, Table, far_request

REFER_TO = [("Refer-To", "<sip:carol@192.0.2.3>")]
PROXY = [("Proxy-Authenticate", 'Digest realm="r", nonce="n"')]
RELIABLE = [("Require", "100rel"), ("RSeq", "1")]
EXPIRES = [("Session-Expires", "90;refresher=uac")]

OURS = ["bye", "cancel", "ring", "ring reliably", "accept", "reject", "reoffer", "update", "info",
        "refer", "answer offer", "reject offer"]  # fmt: skip
THEIRS = ["BYE", "CANCEL", "ACK", "INVITE", "UPDATE", "PRACK", "INFO", "REFER", "NOTIFY", "again"]
RESPONSES = [100, 180, 183, 200, 302, 401, 407, 408, 422, 481, 486, 487, 491, 500, 503]
TIMES = [0.1, 1.0, 40.0, 100.0]

steps = st.lists(
    st.one_of(
        st.sampled_from(OURS).map(lambda name: ("we", name)),
        st.sampled_from(THEIRS).map(lambda name: ("they", name)),
        st.tuples(
            st.just("respond"),
            st.tuples(st.sampled_from(RESPONSES), st.integers(0, 3), st.sampled_from("ab")),
        ),
        st.sampled_from(TIMES).map(lambda seconds: ("wait", seconds)),
    ),
    max_size=14,
)


class Chaos:
    """Plays a list of steps against one session."""

    def __init__(self, table: Table, session: Session) -> None:
        self.table = table
        self.session = session
        self.requests: list[SipRequest] = []
        self.heard: list[bytes] = []
        self.cseq = 1
        self.tasks: list[asyncio.Task[Any]] = []

    def collect(self) -> None:
        while self.table.sent:
            message, _ = self.table.sent.popleft()
            if isinstance(message, SipRequest) and message.method != "ACK":
                self.requests.append(message)

    async def play(self, kind: str, what: Any) -> None:
        self.collect()
        if kind == "wait":
            await self.table.wait(what)
        elif kind == "we":
            self.we(what)
            await self.table.wait(0)
        elif kind == "they":
            self.they(what)
        else:
            self.respond(*what)

    def we(self, what: str) -> None:
        session = self.session
        plain: dict[str, Callable[[], object]] = {
            "bye": session.bye,
            "cancel": session.cancel,
            "ring": session.ring,
            "ring reliably": lambda: session.ring(183, ANSWER, reliable=True),
            "accept": lambda: session.accept(ANSWER),
            "reject": lambda: session.reject(486),
            "answer offer": lambda: session.answer_offer(ANSWER),
            "reject offer": session.reject_offer,
        }
        waiting: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "reoffer": lambda: session.reoffer(OFFER),
            "update": lambda: session.update(OFFER),
            "info": lambda: session.info("application/dtmf", b"1"),
            "refer": lambda: session.refer("sip:carol@192.0.2.3"),
        }
        if what in plain:
            with suppress(SipError):
                plain[what]()
        else:
            self.tasks.append(asyncio.ensure_future(waiting[what]()))

    def they(self, what: str) -> None:
        table, session = self.table, self.session
        if what == "again" and self.heard:
            table.hear(self.heard[-1])
            return
        core = session._core
        if what == "CANCEL" and core.direction == "in":
            invite = core.request
            table.hear(
                far_request(
                    "CANCEL",
                    invite.uri,
                    call_id=core.call_id,
                    from_=invite.headers.get_first("from") or "",
                    to=invite.headers.get_first("to") or "",
                    cseq=1,
                    branch=invite.top_via.branch,
                )
            )
        elif core.dialog is not None and what not in ("again", "CANCEL"):
            self.cseq += what != "ACK"
            headers = {"REFER": REFER_TO, "NOTIFY": [("Event", "refer")]}.get(what, [])
            body = HOLD if what in ("INVITE", "UPDATE") else b""
            seq = 1 if what == "ACK" else self.cseq
            table.inside(what, seq, headers, session=session, body=body, tag=core.dialog.remote_tag)

    def respond(self, status: int, back: int, tag: str) -> None:
        if not self.requests:
            return
        request = self.requests[-1 - back % len(self.requests)]
        headers: list[tuple[str, str]] = []
        if status in (401, 407):
            headers = PROXY
        elif status == 183:
            headers = RELIABLE
        elif status == 200:
            headers = EXPIRES
        elif status == 422:
            headers = [("Min-SE", "2000")]
        sdp = ANSWER if status in (183, 200) and request.method == "INVITE" else None
        response = self.table.respond(request, status, headers, tag=tag, sdp=sdp)
        self.heard.append(bytes(response))

    async def end(self) -> None:
        """The owner hangs up at last, and the network stays silent."""
        self.session.bye()
        for _ in range(12):
            await self.table.wait(40)
            self.table.sent.clear()
        for task in self.tasks:
            assert task.done()
            with suppress(SipError):
                task.result()


async def check(table: Table, session: Session, played: list[tuple[str, Any]]) -> None:
    chaos = Chaos(table, session)
    for kind, what in played:
        await chaos.play(kind, what)
    await chaos.end()
    last = table.told(Failed, Ended)
    assert len(last) == 1
    assert table.events[-1] is last[0]
    assert table.at_rest()
    assert table.endpoint.counters["callback_errors"] == 0
    assert table.endpoint.counters["internal_errors"] == 0
    assert table.endpoint.transactions == 0
    assert table.clock.pending == 0


slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slow
@given(steps, st.booleans())
async def test_calling(played: list[tuple[str, Any]], offering: bool) -> None:
    table = Table(min_se=90)
    await check(table, table.call(sdp=OFFER if offering else None), played)


@slow
@given(steps, st.booleans(), st.booleans())
async def test_being_called(played: list[tuple[str, Any]], offering: bool, reliable: bool) -> None:
    table = Table()
    options = [("Supported", "100rel, timer"), ("Session-Expires", "90")]
    if reliable:
        options.append(("Require", "100rel"))
    table.invite(options, sdp=OFFER if offering else None)
    await check(table, table.incoming[0], played)


@pytest.mark.parametrize("junk", [b"", b"SIP/2.0 200 OK\r\n\r\n", b"\xff" * 90])
async def test_junk_is_not_noticed(junk: bytes) -> None:
    table = Table()
    session, invite = table.up_out()
    table.hear(junk, FAR)
    response = parse_message(bytes(invite))
    table.hear(bytes(response)[:60], FAR)
    assert session.state == "up"
