"""Two calls that hear each other: in one worker, across workers, across laws."""

from __future__ import annotations

import pytest

from ivr.media.dtmf import DtmfReceiver
from ivr.media.events import Digit, PlayEnded
from ivr.media.g711 import Law
from ivr.media.plane import MediaPlane
from tests.ivr.media.plane.conftest import Join, MakePrompt
from tests.ivr.media.plane.peer import Party, Peer

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def any_plane(
    request: pytest.FixtureRequest, plane: MediaPlane, wide_plane: MediaPlane
) -> MediaPlane:
    return plane if request.param == 1 else wide_plane


async def pair(
    plane: MediaPlane, join: Join, laws: tuple[Law, Law] = ("PCMA", "PCMA")
) -> tuple[Party, Party]:
    one, two = await join(plane, laws[0]), await join(plane, laws[1])
    assert (one.session.worker is two.session.worker) == (plane.stats().workers == 1)
    one.peer.say(500)
    two.peer.say(900)
    one.session.bridge(two.session)
    return one, two


@pytest.mark.parametrize("laws", [("PCMA", "PCMA"), ("PCMA", "PCMU")])
async def test_each_hears_the_other(
    any_plane: MediaPlane, join: Join, laws: tuple[Law, Law]
) -> None:
    one, two = await pair(any_plane, join, laws)
    await one.peer.hears_tone(900)
    await two.peer.hears_tone(500)
    assert {packet.payload_type for packet in one.peer.audio()} == {8}
    assert {packet.payload_type for packet in two.peer.audio()} == {8 if laws[1] == "PCMA" else 0}
    assert_one_stream(one.peer)
    assert_one_stream(two.peer)


def assert_one_stream(peer: Peer) -> None:
    packets = peer.audio()
    assert len({packet.ssrc for packet in packets}) == 1
    numbers = [(packet.sequence - packets[0].sequence) & 0xFFFF for packet in packets]
    assert numbers == list(range(len(packets)))
    stamps = [(packet.timestamp - packets[0].timestamp) & 0xFFFFFFFF for packet in packets]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] < 1 << 31


async def test_after_the_bridge_there_is_silence(any_plane: MediaPlane, join: Join) -> None:
    one, two = await pair(any_plane, join)
    await one.peer.hears_tone(900)
    one.session.unbridge()
    await one.peer.hears_silence()
    await two.peer.hears_silence()
    assert_one_stream(one.peer)


async def test_when_one_side_closes_the_other_hears_silence_and_may_go_on(
    any_plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    one, two = await pair(any_plane, join)
    await one.peer.hears_tone(900)
    await two.session.close()
    await one.peer.hears_silence()
    one.session.play(make_prompt(600))
    await one.peer.hears_tone(600)
    assert_one_stream(one.peer)


async def test_keys_go_through_and_are_told(any_plane: MediaPlane, join: Join) -> None:
    one, two = await pair(any_plane, join)
    await two.peer.hears_tone(500)
    one.peer.press("3", 120)
    assert await one.log.wait(Digit) == Digit("3", 120, "rfc4733")

    def pressed() -> list[tuple[str, int]]:
        receiver = DtmfReceiver()
        digits = [receiver.feed(p.timestamp, p.marker, p.payload, 0.0) for p in two.peer.events()]
        return [(digit.digit, digit.duration_ms) for digit in digits if digit]

    await two.peer.until(lambda: pressed() == [("3", 120)])


async def test_a_prompt_to_one_side_goes_before_the_bridge(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    one, two = await join(plane), await join(plane)
    one.peer.say(500)
    two.peer.say(900)
    one.session.bridge(two.session)
    await one.peer.hears_tone(900)
    one.session.play(make_prompt(600, ms=400))
    await one.peer.hears_tone(600)
    assert abs(two.peer.tone() - 500) < 8
    await one.log.wait(PlayEnded)
    await one.peer.hears_tone(900)


async def test_a_new_bridge_replaces_the_old_one(plane: MediaPlane, join: Join) -> None:
    parties = [await join(plane) for _ in range(3)]
    for party, hertz in zip(parties, (500, 700, 900), strict=True):
        party.peer.say(hertz)
    one, two, three = parties
    one.session.bridge(two.session)
    await two.peer.hears_tone(500)
    one.session.bridge(three.session)
    await one.peer.hears_tone(900)
    await three.peer.hears_tone(500)
    await two.peer.hears_silence()
