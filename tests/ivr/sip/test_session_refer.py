"""Transfers, ours and theirs (RFC 3515, RFC 3891)."""

from __future__ import annotations

from typing import Any

import pytest

from ivr.sip.digest import Credentials
from ivr.sip.session_events import Ended, Referred, RequestRefused
from tests.ivr.sip.session_kit import Table, later

LATE = 64 * 0.5 + 1


@pytest.fixture
def table() -> Table:
    return Table()


def notify(status: str, state: str = "active;expires=60") -> dict[str, Any]:
    return {
        "headers": [("Event", "refer"), ("Subscription-State", state)],
        "body": f"SIP/2.0 {status}\r\n".encode(),
        "content_type": "message/sipfrag;version=2.0",
    }


async def test_we_send_them_elsewhere(table: Table) -> None:
    session, _ = table.up_out()
    heard: list[tuple[int, str]] = []
    transfer = await later(
        session.refer("sip:carol@192.0.2.3", on_progress=lambda *told: heard.append(told))
    )
    refer = table.take("REFER")
    assert refer.headers.get_first("refer-to") == "<sip:carol@192.0.2.3>"
    table.inside("NOTIFY", 1, session=session, **notify("100 Trying"))  # overtakes the 202
    table.take(200)
    table.respond(refer, 202)
    table.inside("NOTIFY", 2, session=session, **notify("180 Ringing"))
    table.inside("NOTIFY", 3, session=session, **notify("200 OK", "terminated;reason=noresource"))
    assert await transfer == 200
    assert heard == [(100, "Trying"), (180, "Ringing"), (200, "OK")]
    assert table.kinds() == [200, 200]
    table.inside("NOTIFY", 4, session=session, **notify("200 OK"))
    table.take(481)


async def test_they_hang_up_first_and_tell_afterwards(table: Table) -> None:
    session, _ = table.up_out()
    transfer = await later(session.refer("sip:carol@192.0.2.3"))
    table.respond(table.take("REFER"), 202)
    table.inside("BYE", 1, session=session)
    table.take(200)
    assert table.told(Ended) == [Ended("them")]
    table.inside("NOTIFY", 2, session=session, **notify("486 Busy Here", "terminated"))
    table.take(200)
    assert await transfer == 486
    assert table.at_rest()


async def test_they_hang_up_and_never_tell(table: Table) -> None:
    session, _ = table.up_out()
    transfer = await later(session.refer("sip:carol@192.0.2.3"))
    table.respond(table.take("REFER"), 202)
    table.inside("NOTIFY", 1, session=session, **notify("100 Trying"))
    table.inside("BYE", 2, session=session)
    table.kinds()
    await table.wait(LATE)
    assert await transfer == 100
    assert table.at_rest()


async def test_a_transfer_they_refuse(table: Table) -> None:
    session, _ = table.up_out()
    transfer = await later(session.refer("sip:carol@192.0.2.3"))
    table.respond(table.take("REFER"), 603)
    with pytest.raises(RequestRefused, match="REFER was refused: 603"):
        await transfer
    assert session.state == "up"


async def test_an_attended_transfer_names_the_call_to_replace(table: Table) -> None:
    first, _ = table.up_out()
    second, _ = table.up_out(call_id="consult@us")
    transfer = await later(first.refer("sip:carol@192.0.2.3", replaces=second))
    target = table.take("REFER").headers.get_first("refer-to")
    tag = second._core.local_tag
    assert target == (
        f"<sip:carol@192.0.2.3?Replaces=consult%40us%3Bto-tag%3Dfar%3Bfrom-tag%3D{tag}>"
    )
    transfer.cancel()


async def test_they_send_us_elsewhere(table: Table) -> None:
    session = table.up_in()
    refer_to = [
        ("Refer-To", "<sip:carol@192.0.2.3?Replaces=a%40b>"),
        ("Referred-By", "<sip:bob@x>"),
    ]
    table.inside("REFER", 2, refer_to, session=session)
    [referred] = table.told(Referred)
    assert referred.refer_to == "sip:carol@192.0.2.3?Replaces=a%40b"
    assert referred.referred_by == "<sip:bob@x>"
    referred.accept()
    table.take(202)
    first = table.take("NOTIFY")
    assert first.body == b"SIP/2.0 100 Trying\r\n"
    assert first.headers.get_first("event") == "refer;id=2"
    referred.notify(180, "Ringing")
    assert table.take("NOTIFY").headers.get_first("subscription-state") == "active;expires=60"
    referred.notify(486, "")
    last = table.take("NOTIFY")
    assert last.body == b"SIP/2.0 486 Busy Here\r\n"
    assert last.headers.get_first("subscription-state").startswith("terminated")
    referred.notify(200, "OK")
    assert table.silent()


async def test_a_transfer_we_refuse(table: Table) -> None:
    session = table.up_in()
    table.inside("REFER", 2, [("Refer-To", "<sip:c@d>")], session=session)
    [referred] = table.told(Referred)
    referred.reject(603)
    table.take(603)
    referred.accept()
    assert table.silent()
    table.inside("REFER", 3, session=session)
    table.take(400)


async def test_a_notify_of_something_else(table: Table) -> None:
    session, _ = table.up_out()
    table.inside("NOTIFY", 1, [("Event", "presence")], session=session)
    table.take(489)


async def test_a_final_status_is_the_end_whatever_the_subscription_says(table: Table) -> None:
    session, _ = table.up_out()
    transfer = await later(session.refer("sip:carol@192.0.2.3"))
    table.respond(table.take("REFER"), 202)
    table.inside("NOTIFY", 1, session=session, **notify("603 Decline"))
    assert await transfer == 603


async def test_a_subscription_that_ends_without_a_status(table: Table) -> None:
    session, _ = table.up_out()
    transfer = await later(session.refer("sip:carol@192.0.2.3"))
    table.respond(table.take("REFER"), 202)
    table.inside("NOTIFY", 1, session=session, **notify("180 Ringing", "terminated;reason=giveup"))
    assert await transfer == 180


async def test_a_transfer_that_is_challenged_keeps_its_subscription(table: Table) -> None:
    session, _ = table.up_out(credentials=Credentials("alice", "secret"))
    transfer = await later(session.refer("sip:carol@192.0.2.3"))
    challenge = ("WWW-Authenticate", 'Digest realm="r", nonce="n"')
    table.respond(table.take("REFER"), 401, [challenge])
    again = table.take("REFER")
    table.respond(again, 202)
    about = notify("200 OK", "terminated")
    about["headers"][0] = ("Event", f"refer;id={again.cseq.seq}")
    table.inside("NOTIFY", 1, session=session, **about)
    assert await transfer == 200
    session.bye()
    table.take(200)
    table.respond(table.take("BYE"), 200)
    assert table.at_rest()
