"""Calling out: provisional responses, forks, challenges, refusals, giving up."""

from __future__ import annotations

import pytest

from ivr.sip.digest import Credentials
from ivr.sip.message import make_response
from ivr.sip.session_events import Accepted, Ended, Failed, Ringing, Trying
from tests.ivr.sip.session_kit import ANSWER, FAR, OFFER, Table

LATE = 64 * 0.5 + 1


@pytest.fixture
def table() -> Table:
    return Table()


async def test_a_call_is_answered_and_hung_up_by_them(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    assert invite.body == OFFER
    assert invite.headers.get_first("content-type") == "application/sdp"
    table.respond(invite, 100)
    table.respond(invite, 180)
    table.respond(invite, 200, sdp=ANSWER)
    ack = table.take("ACK")
    assert ack.uri == "sip:bob@192.0.2.2:5060"
    assert ack.cseq.seq == invite.cseq.seq
    assert ack.top_via.branch != invite.top_via.branch
    table.inside("BYE", 1, [("Reason", 'Q.850;cause=16;text="Normal"')], session=session)
    table.take(200)
    assert table.events == [
        Trying(),
        Ringing(180, "Ringing", None),
        Accepted(ANSWER),
        Ended("them", "Normal"),
    ]
    assert table.at_rest()


async def test_a_repeated_2xx_is_acknowledged_with_the_same_ack(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    response = table.respond(invite, 200, sdp=ANSWER)
    first = table.take("ACK")
    table.hear(response)
    assert bytes(table.take("ACK")) == bytes(first)
    assert len(table.told(Accepted)) == 1
    session.bye()
    table.respond(table.take("BYE"), 200)
    table.hear(response)  # the BYE overtook an ACK that was lost
    assert bytes(table.take("ACK")) == bytes(first)


async def test_a_2xx_past_its_transaction_is_still_acknowledged(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    response = table.respond(invite, 200, sdp=ANSWER)
    table.take("ACK")
    await table.clock.advance(LATE)
    table.hear(response)
    table.take("ACK")
