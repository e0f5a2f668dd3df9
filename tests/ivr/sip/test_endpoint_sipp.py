"""Against SIPp, a SIP stack nobody here wrote."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ivr.sip.endpoint import Endpoint, EndReason, Response, ServerTransaction, Timers
from ivr.sip.message import SipRequest
from ivr.sip.peer import Peer
from tests.ivr.sip import sipp
from tests.ivr.sip.conftest import MakeEndpoint
from tests.ivr.sip.messages import make_request
from tests.ivr.sip.sipp import Sipp
from tests.ivr.sip.wire import until

pytestmark = [pytest.mark.peer, sipp.needs_sipp]
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])


def target_of(endpoint: Endpoint) -> str:
    return f"127.0.0.1:{endpoint.local.port}"


@TRANSPORTS
async def test_sipp_calls_and_is_answered(
    make_endpoint: MakeEndpoint, tmp_path: Path, transport: str
) -> None:
    endpoint = await make_endpoint()
    acks: list[SipRequest] = []
    methods: list[str] = []

    def serve(transaction: ServerTransaction) -> None:
        methods.append(transaction.request.method)
        if transaction.request.method == "INVITE":
            transaction.reply(180)
        contact = f"<sip:tongdai@127.0.0.1:{endpoint.local.port}>"
        transaction.reply(200, headers=[("Contact", contact)])

    endpoint.on_request = serve
    endpoint.on_ack = lambda ack, _: acks.append(ack)
    run = await Sipp.start(
        tmp_path,
        sipp.UAC_ANSWERED,
        "-r",
        "50",
        transport=transport,
        target=target_of(endpoint),
        calls=20,
    )
    outcome = await run.finish()
    assert outcome.code == 0, outcome.output
    assert sorted(methods) == ["BYE"] * 20 + ["INVITE"] * 20
    assert len(acks) == 20


async def test_sipp_calls_and_acknowledges_its_486_late(
    make_endpoint: MakeEndpoint, tmp_path: Path
) -> None:
    endpoint = await make_endpoint(timers=Timers(t1=0.2, t4=0.1))
    ends: list[EndReason] = []

    def busy(transaction: ServerTransaction) -> None:
        transaction.on_end = ends.append
        transaction.reply(486)

    endpoint.on_request = busy
    run = await Sipp.start(tmp_path, sipp.UAC_BUSY, target=target_of(endpoint))
    outcome = await run.finish()
    assert outcome.code == 0, outcome.output
    assert outcome.messages.count("SIP/2.0 486") == 3  # and none after the ACK
    await until(lambda: ends == [EndReason.COMPLETED])


async def call(endpoint: Endpoint, run: Sipp, transport: str, *, cancel: bool = False) -> list[int]:
    """INVITE, and what follows by the answer; gives the statuses."""
    to = Peer("tcp" if transport == "tcp" else "udp", "127.0.0.1", run.port)
    invite = make_request("INVITE", f"sip:sipp@127.0.0.1:{run.port}")
    statuses: list[int] = []
    done = asyncio.Event()

    def heard(response: Response) -> None:
        message = response.message
        statuses.append(message.status_code)
        if message.status_code == 200 and statuses.count(200) == 1:
            tag = message.to_addr.tag
            within = {"call_id": invite.call_id, "to_tag": tag}
            endpoint.send(make_request("ACK", invite.uri, **within), to)  # type: ignore[arg-type]
            bye = make_request("BYE", invite.uri, cseq=2, **within)  # type: ignore[arg-type]
            endpoint.request(bye, to, lambda _: done.set())
        elif message.status_code >= 300:
            done.set()

    transaction = endpoint.request(invite, to, heard)
    if cancel:
        transaction.cancel()
    async with asyncio.timeout(sipp.DEADLINE):
        await done.wait()
    return statuses


@TRANSPORTS
@pytest.mark.parametrize(
    ("scenario", "expected", "cancel"),
    [
        (sipp.UAS_ANSWERED, [180, 200], False),
        (sipp.UAS_BUSY, [486], False),
        (sipp.UAS_CANCELLED, [180, 487], True),
    ],
    ids=["answered", "busy", "cancelled"],
)
async def test_sipp_is_called(
    make_endpoint: MakeEndpoint,
    tmp_path: Path,
    transport: str,
    scenario: str,
    expected: list[int],
    cancel: bool,
) -> None:
    endpoint = await make_endpoint()
    run = await Sipp.start(tmp_path, scenario, transport=transport)
    statuses = await call(endpoint, run, transport, cancel=cancel)
    outcome = await run.finish()
    assert outcome.code == 0, outcome.output
    assert statuses == expected
