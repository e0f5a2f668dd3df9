"""Sessions from opening to closing: audio both ways, proven by frequency."""

from __future__ import annotations

from ivr.media.events import PlayEnded
from ivr.media.plane import MediaPlane
from tests.ivr.media.plane.conftest import Join, MakePrompt


async def test_a_prompt_is_heard_and_its_end_is_told(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    party = await join(plane)
    number = party.session.play(make_prompt(600, ms=400))
    await party.peer.hears_tone(600)
    assert await party.log.wait(PlayEnded) == PlayEnded(number, "completed")
    await party.peer.hears_silence()
