"""Who gets in, who stays out, and how a trunk registers: real messages on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ivr.call import Call
from ivr.phone import Phone
from ivr.sip.authenticator import Secret
from ivr.sip.digest import Credentials
from ivr.sip.endpoint import Endpoint
from ivr.sip.message import Address, SipUri
from ivr.sip.sdp import Audio, make_offer
from ivr.sip.session_events import Accepted, Ended, Failed, SessionEvent
from ivr.sip.useragent import UserAgent
from ivr.trunks import Trunk, TrunkDown, TrunkState
from tests.ivr.conftest import PhoneMaker
from tests.waiting import until

USERS = {
    "agent1": Secret.of("agent1", "tongdai", "correct horse"),
    "agent2": Secret.of("agent2", "tongdai", "hunter2"),
}
GOOD = Credentials("agent1", "correct horse")
BAD = Credentials("agent1", "battery staple")
OFFER = make_offer(Audio("127.0.0.1", 40000), session_id=1, version=1)


@pytest.fixture
async def softphone() -> AsyncIterator[UserAgent]:
    """Somebody else's user agent, on an address that is no trunk's."""
    endpoint = Endpoint()
    await endpoint.listen("127.0.0.1:0")
    agent = UserAgent(endpoint)
    yield agent
    agent.close()
    await endpoint.close()


def _address(user: str, phone: Phone) -> Address:
    return Address(uri=SipUri(user=user, host="127.0.0.1", port=phone.endpoint.local.port))


async def register(agent: UserAgent, phone: Phone, credentials: Credentials | None) -> int:
    ours = _address("agent1", phone)
    host, port = agent.endpoint.advertised(phone.endpoint.local)
    response = await agent.request(
        "REGISTER",
        uri=f"sip:127.0.0.1:{phone.endpoint.local.port}",
        to=phone.endpoint.local,
        from_=ours,
        to_addr=ours,
        headers=[("Contact", f"<sip:agent1@{host}:{port}>"), ("Expires", "60")],
        credentials=credentials,
    )
    return response.message.status_code


async def invite(
    agent: UserAgent, phone: Phone, credentials: Credentials | None, user: str = "agent1"
) -> SessionEvent:
    """The event that decides an INVITE."""
    decided: asyncio.Future[SessionEvent] = asyncio.get_running_loop().create_future()

    def on_event(event: SessionEvent) -> None:
        if isinstance(event, Accepted | Failed | Ended) and not decided.done():
            decided.set_result(event)

    session = agent.invite(
        uri=f"sip:0900123456@127.0.0.1:{phone.endpoint.local.port}",
        to=phone.endpoint.local,
        from_=_address(user, phone),
        sdp=OFFER,
        credentials=credentials,
    )
    session.on_event = on_event
    return await asyncio.wait_for(decided, 10)


async def test_a_phone_registers_and_then_calls_with_proof(
    make_phone: PhoneMaker, softphone: UserAgent
) -> None:
    taken: list[Call] = []

    async def take(call: Call) -> None:
        taken.append(call)
        await call.answer()
        await asyncio.Event().wait()

    async with make_phone(users=USERS) as phone:
        phone.on_call = take
        assert await register(softphone, phone, GOOD) == 200
        assert isinstance(await invite(softphone, phone, GOOD), Accepted)
        assert taken[0].story.trunk == ""


async def test_a_wrong_password_opens_nothing(make_phone: PhoneMaker, softphone: UserAgent) -> None:
    async with make_phone(users=USERS) as phone:
        assert await register(softphone, phone, BAD) == 401
        assert await register(softphone, phone, None) == 401
        assert not phone.registrar.lookup("agent1")
        assert await register(softphone, phone, GOOD) == 200
        refused = await invite(softphone, phone, BAD)
        assert isinstance(refused, Failed)
        assert refused.status == 401
        assert not phone.calls


async def test_a_phone_does_not_speak_for_its_neighbour(
    make_phone: PhoneMaker, softphone: UserAgent
) -> None:
    """Both phones are behind one address: agent2's own password does not make it agent1."""
    async with make_phone(users=USERS) as phone:
        assert await register(softphone, phone, GOOD) == 200
        refused = await invite(softphone, phone, Credentials("agent2", "hunter2"), user="agent1")
        assert isinstance(refused, Failed)
        assert refused.status == 403
        assert not phone.calls


class Ear(asyncio.DatagramProtocol):
    """A bare socket that notes what is answered."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(data)


@pytest.mark.parametrize(
    "method", ["INVITE", "OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "BYE", "CANCEL"]
)
@pytest.mark.parametrize("tag", ["", ";tag=guessed"])
async def test_a_stranger_hears_nothing_at_all(
    make_phone: PhoneMaker, method: str, tag: str
) -> None:
    """No trunk has this address and no user exists: not a word, and so nothing to learn."""
    async with make_phone({"host": "127.0.0.2"}) as phone:
        loop = asyncio.get_running_loop()
        here = phone.endpoint.local
        transport, ear = await loop.create_datagram_endpoint(
            Ear, remote_addr=("127.0.0.1", here.port)
        )
        port = transport.get_extra_info("sockname")[1]
        request = (
            f"{method} sip:100@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKscan;rport\r\n"
            "Max-Forwards: 70\r\nFrom: <sip:100@127.0.0.1>;tag=1\r\n"
            f"To: <sip:100@127.0.0.1>{tag}\r\n"
            f"Call-ID: scan\r\nCSeq: 1 {method}\r\nContact: <sip:100@127.0.0.1:{port}>\r\n"
            "User-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
        )
        transport.sendto(request.encode())
        await until(phone.endpoint.counters.total)
        for _ in range(5):
            await asyncio.sleep(0)
        transport.close()
        assert ear.heard == []
        assert not phone.calls


@pytest.mark.parametrize(
    ("password", "state"), [("correct horse", TrunkState.UP), ("wrong", TrunkState.DOWN)]
)
async def test_a_trunk_registers(make_phone: PhoneMaker, password: str, state: TrunkState) -> None:
    async with make_phone(users=USERS) as carrier:
        settings = {
            "port": carrier.endpoint.local.port, "register": True,
            "username": "agent1", "password": password,
        }  # fmt: skip
        async with make_phone(settings) as ours:
            trunk = ours.trunks["carrier"]
            await until(lambda: trunk.reason != "not registered yet")
            assert trunk.state is state
            assert bool(carrier.registrar.lookup("agent1")) is (state is TrunkState.UP)
            if state is TrunkState.DOWN:
                assert trunk.reason == "registration failed: 401 Unauthorized"
        assert not carrier.registrar.lookup("agent1")  # it unregistered when it closed


async def test_a_trunk_that_falls_silent_is_down_and_comes_back(make_phone: PhoneMaker) -> None:
    async with make_phone({}) as carrier:
        answer = carrier.agent.handlers["OPTIONS"]
        settings = {"port": carrier.endpoint.local.port, "qualify": 0.05}
        async with make_phone(settings) as ours:
            trunk = ours.trunks["carrier"]
            carrier.agent.handlers["OPTIONS"] = lambda transaction: None
            await becomes(trunk, TrunkState.DOWN)
            assert "does not answer OPTIONS" in trunk.reason
            with pytest.raises(TrunkDown, match="does not answer OPTIONS"):
                await ours.reserve("carrier")
            carrier.agent.handlers["OPTIONS"] = answer
            await becomes(trunk, TrunkState.UP)
            carrier.agent.handlers["OPTIONS"] = lambda transaction: transaction.reply(405)
            await asyncio.sleep(0)
            assert (await trunk.check()).startswith("405")  # any answer shows it alive
            assert trunk.state is TrunkState.UP


async def test_a_host_that_has_no_address_is_a_trunk_that_is_down(make_phone: PhoneMaker) -> None:
    async with make_phone({"host": "no-such-carrier.invalid"}) as ours:
        trunk = ours.trunks["carrier"]
        assert trunk.state is TrunkState.DOWN
        assert trunk.reason.startswith("cannot resolve no-such-carrier.invalid")


async def becomes(trunk: Trunk, state: TrunkState) -> None:
    await until(lambda: trunk.state is state)
