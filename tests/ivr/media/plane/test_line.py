"""Whom a live call listens to: strangers, NATs, garbage, replays, changes of address."""

from __future__ import annotations

import asyncio
import random

import pytest

from ivr.media.events import Digit, MediaReport
from ivr.media.plane import MediaPlane
from ivr.media.session import MediaSession
from tests.ivr.media.plane.conftest import Join, MakePrompt
from tests.ivr.media.plane.peer import DEADLINE, Log, Party, Peer

pytestmark = pytest.mark.asyncio(loop_scope="package")

QUIET = b"\xd5" * 160


async def figures_until(session: MediaSession, done: str, count: int) -> MediaReport:
    """Ask for the figures until one of them has reached a count."""
    async with asyncio.timeout(DEADLINE):
        while True:
            report = await session.report()
            if getattr(report, done) >= count:
                return report


async def all_taken_in(party: Party) -> MediaReport:
    """Wait until everything that the peer has sent is accounted for."""
    async with asyncio.timeout(DEADLINE):
        while True:
            report = await party.session.report()
            taken = report.packets_received + report.duplicates + report.dropped
            if taken == party.peer.sent:
                return report


async def stranger_to(party: Party, host: str = "127.0.0.66") -> Peer:
    stranger = await Peer.start(host=host)
    stranger.target = party.peer.target
    return stranger


async def test_before_anything_comes_we_send_to_the_sdp_address(plane: MediaPlane) -> None:
    session = await plane.open(call_id="x")
    peer = await Peer.start()
    peer.call(session)
    assert (await peer.hears(3))[0].marker
    await session.close()
    peer.close()


async def test_a_phone_behind_a_nat_is_followed(plane: MediaPlane, make_prompt: MakePrompt) -> None:
    session = await plane.open(call_id="x")
    phone = await Peer.start(host="127.0.0.7")
    phone.call(session, host="127.0.0.8", port=9)  # what its SDP says is of no use
    phone.speak(QUIET)
    session.play(make_prompt(600))
    await phone.hears_tone(600)
    assert (await session.close()).remote == f"127.0.0.7:{phone.port}"
    phone.close()


async def test_a_stranger_cannot_take_a_call(plane: MediaPlane, join: Join) -> None:
    party = await join(plane)
    await figures_until(party.session, "packets_received", 3)
    stranger = await stranger_to(party)
    stranger.press("666")
    for _ in range(300):
        stranger.send(QUIET)
    report = await figures_until(party.session, "packets_received", 20)
    assert stranger.heard == []
    assert party.log.events == []
    assert report.remote == f"127.0.0.1:{party.peer.port}"
    assert report.packets_received < 100
    stranger.close()


async def test_a_stranger_who_was_first_loses_the_call_to_the_phone(plane: MediaPlane) -> None:
    session = await plane.open(call_id="x")
    phone, stranger = await Peer.start(), await Peer.start(host="127.0.0.66")
    phone.call(session)
    stranger.target = phone.target
    stranger.speak(QUIET)
    await stranger.hears(1)  # he is believed, for want of anybody else
    phone.speak(QUIET)
    await figures_until(session, "packets_received", 40)
    stranger.heard.clear()
    phone.heard.clear()
    await phone.hears(10)
    assert stranger.heard == []
    assert (await session.close()).remote == f"127.0.0.1:{phone.port}"
    phone.close()
    stranger.close()


async def test_garbage_and_replays_from_the_right_address_do_nothing(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    party = await join(plane)
    rng = random.Random(4711)
    await figures_until(party.session, "packets_received", 5)
    party.peer.hush()
    party.peer.press("7")
    await party.log.wait(Digit)
    before = await all_taken_in(party)
    for size in range(4, 404, 4):
        party.peer.send_raw(rng.randbytes(size))
    party.peer.send_raw(b"\x80\xc8" + bytes(30))  # an RTCP sender report
    party.peer.send(b"", payload_type=8)  # a keep-alive: RFC 6263
    for _ in range(50):
        party.peer.sequence -= 1
        party.peer.send(QUIET)
    after = await all_taken_in(party)
    assert after.duplicates == before.duplicates + 50
    assert after.dropped == before.dropped + 101  # RTCP among them
    assert after.packets_received == before.packets_received + 1
    assert after.packets_lost == before.packets_lost
    assert party.log.events == [Digit("7", 100, "rfc4733")]
    party.session.play(make_prompt(600))
    await party.peer.hears_tone(600)


async def test_a_new_address_is_followed_though_the_old_one_still_sends(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    party = await join(plane)
    await figures_until(party.session, "packets_received", 3)
    moved = await Peer.start()  # the same host, another port
    moved.call(party.session)
    moved.speak(QUIET)
    party.session.play(make_prompt(600))
    await moved.hears_tone(600)
    await party.session.report()
    party.peer.heard.clear()
    await moved.hears(5)
    assert party.peer.heard == []
    moved.close()


async def test_the_same_address_again_stays_closed_to_strangers(
    plane: MediaPlane, join: Join
) -> None:
    party = await join(plane)
    await figures_until(party.session, "packets_received", 3)
    party.peer.call(party.session)
    stranger = await stranger_to(party)
    for _ in range(30):
        stranger.send(QUIET)
    report = await figures_until(party.session, "packets_received", 15)
    assert report.remote == f"127.0.0.1:{party.peer.port}"
    assert stranger.heard == []
    stranger.close()


async def test_hold_keeps_the_peer(plane: MediaPlane, join: Join) -> None:
    party = await join(plane)
    await figures_until(party.session, "packets_received", 3)
    party.peer.call(party.session, host="0.0.0.0")
    party.peer.call(party.session)
    await party.peer.hears(3)
    assert (await party.session.report()).remote == f"127.0.0.1:{party.peer.port}"


async def test_a_peer_whose_port_is_closed_does_not_end_the_call(
    plane: MediaPlane, join: Join
) -> None:
    party = await join(plane)
    await figures_until(party.session, "packets_received", 3)
    log = Log(party.session)
    gone, party.peer.target = party.peer, None
    gone.close()
    sent = (await party.session.report()).packets_sent
    await figures_until(party.session, "packets_sent", sent + 10)
    assert log.events == []
    back = await Peer.start()
    back.call(party.session)
    await back.hears(3)
    back.close()
