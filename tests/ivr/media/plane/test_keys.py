"""Keys pressed on both sides, and prompts that they end."""

from __future__ import annotations

import numpy as np
import pytest

from ivr.media import tones
from ivr.media.dtmf import DtmfReceiver
from ivr.media.events import Amd, Digit, PlayEnded
from ivr.media.g711 import decode, encode
from ivr.media.plane import MediaPlane
from tests.ivr.media.plane.conftest import Join, MakePrompt
from tests.ivr.media.plane.peer import Peer

pytestmark = pytest.mark.asyncio(loop_scope="package")


def pressed(peer: Peer) -> list[tuple[str, int]]:
    """The keys that a peer has received as telephone-events."""
    receiver = DtmfReceiver()
    digits = [receiver.feed(p.timestamp, p.marker, p.payload, 0.0) for p in peer.events()]
    return [(digit.digit, digit.duration_ms) for digit in digits if digit]


async def test_keys_are_told_once_whatever_is_lost(plane: MediaPlane, join: Join) -> None:
    party = await join(plane)
    await party.peer.hears(1)
    party.peer.press("1", 100)
    await party.log.wait(Digit)
    party.peer.timestamp += 8000
    party.peer.press("2", 100, lose=[0, 1, 2])  # its beginning
    await party.log.wait(Digit, 2)
    party.peer.timestamp += 8000
    party.peer.press("#", 100, lose=[-1, -2, -3])  # its end
    await party.log.wait(Digit, 3)
    assert [event.digit for event in party.log.events] == ["1", "2", "#"]
    assert all(event.source == "rfc4733" for event in party.log.events)
    assert party.log.events[0].duration_ms == 100


async def test_a_key_ends_the_prompt_before_it_is_let_go(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    party = await join(plane)
    number = party.session.play(make_prompt(600))
    await party.peer.hears_tone(600)
    party.peer.hush()
    party.peer.press("5", 100, lose=range(1, 7))  # the key goes down
    assert await party.log.wait(PlayEnded) == PlayEnded(number, "barged")
    assert party.log.of(Digit) == []
    second = party.session.play(make_prompt(800, ms=500))
    await party.session.report()  # it plays by now
    party.peer.press("5", 100, lose=range(6))  # the key is let go: that does not end the second
    assert await party.log.wait(Digit) == Digit("5", 100, "rfc4733")
    assert await party.log.wait(PlayEnded, 2) == PlayEnded(second, "completed")


async def test_two_presses_end_two_prompts(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    party = await join(plane)
    for number, key in enumerate("55"):
        party.session.play(make_prompt(600))
        await party.session.report()
        party.peer.timestamp += 8000
        party.peer.press(key)
        await party.log.wait(PlayEnded, number + 1)
    assert [event.reason for event in party.log.of(PlayEnded)] == ["barged", "barged"]


async def test_a_prompt_that_must_be_heard_is_not_ended(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    party = await join(plane)
    number = party.session.play(make_prompt(600, ms=500), barge_in=False)
    await party.peer.hears_tone(600)
    party.peer.press("5")
    await party.log.wait(PlayEnded)
    assert [type(event) for event in party.log.events] == [Digit, PlayEnded]
    assert party.log.events[1] == PlayEnded(number, "completed")


async def test_our_keys_reach_the_peer(plane: MediaPlane, join: Join) -> None:
    party = await join(plane)
    party.session.send_digits("19#", duration_ms=80)
    await party.peer.until(lambda: len(pressed(party.peer)) == 3)
    assert pressed(party.peer) == [("1", 80), ("9", 80), ("#", 80)]


async def test_our_keys_are_tones_where_events_are_not_taken(plane: MediaPlane, join: Join) -> None:
    party = await join(plane)
    party.peer.call(party.session, dtmf_payload_type=None)
    party.session.send_digits("42")

    def heard() -> list[str]:
        detector = tones.DtmfDetector()
        keys = [detector.feed(decode(p.payload, "PCMA")) for p in party.peer.audio()]
        return [key for key in keys if key]

    await party.peer.until(lambda: heard() == ["4", "2"])


async def test_keys_in_the_audio_are_heard_when_asked_for(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    party = await join(plane)
    party.session.detect_inband(True)
    number = party.session.play(make_prompt(600))
    await party.peer.hears_tone(600)
    sound = tones.dtmf("8", tone_ms=100, gap_ms=10_000)
    party.peer.speak(encode(sound, "PCMA"))
    assert await party.log.wait(Digit) == Digit("8", 0, "inband")
    assert await party.log.wait(PlayEnded) == PlayEnded(number, "barged")


async def test_who_answered_is_found_out(plane: MediaPlane, join: Join) -> None:
    party = await join(plane)
    party.session.detect_machine()
    party.peer.speak(encode(tones.tone(1100, ms=500), "PCMA"))
    verdict = await party.log.wait(Amd)
    assert verdict == Amd("fax", "fax tone of 1100 Hz")


async def test_a_peer_that_sends_no_silence_is_judged_all_the_same(
    plane: MediaPlane, join: Join
) -> None:
    party = await join(plane)
    party.session.detect_machine()
    noise = np.random.default_rng(1).normal(0, 3000, 160 * 400).astype(np.int16)
    party.peer.speak(encode(noise, "PCMA"))
    await party.peer.hears(25)
    party.peer.hush()
    verdict = await party.log.wait(Amd)
    assert verdict.verdict == "human"
