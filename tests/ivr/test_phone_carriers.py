"""SIPp plays carriers to the whole phone: what each of them does, and what is on record of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ivr.result import Result
from ivr.story import CallFailed, CallStory
from ivr.trunks import TrunkState
from tests.ivr.calling import CALLER, NUMBER, settled, wait
from tests.ivr.conftest import PhoneMaker
from tests.peers.sipp import sipp

SCENARIOS = Path(__file__).parent / "sip" / "scenarios"
ACCOUNT = {"username": "alice", "password": "secret"}

pytestmark = pytest.mark.peer


async def call(
    make_phone: PhoneMaker,
    folder: Path,
    scenario: str,
    *,
    they_end: bool = False,
    ring_timeout: float = 10,
    **trunk: object,
) -> tuple[CallStory, TrunkState]:
    """Call SIPp, hang up unless it does, and see that both came to their end."""
    async with (
        sipp(SCENARIOS / f"{scenario}.xml", folder) as carrier,
        make_phone({"port": carrier.port, **trunk}) as phone,
    ):
        slot = await phone.reserve("carrier")
        try:
            call = await phone.dial(
                NUMBER, slot=slot, caller_id=CALLER, ring_timeout=ring_timeout
            )  # fmt: skip
        except CallFailed as failed:
            story = failed.story
        else:
            story = await (call.run(wait) if they_end else call.finish())
        await asyncio.wait_for(carrier.done(), 20)
        await settled(phone)
        return story, phone.trunks["carrier"].state


@pytest.mark.parametrize(
    ("scenario", "result", "code"),
    [
        ("uas-invite-486", Result.BUSY, 486),
        ("uas-invite-600", Result.BUSY, 600),
        ("uas-invite-603", Result.REJECTED, 603),
        ("uas-invite-404", Result.INVALID_NUMBER, 404),
        ("uas-invite-410", Result.INVALID_NUMBER, 410),
        ("uas-invite-484", Result.INVALID_NUMBER, 484),
        ("uas-invite-604", Result.INVALID_NUMBER, 604),
        ("uas-invite-480", Result.UNREACHABLE, 480),
        ("uas-invite-180-480", Result.NO_ANSWER, 480),
        ("uas-invite-500", Result.CONGESTION, 500),
        ("uas-invite-503", Result.CONGESTION, 503),
        ("uas-invite-180-503", Result.UNREACHABLE, 503),
        ("uas-invite-302", Result.UNREACHABLE, 302),
    ],
)
async def test_refusals(
    make_phone: PhoneMaker, tmp_path: Path, scenario: str, result: Result, code: int
) -> None:
    story, trunk = await call(make_phone, tmp_path, scenario)
    assert (story.result, story.sip_code, story.hangup_by) == (result, code, "them")
    assert (story.ringing_at is not None) is ("-180-" in scenario)
    assert trunk is TrunkState.UP
    if code == 302:
        assert story.note == "diverted to sip:elsewhere@127.0.0.1:5999"


@pytest.mark.parametrize("scenario", ["uas-invite-401-200-bye", "uas-invite-407-200-bye"])
async def test_a_carrier_that_wants_a_password(
    make_phone: PhoneMaker, tmp_path: Path, scenario: str
) -> None:
    story, trunk = await call(make_phone, tmp_path, scenario, **ACCOUNT)
    assert (story.result, story.sip_code, story.hangup_by) == (Result.ANSWERED, 200, "us")
    assert trunk is TrunkState.UP


async def test_a_carrier_that_refuses_the_password(make_phone: PhoneMaker, tmp_path: Path) -> None:
    story, trunk = await call(make_phone, tmp_path, "uas-invite-407-407", **ACCOUNT)
    assert (story.result, story.sip_code) == (Result.FORBIDDEN, 407)
    assert trunk is TrunkState.FORBIDDEN


@pytest.mark.parametrize("scenario", ["uas-invite-183-sdp-200-bye", "uas-invite-183-prack-200-bye"])
async def test_early_media(make_phone: PhoneMaker, tmp_path: Path, scenario: str) -> None:
    """Acknowledged with PRACK where it must be; then the 200 needs no description of its own."""
    story, _ = await call(make_phone, tmp_path, scenario)
    assert (story.result, story.codec) == (Result.ANSWERED, "PCMA")
    assert story.ringing_at is not None
    assert story.answered_at is not None
    assert story.ringing_at <= story.answered_at


async def test_given_up(make_phone: PhoneMaker, tmp_path: Path) -> None:
    story, _ = await call(make_phone, tmp_path, "uas-invite-cancel-487", ring_timeout=0.3)
    assert (story.result, story.sip_code, story.hangup_by) == (Result.NO_ANSWER, 487, "us")
    assert story.note is None


async def test_answered_just_as_it_was_given_up(make_phone: PhoneMaker, tmp_path: Path) -> None:
    """SIPp wants its ACK and a BYE: nobody is left with a dead line."""
    story, _ = await call(make_phone, tmp_path, "uas-invite-cancel-200-race", ring_timeout=0.3)
    assert (story.result, story.sip_code, story.hangup_by) == (Result.NO_ANSWER, 487, "us")
    assert story.note == "answered just as it was given up"
    assert story.answered_at is None


async def test_hung_up_at_once(make_phone: PhoneMaker, tmp_path: Path) -> None:
    story, _ = await call(make_phone, tmp_path, "uas-invite-200-bye-at-once", they_end=True)
    assert (story.result, story.sip_code, story.hangup_by) == (Result.ANSWERED, 200, "them")


async def test_held_and_resumed(make_phone: PhoneMaker, tmp_path: Path) -> None:
    """SIPp checks that our answers say recvonly, then sendrecv."""
    story, _ = await call(make_phone, tmp_path, "uas-invite-200-reinvite-hold", they_end=True)
    assert (story.result, story.hangup_by, story.note) == (Result.ANSWERED, "them", None)


async def test_a_key_by_info(make_phone: PhoneMaker, tmp_path: Path) -> None:
    story, _ = await call(make_phone, tmp_path, "uas-invite-200-info-dtmf", they_end=True)
    assert (story.result, story.keys) == (Result.ANSWERED, "5")


async def test_a_longer_session_interval(make_phone: PhoneMaker, tmp_path: Path) -> None:
    story, _ = await call(make_phone, tmp_path, "uas-invite-422-200-bye")
    assert (story.result, story.sip_code) == (Result.ANSWERED, 200)
