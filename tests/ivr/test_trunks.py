"""A trunk's health and registration, seen from a carrier that is told what to answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from ivr.phone import Phone
from ivr.registration import granted_expires, longer_expires, refresh_after
from ivr.sip.authenticator import Secret
from ivr.sip.endpoint import ServerTransaction
from ivr.sip.message import SipResponse, SipUri
from ivr.trunks import Trunk, TrunkDown, TrunkState
from tests.ivr.calling import dial, hold, settled
from tests.ivr.conftest import PhoneMaker
from tests.waiting import until

USERS = {"me@home": Secret.of("me@home", "tongdai", "correct horse")}


class Registers:
    """A carrier's answers to REGISTER, given by the test; `seen` are the requests."""

    def __init__(self, answer: Callable[[ServerTransaction], object]) -> None:
        self.seen: list[ServerTransaction] = []
        self._answer = answer

    def __call__(self, transaction: ServerTransaction) -> None:
        self.seen.append(transaction)
        self._answer(transaction)


@contextlib.asynccontextmanager
async def registering(
    make_phone: PhoneMaker, answer: Callable[[ServerTransaction], object], **trunk: object
) -> AsyncIterator[tuple[Trunk, Registers, Phone]]:
    async with make_phone({}, users=USERS) as carrier:
        registers = carrier.agent.handlers["REGISTER"] = Registers(answer)
        carrier.endpoint.screen = None
        settings = {"port": carrier.endpoint.local.port, "register": True, **trunk}
        async with make_phone(settings) as ours:
            yield ours.trunks["carrier"], registers, ours


def grant(seconds: int) -> Callable[[ServerTransaction], object]:
    def answer(transaction: ServerTransaction) -> None:
        contact = transaction.request.headers.get("contact")[0]
        transaction.reply(200, headers=[("Contact", f"{contact};expires={seconds}")])

    return answer


async def test_a_registration_is_refreshed_in_time(
    make_phone: PhoneMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under one Call-ID, with a rising CSeq, long before it ends (RFC 3261 §10.2)."""
    monkeypatch.setattr("ivr.registration.SOONEST", 0.05)
    monkeypatch.setattr("ivr.registration.REFRESH_AT", 0.02)
    async with registering(make_phone, grant(3)) as (trunk, registers, _):
        await until(lambda: len(registers.seen) >= 3)
        assert (trunk.state, trunk.registered) == (TrunkState.UP, True)
    requests = [transaction.request for transaction in registers.seen]
    assert len({request.call_id for request in requests}) == 1
    numbers = [request.cseq.seq for request in requests]
    assert numbers == sorted(set(numbers))
    assert requests[-1].headers.get("expires") == ["0"]  # it unregistered at the end


async def test_calls_wait_for_the_first_registration(make_phone: PhoneMaker) -> None:
    """A carrier refuses those it does not know yet, and that would stop the trunk for good."""
    waiting: list[ServerTransaction] = []

    def answer(transaction: ServerTransaction) -> None:
        if waiting:
            grant(60)(transaction)
        else:
            waiting.append(transaction)

    async with registering(make_phone, answer) as (trunk, _, ours):
        await until(lambda: waiting)
        with pytest.raises(TrunkDown, match="not registered yet"):
            await ours.reserve("carrier")
        grant(60)(waiting[0])
        await until(lambda: trunk.state is TrunkState.UP)
        (await ours.reserve("carrier")).release()


async def test_failing_registrations_are_tried_again(
    make_phone: PhoneMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivr.registration.RETRY_FIRST", 0.02)
    answers = iter([503, 403, 500])

    def answer(transaction: ServerTransaction) -> None:
        status = next(answers, 200)
        transaction.reply(status) if status != 200 else grant(60)(transaction)

    async with registering(make_phone, answer) as (trunk, registers, _):
        await until(lambda: trunk.registered)
        assert trunk.state is TrunkState.UP
        assert len(registers.seen) == 4


async def test_options_do_not_lift_a_registration_that_fails(make_phone: PhoneMaker) -> None:
    """That the carrier is there does not mean that it takes our calls."""
    async with registering(make_phone, lambda one: one.reply(403), qualify=0.05) as (trunk, _, far):
        await until(lambda: trunk.reason == "registration failed: 403 Forbidden")
        asked = far.endpoint.counters["sent"]
        await until(lambda: far.endpoint.counters["sent"] >= asked + 4)  # OPTIONS and answers
        assert trunk.state is TrunkState.DOWN
        assert trunk.reason == "registration failed: 403 Forbidden"


async def test_too_brief_an_interval_is_asked_for_again(make_phone: PhoneMaker) -> None:
    def answer(transaction: ServerTransaction) -> None:
        asked = int(transaction.request.headers.get("expires")[0])
        if 0 < asked < 900:
            transaction.reply(423, headers=[("Min-Expires", "900")])
        else:
            grant(asked)(transaction)

    async with registering(make_phone, answer) as (trunk, registers, _):
        await until(lambda: trunk.registered)
        asked = [one.request.headers.get("expires")[0] for one in registers.seen]
        assert asked == ["300", "900"]


async def test_an_account_with_an_at_sign(make_phone: PhoneMaker) -> None:
    """Many carriers' user names hold their domain: in a URI its @ is escaped."""
    async with make_phone(users=USERS) as carrier:
        account = {"username": "me@home", "password": "correct horse", "register": True}
        async with make_phone({"port": carrier.endpoint.local.port, **account}) as ours:
            trunk = ours.trunks["carrier"]
            await until(lambda: trunk.registered)
            [binding] = carrier.registrar.lookup("me@home")
            assert binding.uri.startswith("sip:me%40home@127.0.0.1:")


async def test_a_trunk_down_by_options_is_passed_over(make_phone: PhoneMaker) -> None:
    async with make_phone({}) as spare:
        spare.on_call = hold
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
            dead.bind(("127.0.0.1", 0))
            trunks = (
                {"port": dead.getsockname()[1], "qualify": 0.05, "failover": ("spare",)},
                {"name": "spare", "port": spare.endpoint.local.port},
            )
            async with make_phone(*trunks) as ours:
                await until(lambda: ours.trunks["carrier"].state is TrunkState.DOWN)
                call = await dial(ours)
                assert call.story.trunk == "spare"
                await call.finish()
                await settled(ours, spare)
                ours.trunks["spare"].forbid("403 Forbidden")
                with pytest.raises(TrunkDown, match="does not answer OPTIONS"):
                    await ours.reserve("carrier")


async def test_a_name_that_is_not_known_at_first_is_asked_for_again(
    make_phone: PhoneMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivr.registration.RETRY_FIRST", 0.02)
    known: list[tuple[object, ...]] = []
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **options: object) -> object:
        if host != "carrier.example.net":
            return await real(host, port, **options)  # type: ignore[arg-type]
        if not known:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return known

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with make_phone({"host": "carrier.example.net"}) as ours:
        trunk = ours.trunks["carrier"]
        assert trunk.state is TrunkState.DOWN
        assert "Temporary failure in name resolution" in trunk.reason
        assert "not" in await trunk.check()  # and asking by hand is no fault
        known.append((socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.9", 5060)))
        await until(lambda: trunk.state is TrunkState.UP)
        assert trunk.peer.host == "127.0.0.9"
        assert trunk.accepts_from("127.0.0.9")


async def test_a_carrier_that_moves_is_followed_and_one_that_stays_is_not_left(
    make_phone: PhoneMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = ["127.0.0.8"]
    loop = asyncio.get_running_loop()
    asked = 0

    async def getaddrinfo(*_: object, **__: object) -> object:
        nonlocal asked
        asked += 1
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (host, 5060)) for host in hosts]

    async def asked_again() -> None:
        before = asked
        await until(lambda: asked >= before + 2)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with make_phone({"host": "carrier.example.net", "qualify": 0.02}) as ours:
        trunk = ours.trunks["carrier"]
        assert trunk.peer.host == "127.0.0.8"
        hosts[:] = ["127.0.0.9", "127.0.0.8"]
        await asked_again()
        assert trunk.peer.host == "127.0.0.8"
        assert trunk.accepts_from("127.0.0.9")
        hosts[:] = ["127.0.0.9"]
        await asked_again()
        assert trunk.peer.host == "127.0.0.9"
        assert not trunk.accepts_from("127.0.0.8")


async def test_what_a_carrier_says_cannot_drive_a_terminal(make_phone: PhoneMaker) -> None:
    def answer(transaction: ServerTransaction) -> None:
        transaction.reply(403, "No\x1b[2J\x07 Way")

    async with registering(make_phone, answer) as (trunk, _, _ours):
        await until(lambda: "registration failed" in trunk.reason)
        assert trunk.reason == "registration failed: 403 No[2J Way"
        assert await trunk.check() == "403 No[2J Way"


OURS = SipUri(user="me", host="192.0.2.1", port=5060)


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ([("Contact", "<sip:me@192.0.2.1:5060>;expires=120")], 120),
        ([("Contact", "<sip:x@192.0.2.9>;expires=9"), ("Contact", "<sip:me@192.0.2.1:5060>")], 300),
        (
            [
                ("Contact", "<sip:me@192.0.2.9>;expires=7"),
                ("Contact", "<sip:me@192.0.2.1:5060>;expires=60"),
            ],
            60,
        ),
        ([("Contact", "<sip:rewritten@nat>;expires=50"), ("Expires", "70")], 50),
        ([("Expires", "70")], 70),
        ([], 300),
        ([("Contact", "<sip:me@192.0.2.1:5060>;expires=soon"), ("Expires", "\u00b2")], 300),
        ([("Contact", "<<>>"), ("Contact", "<sip:me@192.0.2.1:5060>;expires=" + "9" * 5000)], 300),
        ([("Contact", "<sip:me@192.0.2.1:5060>;expires=4000000000")], 86_400),
        ([("Contact", "<sip:me@192.0.2.1:5060>;expires=0")], 0),
    ],
)
def test_what_is_granted(headers: list[tuple[str, str]], granted: int) -> None:
    response = SipResponse(status_code=200, reason_phrase="OK")
    for name, value in headers:
        response.headers.append(name, value)
    assert granted_expires(response, OURS, default=300) == granted


@pytest.mark.parametrize(
    ("status", "least", "longer"),
    [(423, "600", 600), (423, "300", None), (423, "", None), (423, "x", None), (503, "600", None)],
)
def test_what_a_423_asks_for(status: int, least: str, longer: int | None) -> None:
    response = SipResponse(status_code=status, reason_phrase="")
    if least:
        response.headers.append("Min-Expires", least)
    assert longer_expires(response, 300) == longer


def test_a_short_registration_is_no_flood() -> None:
    assert [refresh_after(granted) for granted in (1, 2, 60)] == [1.0, 1.5, 45.0]
