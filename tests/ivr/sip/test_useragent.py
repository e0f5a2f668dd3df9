"""The user agent outside calls: requests of ours, requests of others, names, who gets what."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from ivr.sip.dialog import Hop
from ivr.sip.digest import Credentials
from ivr.sip.endpoint import Response, ServerTransaction
from ivr.sip.errors import SipError
from ivr.sip.message import SipRequest
from ivr.sip.resolver import Resolver
from ivr.sip.session_events import Accepted, Ended, Failed
from ivr.sip.transport import Peer
from tests.ivr.sip.session_kit import ALICE, ANSWER, FAR, OFFER, Table, breathe, far_request


@pytest.fixture
def table() -> Table:
    return Table()


async def register(table: Table, **options: Any) -> asyncio.Task[Response]:
    given: dict[str, Any] = {
        "uri": "sip:192.0.2.2",
        "to": FAR,
        "from_": ALICE,
        "to_addr": ALICE,
        "headers": [("Contact", "<sip:alice@192.0.2.1>"), ("Expires", "300")],
    }
    task = asyncio.ensure_future(table.agent.request("REGISTER", **(given | options)))
    await breathe()
    return task


async def test_a_request_outside_dialogs(table: Table) -> None:
    task = await register(table)
    request = table.take("REGISTER")
    assert request.headers.get_first("expires") == "300"
    assert request.to_addr.uri.user == "alice"
    assert request.to_addr.tag is None
    table.respond(request, 100)
    table.respond(request, 200)
    response = await task
    assert response.message.status_code == 200
    assert response.source == FAR


async def test_a_challenge_to_it_is_answered(table: Table) -> None:
    task = await register(table, credentials=Credentials("alice", "secret"), call_id="same@us")
    first = table.take("REGISTER")
    challenge = ("WWW-Authenticate", 'Digest realm="r", nonce="n1", qop="auth"')
    table.respond(first, 401, [challenge])
    await breathe()
    second = table.take("REGISTER")
    assert second.cseq.seq > first.cseq.seq
    assert second.call_id == "same@us"
    assert second.from_addr.tag == first.from_addr.tag
    stale = ("WWW-Authenticate", 'Digest realm="r", nonce="n2", qop="auth", stale=true')
    table.respond(second, 401, [stale])
    await breathe()
    third = table.take("REGISTER")
    assert 'nonce="n2"' in third.headers.get_first("authorization")
    table.respond(third, 200)
    assert (await task).message.status_code == 200


async def test_without_credentials_the_challenge_comes_back(table: Table) -> None:
    task = await register(table)
    table.respond(table.take("REGISTER"), 401, [("WWW-Authenticate", "Digest nonce=x")])
    assert (await task).message.status_code == 401


async def test_silence_is_a_408_of_our_own(table: Table) -> None:
    task = await register(table)
    await table.wait(33)
    response = await task
    assert (response.message.status_code, response.source) == (408, None)


# what others ask ---------------------------------------------------------------------------------


def outside(method: str, *headers: tuple[str, str]) -> SipRequest:
    return far_request(
        method,
        "sip:192.0.2.1",
        call_id=f"{method}@far",
        from_="<sip:bob@192.0.2.2>;tag=far",
        to="<sip:192.0.2.1>",
        cseq=1,
        headers=headers,
    )


async def test_options_tell_what_we_can(table: Table) -> None:
    table.hear(outside("OPTIONS"))
    ok = table.take(200)
    assert "INVITE" in ok.headers.get("allow")
    assert "OPTIONS" in ok.headers.get("allow")
    assert "100rel" in ok.headers.get("supported")
    assert ok.headers.get("accept") == ["application/sdp"]
    assert ok.to_addr.tag


async def test_methods_have_handlers_or_are_not_allowed(table: Table) -> None:
    def take(transaction: ServerTransaction) -> None:
        transaction.reply(202)

    table.agent.handlers["MESSAGE"] = take
    table.hear(outside("MESSAGE"))
    table.take(202)
    table.hear(outside("SUBSCRIBE"))
    allowed = table.take(405).headers.get("allow")
    assert "MESSAGE" in allowed
    assert "SUBSCRIBE" not in allowed
    table.hear(outside("BYE"))
    table.take(405)


async def test_what_is_required_must_be_known(table: Table) -> None:
    table.hear(outside("OPTIONS", ("Require", "100rel, gruu"), ("Require", "path")))
    assert table.take(420).headers.get("unsupported") == ["gruu", "path"]


async def test_our_own_call_sent_back_to_us_is_a_loop(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    table.hear(bytes(invite).replace(b"z9hG4bK", b"z9hG4bKproxy"))
    table.take(482)
    assert table.incoming == []


async def test_our_own_call_sent_to_another_of_our_numbers_is_a_call(table: Table) -> None:
    """A carrier that hands our call back to us under the number dialled is no loop (spiral)."""
    session = table.call()
    invite = table.take("INVITE")
    spiral = bytes(invite).replace(b"z9hG4bK", b"z9hG4bKproxy")
    table.hear(spiral.replace(b"INVITE sip:bob@192.0.2.2", b"INVITE sip:hotline@192.0.2.1"))
    [back] = table.incoming
    back.accept(ANSWER)
    table.respond(invite, 200, tag=table.take(200).to_addr.tag or "", sdp=ANSWER)
    ack = table.take("ACK")
    table.hear(ack)
    assert table.told(Accepted) == [Accepted(ANSWER), Accepted(None)]
    session.bye()
    table.hear(table.take("BYE"))
    table.hear(table.take(200))
    assert {event.by for event in table.told(Ended)} == {"us", "them"}
    assert table.at_rest()


async def test_acks_and_answers_of_nobodys_are_ignored(table: Table) -> None:
    session = table.up_in()
    table.inside("ACK", 1, session=session)
    table.inside("ACK", 77, session=session)
    table.hear(outside("ACK"))
    assert table.silent()
    assert session.state == "up"


async def test_many_calls_at_once_do_not_mix(table: Table) -> None:
    sessions = [table.call() for _ in range(20)]
    invites = [table.take("INVITE") for _ in sessions]
    assert len({invite.call_id for invite in invites}) == 20
    for invite in reversed(invites):
        table.respond(invite, 486, tag=invite.call_id)
        assert table.take("ACK").call_id == invite.call_id
    assert len(table.told(Failed)) == 20
    await table.wait(40)
    assert table.at_rest()


async def test_a_contact_over_tcp_says_so(table: Table) -> None:
    table.call(to=FAR._replace(transport="tcp"))
    invite = table.take("INVITE")
    assert invite.headers.get("contact") == ["<sip:alice@192.0.2.1:5060;transport=tcp>"]


# names -------------------------------------------------------------------------------------------


class Names:
    """Stands in for the loop's resolver: answers when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.known = {"proxy.example.com": "192.0.2.40"}
        self.gate = asyncio.Event()
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self.look_up)

    async def look_up(self, host: str, *_: object, **asked: object) -> list[Any]:
        assert asked["family"] is socket.AF_INET  # our socket could send to no other
        self.asked.append(host)
        await self.gate.wait()
        if host not in self.known:
            raise OSError("no such name")
        return [(2, 2, 17, "", (self.known[host], 0))]


async def test_a_name_in_the_route_is_looked_up_once_off_the_loop(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch)
    session = table.call()
    routes = [("Record-Route", "<sip:proxy.example.com;lr>")]
    table.respond(table.take("INVITE"), 200, routes, sdp=ANSWER)
    session.bye()
    await breathe()
    assert table.silent()
    names.gate.set()
    await breathe()
    table.take("ACK")
    assert table.sent_to == Peer("udp", "192.0.2.40", 5060)
    table.take("BYE")
    assert names.asked == ["proxy.example.com"]


async def test_a_name_nobody_knows_is_answered_the_way_it_came(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch)
    names.gate.set()
    table.call()
    table.respond(table.take("INVITE"), 200, sdp=ANSWER, contact="<sip:bob@pbx.invalid>")
    await breathe()
    assert table.take("ACK").uri == "sip:bob@pbx.invalid"
    assert table.sent_to == FAR


async def test_found_names_are_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    names.gate.set()
    resolver, found = Resolver(), list[Peer]()
    hop = Hop("proxy.example.com", 5070, "tcp")
    for _ in range(3):
        resolver.locate(hop, FAR, found.append)
        await breathe()
    assert found == [Peer("tcp", "192.0.2.40", 5070)] * 3
    assert names.asked == ["proxy.example.com"]
    names.gate.clear()
    resolver.locate(Hop("other.example.com", 1, "udp"), FAR, found.append)
    await breathe()
    resolver.close()
    names.gate.set()
    await breathe()
    assert len(found) == 3


async def test_no_offer_means_no_reliable_responses(table: Table) -> None:
    table.call(sdp=None)
    assert table.take("INVITE").headers.get("supported") == ["timer"]
    table.call(sdp=OFFER)
    assert table.take("INVITE").headers.get("supported") == ["timer", "100rel"]


@pytest.mark.parametrize("options", [{"uri": "sip:no spaces@here"}, {"to": Peer("udp", "name", 1)}])
async def test_a_call_that_cannot_be_sent_leaves_nothing(
    table: Table, options: dict[str, Any]
) -> None:
    with pytest.raises(SipError):
        table.call(**options)
    assert table.at_rest()
