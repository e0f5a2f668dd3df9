"""Session timers at work (RFC 4028)."""

from __future__ import annotations

import pytest

from ivr.sip.session_events import Ended, Failed
from tests.ivr.sip.session_kit import ANSWER, OFFER, Table


@pytest.fixture
def table() -> Table:
    return Table()


TIMER = ("Supported", "timer")
ALLOWS = ("Allow", "INVITE, ACK, BYE, UPDATE")


async def test_we_refresh_by_update_where_they_know_it(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    assert invite.headers.get_first("session-expires") == "1800"
    assert "timer" in invite.headers.get("supported")[0]
    table.respond(invite, 200, [("Session-Expires", "300;refresher=uac"), ALLOWS], sdp=ANSWER)
    table.take("ACK")
    await table.wait(150)
    update = table.take("UPDATE")
    assert not update.body
    assert update.headers.get_first("session-expires") == "300;refresher=uac"
    table.respond(update, 200, [("Session-Expires", "300;refresher=uac")])
    await table.wait(150)
    table.respond(table.take("UPDATE"), 200, [("Session-Expires", "300;refresher=uas")])
    await table.wait(267)
    assert table.silent()  # now it is theirs to refresh
    await table.wait(2)
    assert table.take("BYE").headers.get_first("reason")
    [ended] = table.told(Ended)
    assert (ended.by, ended.reason) == ("network", "the session was not refreshed in time")
    assert session.state == "over"


async def test_we_refresh_by_reinvite_where_they_do_not(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    table.respond(invite, 200, [("Session-Expires", "300;refresher=uac")], sdp=ANSWER)
    table.take("ACK")
    await table.wait(150)
    again = table.take("INVITE")
    assert again.body == OFFER
    table.respond(again, 200, [("Session-Expires", "300;refresher=uac")], sdp=ANSWER)
    table.take("ACK")


async def test_an_update_they_allow_but_do_not_know(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    table.respond(invite, 200, [("Session-Expires", "300;refresher=uac"), ALLOWS], sdp=ANSWER)
    table.take("ACK")
    await table.wait(150)
    table.respond(table.take("UPDATE"), 501)
    await table.wait(0)
    table.take("INVITE")


async def test_a_peer_that_knows_no_timers_is_left_alone(table: Table) -> None:
    table.up_out()
    await table.wait(4000)
    assert table.silent()
    table.up_in()
    await table.wait(4000)
    assert table.silent()


async def test_called_we_leave_the_refreshing_to_them(table: Table) -> None:
    table.invite([TIMER, ("Session-Expires", "600")])
    [session] = table.incoming
    session.accept(ANSWER)
    ok = table.take(200)
    assert ok.headers.get_first("session-expires") == "600;refresher=uac"
    assert "timer" in ok.headers.get("require")
    table.inside("ACK", 1, session=session)
    await table.wait(500)
    table.inside("UPDATE", 2, [TIMER, ("Session-Expires", "600;refresher=uac")], session=session)
    assert table.take(200).headers.get_first("session-expires") == "600;refresher=uac"
    await table.wait(560)
    assert table.silent()
    await table.wait(20)
    assert table.kinds()[0] == "BYE"


async def test_called_we_refresh_where_they_say_so(table: Table) -> None:
    table.invite([TIMER, ("Session-Expires", "600;refresher=uas"), ALLOWS])
    [session] = table.incoming
    session.accept(ANSWER)
    assert table.take(200).headers.get("require") == []
    table.inside("ACK", 1, session=session)
    await table.wait(300)
    assert table.take("UPDATE").headers.get_first("session-expires") == "600;refresher=uac"


async def test_an_interval_too_small_is_raised_and_tried_again(table: Table) -> None:
    table.call()
    first = table.take("INVITE")
    table.respond(first, 422, [("Min-SE", "3600")])
    table.take("ACK")
    second = table.take("INVITE")
    assert second.headers.get("session-expires") == ["3600"]
    assert second.headers.get("min-se") == ["3600"]
    assert second.body == OFFER
    table.respond(second, 422, [("Min-SE", "60")])
    table.take("ACK")
    assert [event.status for event in table.told(Failed)] == [422]


async def test_a_refresh_with_an_interval_too_small(table: Table) -> None:
    session = table.up_in()
    table.inside("UPDATE", 2, [TIMER, ("Session-Expires", "20")], session=session)
    assert table.take(422).headers.get_first("min-se") == "90"


async def test_our_refresh_with_an_interval_too_small(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    table.respond(invite, 200, [("Session-Expires", "300;refresher=uac"), ALLOWS], sdp=ANSWER)
    table.take("ACK")
    await table.wait(150)
    table.respond(table.take("UPDATE"), 422, [("Min-SE", "500")])
    await table.wait(0)
    assert table.take("UPDATE").headers.get_first("session-expires") == "500;refresher=uac"


async def test_no_timers_when_switched_off() -> None:
    table = Table(session_expires=0)
    table.call()
    invite = table.take("INVITE")
    assert invite.headers.get("session-expires") == []


async def test_a_refresh_answered_without_an_interval_ends_the_timer(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    table.respond(invite, 200, [("Session-Expires", "300;refresher=uac"), ALLOWS], sdp=ANSWER)
    table.take("ACK")
    await table.wait(150)
    table.respond(table.take("UPDATE"), 200)
    await table.wait(1000)
    assert table.silent()
    assert session.state == "up"


async def test_no_timer_outlives_its_call(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    table.respond(invite, 200, [("Session-Expires", "1800;refresher=uac"), ALLOWS], sdp=ANSWER)
    table.take("ACK")
    session.bye()
    table.respond(table.take("BYE"), 200)
    await table.wait(40)
    assert table.clock.pending == 0
