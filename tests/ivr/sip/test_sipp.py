"""SIPp, which nobody here wrote, plays the far side: every scenario file in `scenarios/`.

The name of a file says what it does: who calls (uas: we do, uac: it does) and how that goes.
SIPp itself fails where a message it expects does not come; here we check what was told to us.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ivr.sip.digest import Credentials
from ivr.sip.endpoint import Endpoint, Timers
from ivr.sip.message import Address, SipUri
from ivr.sip.sdp import Audio, answer, make_answer, make_offer, parse_audio
from ivr.sip.session import Session
from ivr.sip.session_events import (
    Accepted,
    Ended,
    Failed,
    Keyed,
    Offered,
    Referred,
    Ringing,
    SessionEvent,
)
from ivr.sip.transport import Peer
from ivr.sip.useragent import UserAgent

SCENARIOS = Path(__file__).parent / "scenarios"
OURS = Audio("127.0.0.1", 4000)
OFFER = make_offer(OURS, session_id=1, version=1)
QUICK = Timers(t1=0.1, t2=0.4, t4=0.5)
LIMIT = 15  # seconds a scenario may take

pytestmark = pytest.mark.peer


def free_port() -> int:
    """A port nobody has; SIPp must be told one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Phone:
    """Our side: one user agent that answers offers as a phone would."""

    def __init__(self) -> None:
        self.endpoint = Endpoint(timers=QUICK)
        self.agent = UserAgent(self.endpoint)
        self.agent.on_invite = self._invited
        self.events: list[SessionEvent] = []
        self.on_incoming: Callable[[Session], None] = lambda session: session.accept(
            answered(session)
        )
        self.react: Callable[[Session, SessionEvent], None] = lambda *_: None
        self.ended = asyncio.Event()

    def follow(self, session: Session) -> None:
        def note(event: SessionEvent) -> None:
            self.events.append(event)
            if isinstance(event, Offered):
                session.answer_offer(answer_to(event.sdp))
            self.react(session, event)
            if isinstance(event, Failed | Ended):
                self.ended.set()

        session.on_event = note

    def _invited(self, session: Session) -> None:
        self.follow(session)
        self.on_incoming(session)

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def call(self, port: int, **options: Any) -> Session:
        given: dict[str, Any] = {
            "uri": f"sip:sipp@127.0.0.1:{port}",
            "to": Peer("udp", "127.0.0.1", port),
            "from_": Address(uri=SipUri(user="alice", host="127.0.0.1")),
            "sdp": OFFER,
        }
        session = self.agent.invite(**(given | options))
        self.follow(session)
        return session


def answer_to(offer: bytes) -> bytes:
    ours = answer(parse_audio(offer), OURS)
    return make_answer(offer, ours, session_id=1, version=2)


def answered(session: Session) -> bytes:
    return OFFER if session.offer is None else answer_to(session.offer)


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    made = Phone()
    await made.endpoint.listen()
    yield made
    made.agent.close()
    await made.endpoint.close()


async def sipp(scenario: str, port: int, to: str = "") -> asyncio.subprocess.Process:
    """Start SIPp with one scenario for one call."""
    arguments = [
        "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port), "-m", "1",
        "-nostdin", "-timeout", f"{LIMIT}s", "-timeout_error", "-recv_timeout", "10000",
    ]  # fmt: skip
    return await asyncio.create_subprocess_exec(
        "sipp",
        *arguments,
        *([to] if to else []),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd="/tmp",
    )


async def succeeds(process: asyncio.subprocess.Process) -> None:
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT + 5)
    assert process.returncode == 0, output.decode(errors="replace")


async def called(phone: Phone, scenario: str, **options: Any) -> None:
    """We call SIPp, and both come to their end."""
    port = free_port()
    process = await sipp(scenario, port)
    phone.call(port, **options)
    await succeeds(process)
    await asyncio.wait_for(phone.ended.wait(), LIMIT)
    assert phone.endpoint.counters["callback_errors"] == 0


async def calls(phone: Phone, scenario: str) -> None:
    """SIPp calls us, and both come to their end."""
    process = await sipp(scenario, free_port(), f"127.0.0.1:{phone.endpoint.local.port}")
    await succeeds(process)
    assert phone.endpoint.counters["callback_errors"] == 0


def hang_up_once_answered(session: Session, event: SessionEvent) -> None:
    if isinstance(event, Accepted):
        session.bye()


def give_up_once_ringing(session: Session, event: SessionEvent) -> None:
    if isinstance(event, Ringing):
        session.cancel()


# we call -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410, 480, 484, 486, 500, 503, 600, 603, 604])
async def test_refused_at_once(phone: Phone, status: int) -> None:
    await called(phone, f"uas-invite-{status}")
    [failed] = phone.told(Failed)
    assert (failed.status, failed.local, failed.provisional_seen) == (status, False, 0)


@pytest.mark.parametrize("status", [480, 503])
async def test_refused_after_ringing(phone: Phone, status: int) -> None:
    await called(phone, f"uas-invite-180-{status}")
    [failed] = phone.told(Failed)
    assert (failed.status, failed.provisional_seen) == (status, 180)


async def test_silence(phone: Phone) -> None:
    port = free_port()
    process = await sipp("uas-invite-silence", port)
    phone.call(port)
    await asyncio.wait_for(phone.ended.wait(), LIMIT)
    await asyncio.wait_for(process.communicate(), LIMIT)
    [failed] = phone.told(Failed)
    assert (failed.status, failed.local, failed.provisional_seen) == (408, True, 0)


async def test_sent_elsewhere(phone: Phone) -> None:
    await called(phone, "uas-invite-302")
    assert phone.told(Failed)[0].redirect == ("sip:elsewhere@127.0.0.1:5999",)


@pytest.mark.parametrize("scenario", ["uas-invite-401-200-bye", "uas-invite-407-200-bye"])
async def test_a_password_is_asked_for_and_checked(phone: Phone, scenario: str) -> None:
    phone.react = hang_up_once_answered
    await called(phone, scenario, credentials=Credentials("alice", "secret"))
    assert phone.told(Ended) == [Ended("us")]


async def test_a_password_that_will_not_do(phone: Phone) -> None:
    await called(phone, "uas-invite-407-407", credentials=Credentials("alice", "wrong"))
    assert [event.status for event in phone.told(Failed)] == [407]


@pytest.mark.parametrize("scenario", ["uas-invite-183-sdp-200-bye", "uas-invite-183-prack-200-bye"])
async def test_early_media(phone: Phone, scenario: str) -> None:
    phone.react = hang_up_once_answered
    await called(phone, scenario)
    [ringing] = phone.told(Ringing)
    assert ringing.status == 183
    assert parse_audio(ringing.sdp).port == 6000
    assert phone.told(Ended) == [Ended("us")]


async def test_given_up(phone: Phone) -> None:
    phone.react = give_up_once_ringing
    await called(phone, "uas-invite-cancel-487")
    [failed] = phone.told(Failed)
    assert (failed.status, failed.local, failed.answered_late) == (487, False, False)


async def test_given_up_too_late(phone: Phone) -> None:
    phone.react = give_up_once_ringing
    await called(phone, "uas-invite-cancel-200-race")
    [failed] = phone.told(Failed)
    assert (failed.status, failed.local, failed.answered_late) == (487, True, True)
    assert phone.told(Accepted) == []


async def test_hung_up_on_at_once(phone: Phone) -> None:
    await called(phone, "uas-invite-200-bye-at-once")
    assert phone.told(Ended) == [Ended("them", "Normal call clearing")]


async def test_they_hold_and_resume(phone: Phone) -> None:
    await called(phone, "uas-invite-200-reinvite-hold")
    directions = [parse_audio(event.sdp).direction for event in phone.told(Offered)]
    assert directions == ["sendonly", "sendrecv"]
    assert phone.told(Ended) == [Ended("them")]


async def test_they_update(phone: Phone) -> None:
    phone.react = lambda session, event: session.bye() if isinstance(event, Offered) else None
    await called(phone, "uas-invite-200-update-bye")
    assert [event.method for event in phone.told(Offered)] == ["UPDATE"]


async def test_an_answer_whose_ack_was_lost(phone: Phone) -> None:
    port = free_port()
    process = await sipp("uas-invite-200-repeated", port)
    acknowledged = 0

    def count(request: Any, _to: Any) -> None:
        nonlocal acknowledged
        acknowledged += 1
        if acknowledged == 2:
            asyncio.get_running_loop().call_soon(session.bye)
        send(request, _to)

    send = phone.endpoint.send
    phone.endpoint.send = count  # type: ignore[assignment,method-assign]
    session = phone.call(port)
    await succeeds(process)
    assert acknowledged >= 2
    assert len(phone.told(Accepted)) == 1


async def test_no_offer_of_ours(phone: Phone) -> None:
    def agree(session: Session, event: SessionEvent) -> None:
        if isinstance(event, Accepted):
            assert event.sdp is not None
            session.answer_offer(answer_to(event.sdp))
            session.bye()

    phone.react = agree
    await called(phone, "uas-invite-no-offer-200-offer", sdp=None)
    assert phone.told(Ended) == [Ended("us")]


async def test_they_press_a_key(phone: Phone) -> None:
    await called(phone, "uas-invite-200-info-dtmf")
    assert phone.told(Keyed) == [Keyed("5", 160)]


async def test_they_want_a_longer_interval(phone: Phone) -> None:
    phone.react = hang_up_once_answered
    await called(phone, "uas-invite-422-200-bye")
    assert phone.told(Ended) == [Ended("us")]


# SIPp calls --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scenario",
    ["uac-invite-200-bye-at-once", "uac-invite-no-offer-200-bye", "uac-invite-200-slow-ack-bye"],
)
async def test_answered_and_hung_up_on(phone: Phone, scenario: str) -> None:
    await calls(phone, scenario)
    assert len(phone.told(Accepted)) == 1
    assert phone.told(Ended) == [Ended("them")]
    assert phone.agent.sessions == ()


async def test_the_answer_is_repeated_until_a_slow_ack(phone: Phone) -> None:
    await calls(phone, "uac-invite-200-slow-ack-bye")
    assert phone.endpoint.counters["sent"] > 2  # the 200s to INVITE, and that to BYE


async def test_their_answer_comes_in_the_ack(phone: Phone) -> None:
    await calls(phone, "uac-invite-no-offer-200-bye")
    assert parse_audio(phone.told(Accepted)[0].sdp).port == 6000


async def test_we_hang_up(phone: Phone) -> None:
    phone.react = hang_up_once_answered
    await calls(phone, "uac-invite-200-they-bye")
    assert phone.told(Ended) == [Ended("us")]


async def test_they_give_up(phone: Phone) -> None:
    phone.on_incoming = lambda session: session.ring()
    await calls(phone, "uac-invite-cancel-487")
    assert [(event.status, event.local) for event in phone.told(Failed)] == [(487, False)]


async def test_we_are_busy(phone: Phone) -> None:
    phone.on_incoming = lambda session: session.reject(486)
    await calls(phone, "uac-invite-486")
    assert [event.status for event in phone.told(Failed)] == [486]


async def test_they_insist_on_reliable_responses(phone: Phone) -> None:
    def early(session: Session) -> None:
        session.ring(183, answered(session))
        session.accept()

    phone.on_incoming = early
    await calls(phone, "uac-invite-183-prack-200-bye")
    assert phone.told(Ended) == [Ended("them")]


async def test_they_change_the_call(phone: Phone) -> None:
    await calls(phone, "uac-invite-200-reinvite-bye")
    assert [event.method for event in phone.told(Offered)] == ["INVITE"]


async def test_they_send_us_elsewhere(phone: Phone) -> None:
    def go(_session: Session, event: SessionEvent) -> None:
        if isinstance(event, Referred):
            event.accept()
            event.notify(200, "OK")

    phone.react = go
    await calls(phone, "uac-invite-200-refer-notify-bye")
    assert [event.refer_to for event in phone.told(Referred)] == ["sip:carol@127.0.0.1"]


@pytest.mark.parametrize("scenario", ["uac-options-200", "uac-bye-481", "uac-invite-420"])
async def test_outside_of_calls(phone: Phone, scenario: str) -> None:
    await calls(phone, scenario)
    assert phone.events == []


def test_every_scenario_is_played() -> None:
    here = Path(__file__).read_text()
    for file in SCENARIOS.glob("*.xml"):
        family = file.stem.rsplit("-", 1)[0] + "-{status}"
        assert f'"{file.stem}"' in here or f'"{family}"' in here, file.name
