"""A call that is up: changes both ways, keys, and what is refused."""

from __future__ import annotations

import pytest

from ivr.sip.session_events import (
    Answered,
    Ended,
    Keyed,
    Offered,
    RequestRefused,
    SessionOver,
    SessionStateError,
)
from tests.ivr.sip.session_kit import ANSWER, HOLD, OFFER, Table, breathe, far_request, later

RESUME = ANSWER.replace(b"o=- 7 1", b"o=- 7 3")
OURS = OFFER.replace(b"o=- 1 1", b"o=- 1 2")
LATE = 64 * 0.5 + 1


@pytest.fixture
def table() -> Table:
    return Table()


# re-INVITE of ours -------------------------------------------------------------------------------


async def test_holding_and_the_target_moves(table: Table) -> None:
    session, invite = table.up_out()
    hold = await later(session.reoffer(OURS))
    reinvite = table.take("INVITE")
    assert reinvite.body == OURS
    assert reinvite.cseq.seq == invite.cseq.seq + 1
    assert reinvite.to_addr.tag == "far"
    response = table.respond(reinvite, 200, sdp=HOLD, contact="<sip:bob@192.0.2.99>")
    ack = table.take("ACK")
    assert ack.cseq.seq == reinvite.cseq.seq
    assert ack.uri == "sip:bob@192.0.2.99"
    assert await hold == HOLD
    table.hear(response)
    assert bytes(table.take("ACK")) == bytes(ack)
    session.bye()
    assert table.take("BYE").uri == "sip:bob@192.0.2.99"


async def test_a_refused_change_changes_nothing(table: Table) -> None:
    session, _ = table.up_out()
    change = await later(session.reoffer(OURS))
    table.respond(table.take("INVITE"), 488)
    table.take("ACK")
    with pytest.raises(RequestRefused, match="INVITE was refused: 488"):
        await change
    assert session.state == "up"
    assert session._core.local_sdp == OFFER


async def test_changes_take_turns(table: Table) -> None:
    session, _ = table.up_out()
    first = await later(session.reoffer(OURS))
    second = await later(session.update(OFFER))
    assert table.kinds() == ["INVITE"]
    first.cancel()  # whoever asked went away; the change goes on
    await breathe()
    assert table.silent()
    session.bye()
    with pytest.raises(SessionOver):
        await second


@pytest.mark.parametrize(("ours", "soonest", "latest"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
async def test_glare_is_tried_again_after_a_wait(
    table: Table, ours: bool, soonest: float, latest: float
) -> None:
    session = table.up_out()[0] if ours else table.up_in()
    change = await later(session.reoffer(OURS))
    table.respond(table.take("INVITE"), 491)
    table.take("ACK")
    await table.wait(soonest - 0.01)
    assert table.silent()
    await table.wait(latest - soonest + 0.02)
    again = table.take("INVITE")
    table.sent.clear()  # its retransmissions
    table.respond(again, 200, sdp=ANSWER)
    table.take("ACK")
    assert await change == ANSWER


async def test_their_reinvite_while_ours_is_on_its_way_is_glare(table: Table) -> None:
    session, _ = table.up_out()
    await later(session.reoffer(OURS))
    ours = table.take("INVITE")
    table.inside("INVITE", 5, session=session, body=HOLD)
    table.take(491)
    table.respond(ours, 200, sdp=ANSWER)
    table.take("ACK")
    table.inside("INVITE", 6, session=session, body=HOLD)
    assert table.told(Offered) == [Offered(HOLD, "INVITE")]


async def test_a_call_the_far_side_forgot_is_over(table: Table) -> None:
    session, _ = table.up_out()
    change = await later(session.reoffer(OURS))
    table.respond(table.take("INVITE"), 481)
    assert table.kinds() == ["ACK", "BYE"]
    assert table.told(Ended)[0].by == "network"
    with pytest.raises((SessionOver, RequestRefused)):
        await change


async def test_silence_within_a_call_ends_it(table: Table) -> None:
    session, _ = table.up_out()
    asked = await later(session.info("application/dtmf", b"5"))
    await table.wait(33)
    assert await asked == 408
    assert table.told(Ended)[0].by == "network"
    await table.wait(LATE)
    assert table.at_rest()


async def test_nothing_can_change_before_it_is_up(table: Table) -> None:
    session = table.call()
    with pytest.raises(SessionStateError, match="a re-INVITE needs it up"):
        await session.reoffer(OURS)
    with pytest.raises(SessionOver):
        await session.info("application/dtmf", b"5")


# re-INVITE and UPDATE of theirs ------------------------------------------------------------------


async def test_they_hold_and_resume(table: Table) -> None:
    session = table.up_in()
    table.inside("INVITE", 2, session=session, body=HOLD)
    assert table.told(Offered) == [Offered(HOLD, "INVITE")]
    session.answer_offer(OURS)
    assert table.take(200).body == OURS
    await table.wait(0.5)
    table.take(200)  # until the ACK
    table.inside("ACK", 2, session=session)
    await table.wait(40)
    assert table.silent()
    table.inside("INVITE", 3, session=session, body=RESUME)
    session.reject_offer(488)
    table.take(488)
    session.answer_offer(OURS)
    assert table.silent()


async def test_a_reinvite_that_changes_nothing_is_answered_at_once(table: Table) -> None:
    session = table.up_in()
    table.inside("INVITE", 2, session=session, body=OFFER)
    assert table.take(200).body == ANSWER
    table.inside("ACK", 2, session=session)
    assert table.told(Offered) == []


async def test_a_reinvite_without_an_offer_asks_for_ours(table: Table) -> None:
    session = table.up_in()
    table.inside("INVITE", 2, session=session)
    assert table.told(Offered) == [Offered(b"", "INVITE")]
    session.answer_offer(OURS)
    assert table.take(200).body == OURS
    table.inside("ACK", 2, session=session, body=HOLD)
    assert table.told(Answered) == [Answered(HOLD)]
    change = await later(session.reoffer(OFFER))
    table.take("INVITE")
    change.cancel()


async def test_a_second_reinvite_before_the_first_is_answered(table: Table) -> None:
    session = table.up_in()
    table.inside("INVITE", 2, session=session, body=HOLD)
    table.inside("INVITE", 3, session=session, body=RESUME)
    refusal = table.take(500)
    assert 0 <= int(refusal.headers.get_first("retry-after")) <= 10


async def test_a_cancelled_reinvite_leaves_the_call_as_it_was(table: Table) -> None:
    session = table.up_in()
    reinvite = table.inside("INVITE", 2, session=session, body=HOLD)
    table.hear(
        far_request(
            "CANCEL",
            reinvite.uri,
            call_id=reinvite.call_id,
            from_=reinvite.headers.get_first("from") or "",
            to=reinvite.headers.get_first("to") or "",
            cseq=2,
            branch=reinvite.top_via.branch,
        )
    )
    assert table.kinds() == [200, 487]
    session.answer_offer(OURS)
    assert table.silent()
    assert session.state == "up"


async def test_an_unacknowledged_answer_to_a_reinvite_ends_the_call(table: Table) -> None:
    session = table.up_in()
    table.inside("INVITE", 2, session=session, body=HOLD)
    session.answer_offer(OURS)
    await table.wait(33)
    assert table.kinds()[-1] == "BYE"
    assert table.told(Ended)[0].by == "network"


async def test_a_bye_while_their_offer_is_open(table: Table) -> None:
    session = table.up_in()
    table.inside("INVITE", 2, session=session, body=HOLD)
    table.inside("BYE", 3, session=session)
    assert table.kinds() == [200, 487]
    assert table.at_rest()


async def test_update_both_ways(table: Table) -> None:
    session = table.up_in()
    table.inside("UPDATE", 2, session=session, body=HOLD)
    assert table.told(Offered) == [Offered(HOLD, "UPDATE")]
    session.answer_offer(OURS)
    assert table.take(200).body == OURS
    table.inside("UPDATE", 3, session=session)
    assert not table.take(200).body
    change = await later(session.update(OFFER))
    table.respond(table.take("UPDATE"), 200, sdp=ANSWER)
    assert await change == ANSWER
    change = await later(session.update())
    table.respond(table.take("UPDATE"), 200)
    assert await change is None


async def test_an_update_while_our_offer_is_open_is_glare(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    table.respond(invite, 183)
    table.inside("UPDATE", 1, session=session, body=HOLD)
    table.take(491)


async def test_an_update_before_we_answered_their_invite_comes_too_soon(table: Table) -> None:
    table.invite()
    session = table.incoming[0]
    session.ring()
    table.take(180)
    table.inside("UPDATE", 2, session=session, body=HOLD)
    table.take(500)


async def test_early_media_may_be_updated_once_it_was_settled(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    table.respond(invite, 183, [("Require", "100rel"), ("RSeq", "1")], sdp=ANSWER)
    table.take("PRACK")
    table.inside("UPDATE", 1, session=session, body=HOLD)
    session.answer_offer(OURS)
    assert table.take(200).body == OURS
    change = await later(session.update(OFFER))
    table.respond(table.take("UPDATE"), 200, sdp=ANSWER)
    assert await change == ANSWER


# what is refused within a call -------------------------------------------------------------------


async def test_requests_out_of_order_are_refused(table: Table) -> None:
    session = table.up_in()
    table.inside("OPTIONS", 9, session=session)
    assert "INVITE" in table.take(200).headers.get_first("allow")
    table.inside("INFO", 8, session=session)
    table.take(500)
    table.inside("SUBSCRIBE", 10, session=session)
    assert "BYE" in table.take(405).headers.get("allow")
    table.inside("INFO", 11, [("Require", "nonsense")], session=session)
    table.take(420)


async def test_a_dialog_of_nobodys_is_481(table: Table) -> None:
    session = table.up_in()
    table.inside("BYE", 2, session=session)
    table.take(200)
    for method in ("BYE", "INVITE", "INFO", "NOTIFY"):
        table.inside(method, 3, session=session)
        table.take(481)
    table.inside("ACK", 3, session=session)
    assert table.silent()


async def test_byes_that_cross_are_both_answered(table: Table) -> None:
    session = table.up_in()
    session.bye()
    ours = table.take("BYE")
    table.inside("BYE", 2, session=session)
    table.take(200)
    table.inside("INFO", 3, session=session)
    table.take(481)
    table.respond(ours, 481)
    assert table.at_rest()
    assert table.told(Ended) == [Ended("us")]


# keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", Keyed("5", 160)),
        ("application/dtmf-relay", b"Signal= #\nDuration= 99\n", Keyed("#", 99)),
        ("application/dtmf-relay", b"signal=10\r\n", Keyed("*", 250)),
        ("application/dtmf-relay; charset=x", b"Signal=d\r\nDuration=soon", Keyed("D", 250)),
        ("application/dtmf", b"11", Keyed("#", 250)),
        ("application/dtmf", b"7\r\n", Keyed("7", 250)),
    ],
)
async def test_keys_by_info(table: Table, kind: str, body: bytes, key: Keyed) -> None:
    session = table.up_in()
    table.inside("INFO", 2, session=session, body=body, content_type=kind)
    table.take(200)
    assert table.told(Keyed) == [key]


async def test_infos_that_are_no_keys(table: Table) -> None:
    session = table.up_in()
    table.inside("INFO", 2, session=session)
    table.take(200)
    table.inside("INFO", 3, session=session, body=b"<xml/>", content_type="application/xml")
    assert "application/dtmf-relay" in table.take(415).headers.get_first("accept")
    table.inside(
        "INFO", 4, session=session, body=b"Signal=X", content_type="application/dtmf-relay"
    )
    table.take(400)
    assert table.told(Keyed) == []


async def test_sending_info(table: Table) -> None:
    session, _ = table.up_out()
    asked = await later(session.info("application/dtmf-relay", b"Signal=5\r\n"))
    info = table.take("INFO")
    assert info.headers.get_first("content-type") == "application/dtmf-relay"
    table.respond(info, 415)
    assert await asked == 415


async def test_their_change_may_move_where_our_requests_go(table: Table) -> None:
    session = table.up_in()
    reinvite = table.inside("INVITE", 2, session=session, body=OFFER)
    table.take(200)
    table.inside("ACK", 2, session=session)
    moved = bytes(reinvite).replace(b"<sip:bob@192.0.2.2:5060>", b"<sip:bob@192.0.2.55>")
    moved = moved.replace(b"CSeq: 2", b"CSeq: 3").replace(b"z9hG4bK", b"z9hG4bKmoved")
    table.hear(moved)
    table.take(200)
    table.inside("ACK", 3, session=session)
    session.bye()
    assert table.take("BYE").uri == "sip:bob@192.0.2.55"
    assert table.sent_to.host == "192.0.2.55"
