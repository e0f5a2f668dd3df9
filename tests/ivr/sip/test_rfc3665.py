"""The call flows of RFC 3665 as a user agent meets them, message by message.

In each the test plays everyone but one: Alice, who calls, or Bob, who is called. Proxies add
what they add there: their Via, Record-Route, challenges, provisional responses.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ivr.sip.digest import Credentials
from ivr.sip.endpoint import Response
from ivr.sip.message import Address, SipRequest, SipUri, parse_uri
from ivr.sip.session import Session
from ivr.sip.session_events import Accepted, Ended, Failed, Offered, Ringing, Trying
from ivr.sip.transport import Peer
from tests.ivr.sip.session_kit import ANSWER, HOLD, OFFER, Table, breathe, far_request

ALICE = Address("Alice", SipUri(user="alice", host="atlanta.example.com"))
BOB = Address("Bob", SipUri(user="bob", host="biloxi.example.com"))
BOB_URI = "sip:bob@biloxi.example.com"
SS1 = Peer("udp", "192.0.2.111", 5060)
SS2 = Peer("udp", "192.0.2.222", 5060)
SECRET = Credentials("alice", "31415926")
RECORDED = [
    ("Record-Route", "<sip:192.0.2.222;lr>"),
    ("Record-Route", "<sip:192.0.2.111;lr>"),
]
ROUTE = ["<sip:192.0.2.111;lr>", "<sip:192.0.2.222;lr>"]
PROXY_1 = (
    'Digest realm="atlanta.example.com", qop="auth", '
    'nonce="f84f1cec41e6cbe5aea9c8e88d359", opaque="", stale=FALSE, algorithm=MD5'
)
PROXY_2 = PROXY_1.replace("atlanta", "biloxi").replace("f84f", "c1e2")
REGISTRAR = (
    'Digest realm="atlanta.example.com", qop="auth", '
    'nonce="ea9c8e88df84f1cec4341ae6cbe5a359", opaque="", stale=FALSE, algorithm=MD5'
)


@pytest.fixture
def table() -> Table:
    return Table()


# §2: registration ---------------------------------------------------------------------------------


class Registering:
    """Bob's client, seen by the registrar."""

    def __init__(self, table: Table) -> None:
        self.table = table

    async def send(
        self, *headers: tuple[str, str], password: str = "zanzibar"
    ) -> asyncio.Task[Response]:
        task = asyncio.ensure_future(
            self.table.agent.request(
                "REGISTER",
                uri="sip:ss2.biloxi.example.com",
                to=SS2,
                from_=BOB,
                to_addr=BOB,
                headers=headers,
                credentials=Credentials("bob", password),
            )
        )
        await breathe()
        return task

    async def challenged(self) -> SipRequest:
        """F1, F2 401 and F3, which is returned."""
        first = self.table.take("REGISTER")
        assert first.headers.get("authorization") == []
        self.table.respond(first, 401, [("WWW-Authenticate", REGISTRAR)])
        await breathe()
        second: SipRequest = self.table.take("REGISTER")
        assert second.cseq.seq == first.cseq.seq + 1
        assert second.call_id == first.call_id
        assert second.headers.get("contact") == first.headers.get("contact")
        proof = second.headers.get_first("authorization") or ""
        for part in ('username="bob"', 'uri="sip:ss2.biloxi.example.com"', "qop=auth", "cnonce="):
            assert part in proof
        return second


async def test_2_1_successful_new_registration(table: Table) -> None:
    bob = Registering(table)
    task = await bob.send(("Contact", "<sip:bob@192.0.2.4>"))
    f3 = await bob.challenged()
    table.respond(f3, 200, [("Contact", "<sip:bob@192.0.2.4>;expires=3600")])
    f4 = (await task).message
    assert (f4.status_code, f4.headers.get("contact")) == (
        200,
        ["<sip:bob@192.0.2.4>;expires=3600"],
    )


async def test_2_2_update_of_the_contact_list(table: Table) -> None:
    task = await Registering(table).send(("Contact", "<mailto:bob@biloxi.example.com>"))
    f1 = table.take("REGISTER")
    assert f1.headers.get("contact") == ["<mailto:bob@biloxi.example.com>"]
    contacts = ["<sip:bob@192.0.2.4>;expires=3600", "<mailto:bob@biloxi.example.com>;expires=4294"]
    table.respond(f1, 200, [("Contact", contact) for contact in contacts])
    assert (await task).message.headers.get("contact") == contacts


async def test_2_3_request_for_the_current_contact_list(table: Table) -> None:
    task = await Registering(table).send()
    f1 = table.take("REGISTER")
    assert f1.headers.get("contact") == []
    table.respond(f1, 200, [("Contact", "<sip:bob@192.0.2.4>;expires=3600")])
    assert (await task).message.status_code == 200


async def test_2_4_cancellation_of_the_registration(table: Table) -> None:
    task = await Registering(table).send(("Expires", "0"), ("Contact", "*"))
    f1 = table.take("REGISTER")
    assert (f1.headers.get("expires"), f1.headers.get("contact")) == (["0"], ["*"])
    table.respond(f1, 200)
    assert (await task).message.headers.get("contact") == []


async def test_2_5_unsuccessful_registration(table: Table) -> None:
    bob = Registering(table)
    task = await bob.send(("Contact", "<sip:bob@192.0.2.4>"), password="wrong")
    f3 = await bob.challenged()
    table.respond(f3, 401, [("WWW-Authenticate", REGISTRAR.replace("ea9c", "0000"))])
    assert (await task).message.status_code == 401
    assert table.silent()


# §3: sessions, Alice's side -----------------------------------------------------------------------


def alice_calls(table: Table, to: Peer, **options: Any) -> Session:
    return table.call(uri=BOB_URI, to=to, from_=ALICE, to_addr=BOB, **options)


def answered(table: Table, invite: SipRequest, headers: list[tuple[str, str]]) -> SipRequest:
    """180, 200 and our ACK."""
    contact = "<sip:bob@192.0.2.4>"
    table.respond(invite, 180, headers, contact=contact)
    table.respond(invite, 200, headers, contact=contact, sdp=ANSWER)
    ack: SipRequest = table.take("ACK")
    assert ack.uri == "sip:bob@192.0.2.4"
    assert ack.cseq.seq == invite.cseq.seq
    return ack


async def test_3_1_successful_session_establishment_alice(table: Table) -> None:
    session = alice_calls(table, SS1)
    f1 = table.take("INVITE")
    assert f1.uri == BOB_URI
    assert f1.headers.get_first("from").startswith('"Alice" <sip:alice@atlanta.example.com>;tag=')
    assert f1.headers.get_first("to") == '"Bob" <sip:bob@biloxi.example.com>'
    assert f1.headers.get_first("max-forwards") == "70"
    answered(table, f1, [])
    table.inside("BYE", 1, session=session)
    f6 = table.take(200)
    assert f6.cseq.method == "BYE"
    assert table.events == [Ringing(180, "Ringing", None), Accepted(ANSWER), Ended("them")]
    assert table.at_rest()


async def test_3_2_through_two_proxies_alice(table: Table) -> None:
    session = alice_calls(table, SS1, credentials=SECRET)
    f1 = table.take("INVITE")
    table.respond(f1, 407, [("Proxy-Authenticate", PROXY_1)], source=SS1)
    f3 = table.take("ACK")
    assert f3.top_via.branch == f1.top_via.branch
    assert f3.uri == BOB_URI
    f4 = table.take("INVITE")
    assert f4.cseq.seq == f1.cseq.seq + 1
    assert 'realm="atlanta.example.com"' in f4.headers.get_first("proxy-authorization")
    table.respond(f4, 100, source=SS1)
    f15 = answered(table, f4, RECORDED)
    assert f15.headers.get("route") == ROUTE
    assert table.sent_to == SS1
    table.inside("BYE", 1, session=session)
    table.take(200)
    assert table.told(Trying, Ended) == [Trying(), Ended("them")]


async def test_3_3_with_multiple_proxy_authentication_alice(table: Table) -> None:
    session = alice_calls(table, SS1, credentials=SECRET)
    f1 = table.take("INVITE")
    table.respond(f1, 407, [("Proxy-Authenticate", PROXY_1)], source=SS1)
    table.take("ACK")
    f4 = table.take("INVITE")
    table.respond(f4, 100, source=SS1)
    table.respond(f4, 407, [("Proxy-Authenticate", PROXY_2)], source=SS1)
    table.take("ACK")
    f10 = table.take("INVITE")
    proofs = f10.headers.get("proxy-authorization")
    assert [realm in "".join(proofs) for realm in ("atlanta", "biloxi")] == [True, True]
    assert len(proofs) == 2
    ack = answered(table, f10, RECORDED)
    assert ack.headers.get("proxy-authorization") == proofs
    session.bye()
    bye = table.take("BYE")
    assert bye.headers.get("route") == ROUTE
    assert len(bye.headers.get("proxy-authorization")) == 2
    table.respond(bye, 200, source=SS1)
    assert table.told(Ended) == [Ended("us")]


async def test_3_4_successful_session_with_proxy_failure(table: Table) -> None:
    """Proxy 1 is dead: its INVITE times out, and the same call goes to proxy 2."""
    alice_calls(table, SS1)
    await table.wait(32.1)
    assert set(table.kinds()) == {"INVITE"}
    [failed] = table.told(Failed)
    assert (failed.status, failed.local) == (408, True)
    second = alice_calls(table, SS2)
    f10 = table.take("INVITE")
    assert table.sent_to == SS2
    answered(table, f10, RECORDED[:1])
    second.bye()
    assert table.take("BYE").headers.get("route") == ["<sip:192.0.2.222;lr>"]
    assert table.sent_to == SS2


async def test_3_5_through_a_sip_alg(table: Table) -> None:
    """The ALG rewrites addresses: what Alice sees of Bob is the ALG, which does not record."""
    session = alice_calls(table, SS1)
    f1 = table.take("INVITE")
    alg = "<sip:bob@192.0.2.128>"
    table.respond(f1, 180, contact=alg)
    table.respond(f1, 200, contact=alg, sdp=ANSWER)
    assert table.take("ACK").uri == "sip:bob@192.0.2.128"
    assert table.sent_to.host == "192.0.2.128"
    table.inside("BYE", 1, session=session)
    table.take(200)


async def test_3_6_via_redirect_and_proxy_with_sdp_in_ack(table: Table) -> None:
    alice_calls(table, SS1, sdp=None)
    f1 = table.take("INVITE")
    assert not f1.body
    table.respond(f1, 302, [("Contact", "<sip:bob@chicago.example.com>")], source=SS1)
    f3 = table.take("ACK")
    assert f3.top_via.branch == f1.top_via.branch
    [failed] = table.told(Failed)
    [elsewhere] = failed.redirect
    assert parse_uri(elsewhere).host == "chicago.example.com"
    session = table.call(
        uri=elsewhere, to=SS2, from_=ALICE, to_addr=BOB, sdp=None, call_id=f1.call_id
    )
    f4 = table.take("INVITE")
    assert (f4.uri, f4.call_id) == ("sip:bob@chicago.example.com", f1.call_id)
    table.respond(f4, 180, RECORDED[:1])
    table.respond(f4, 200, RECORDED[:1], sdp=ANSWER)
    assert table.silent()
    session.answer_offer(OFFER)
    f12 = table.take("ACK")
    assert f12.body == OFFER
    assert f12.headers.get("route") == ["<sip:192.0.2.222;lr>"]
    table.inside("BYE", 1, session=session)
    table.take(200)


async def test_3_7_session_with_reinvite_ip_address_change_alice(table: Table) -> None:
    session = alice_calls(table, SS1)
    f1 = table.take("INVITE")
    answered(table, f1, [])
    table.inside("INVITE", 14, session=session, body=HOLD)
    assert table.told(Offered) == [Offered(HOLD, "INVITE")]
    session.answer_offer(OFFER)
    f9 = table.take(200)
    assert (f9.body, f9.cseq.seq) == (OFFER, 14)
    table.inside("ACK", 14, session=session)
    table.inside("BYE", 15, session=session)
    table.take(200)
    assert table.told(Ended) == [Ended("them")]


async def test_3_8_unsuccessful_no_answer_alice(table: Table) -> None:
    session = alice_calls(table, SS1)
    f1 = table.take("INVITE")
    table.respond(f1, 100, source=SS1)
    table.respond(f1, 180, RECORDED, source=SS1)
    session.cancel()
    f9 = table.take("CANCEL")
    assert (f9.uri, f9.cseq.seq, f9.top_via.branch) == (f1.uri, f1.cseq.seq, f1.top_via.branch)
    assert f9.headers.get_first("to") == f1.headers.get_first("to")
    table.respond(f9, 200, source=SS1)
    table.respond(f1, 487, source=SS1)
    f19 = table.take("ACK")
    assert f19.to_addr.tag == "far"
    [failed] = table.told(Failed)
    assert (failed.status, failed.provisional_seen, failed.answered_late) == (487, 180, False)
    await table.wait(40)
    assert table.at_rest()


@pytest.mark.parametrize(
    ("flow", "status", "before"),
    [("3.9 busy", 486, [100]), ("3.10 no response", 480, [100]), ("3.11 away", 480, [100, 180])],
)
async def test_3_9_to_3_11_unsuccessful_alice(
    table: Table, flow: str, status: int, before: list[int]
) -> None:
    alice_calls(table, SS1, credentials=SECRET)
    f1 = table.take("INVITE")
    table.respond(f1, 407, [("Proxy-Authenticate", PROXY_1)], source=SS1)
    table.take("ACK")
    f4 = table.take("INVITE")
    for each in before:
        table.respond(f4, each, source=SS1)
    table.respond(f4, status, source=SS1)
    ack = table.take("ACK")
    assert ack.top_via.branch == f4.top_via.branch
    [failed] = table.told(Failed)
    assert (failed.status, failed.provisional_seen) == (status, before[-1]), flow
    await table.wait(40)
    assert table.at_rest()


# §3: sessions, Bob's side -------------------------------------------------------------------------

VIAS = [
    ("Via", "SIP/2.0/UDP 192.0.2.111:5060;branch=z9hG4bK2d4790.1;received=192.0.2.111"),
    ("Via", "SIP/2.0/UDP 192.0.2.101:5060;branch=z9hG4bK74bf9;received=192.0.2.101"),
]


def bob_is_called(table: Table, *headers: tuple[str, str], sdp: bytes | None = OFFER) -> Session:
    invite = far_request(
        "INVITE",
        "sip:bob@192.0.2.4",
        call_id="2xTb9vxSit55XU7p8@atlanta.example.com",
        from_="Alice <sip:alice@atlanta.example.com>;tag=far",
        to="Bob <sip:bob@biloxi.example.com>",
        cseq=1,
        headers=[("Contact", "<sip:alice@192.0.2.101>"), *headers],
        body=sdp or b"",
    )
    table.hear(invite, SS2)
    return table.incoming[-1]


async def test_3_1_successful_session_establishment_bob(table: Table) -> None:
    session = bob_is_called(table)
    session.ring()
    f2 = table.take(180)
    session.accept(ANSWER)
    f3 = table.take(200)
    assert f3.to_addr.tag == f2.to_addr.tag
    assert f3.headers.get_first("from") == "Alice <sip:alice@atlanta.example.com>;tag=far"
    table.inside("ACK", 1, session=session)
    session.bye()
    f5 = table.take("BYE")
    assert f5.uri == "sip:alice@192.0.2.101"
    assert f5.headers.get_first("to") == "Alice <sip:alice@atlanta.example.com>;tag=far"
    table.respond(f5, 200)
    assert table.events == [Accepted(None), Ended("us")]
    assert table.at_rest()


async def test_3_2_through_two_proxies_bob(table: Table) -> None:
    session = bob_is_called(table, *VIAS, *RECORDED)
    session.ring()
    f9 = table.take(180)
    assert len(f9.headers.get("via")) == 3
    assert f9.headers.get("via")[1:] == [value for _, value in VIAS]
    assert f9.headers.get("record-route") == [value for _, value in RECORDED]
    session.accept(ANSWER)
    f12 = table.take(200)
    assert f12.headers.get("record-route") == [value for _, value in RECORDED]
    table.inside("ACK", 1, session=session)
    session.bye()
    f18 = table.take("BYE")
    assert f18.headers.get("route") == [value for _, value in RECORDED]
    assert table.sent_to == SS2
    table.respond(f18, 200)
    assert table.at_rest()


async def test_3_6_sdp_in_ack_bob(table: Table) -> None:
    session = bob_is_called(table, *RECORDED[:1], sdp=None)
    session.ring()
    table.take(180)
    session.accept(ANSWER)
    assert table.take(200).body == ANSWER
    table.inside("ACK", 1, session=session, body=OFFER)
    assert table.told() == [Accepted(OFFER)]


async def test_3_7_session_with_reinvite_ip_address_change_bob(table: Table) -> None:
    session = bob_is_called(table)
    session.accept(ANSWER)
    table.take(200)
    table.inside("ACK", 1, session=session)
    change = asyncio.ensure_future(session.reoffer(HOLD))
    await breathe()
    f8 = table.take("INVITE")
    assert (f8.uri, f8.body) == ("sip:alice@192.0.2.101", HOLD)
    table.respond(f8, 200, sdp=OFFER, contact="<sip:alice@192.0.2.101>")
    f10 = table.take("ACK")
    assert f10.cseq.seq == f8.cseq.seq
    assert await change == OFFER
    session.bye()
    table.respond(table.take("BYE"), 200)


async def test_3_8_unsuccessful_no_answer_bob(table: Table) -> None:
    session = bob_is_called(table, *RECORDED)
    session.ring()
    f7 = table.take(180)
    invite = session.request
    table.hear(
        far_request(
            "CANCEL",
            invite.uri,
            call_id=invite.call_id,
            from_=invite.headers.get_first("from") or "",
            to=invite.headers.get_first("to") or "",
            cseq=1,
            branch=invite.top_via.branch,
        ),
        SS2,
    )
    f14 = table.take(200)
    assert (f14.cseq.method, f14.to_addr.tag) == ("CANCEL", f7.to_addr.tag)
    f15 = table.take(487)
    assert (f15.cseq.method, f15.to_addr.tag) == ("INVITE", f7.to_addr.tag)
    assert [event.status for event in table.told(Failed)] == [487]


@pytest.mark.parametrize(("flow", "status"), [("3.9 busy", 486), ("3.11 away", 480)])
async def test_3_9_and_3_11_unsuccessful_bob(table: Table, flow: str, status: int) -> None:
    session = bob_is_called(table, *RECORDED)
    if status == 480:
        session.ring()
        table.take(180)
    session.reject(status)
    refusal = table.take(status)
    assert refusal.to_addr.tag, flow
    assert refusal.headers.get("record-route") == []
    await table.wait(1)
    assert table.kinds() == [status]  # until the ACK
    table.hear(
        far_request(
            "ACK",
            session.request.uri,
            call_id=session.id,
            from_=refusal.headers.get_first("from") or "",
            to=refusal.headers.get_first("to") or "",
            cseq=1,
            branch=session.request.top_via.branch,
        ),
        SS2,
    )
    await table.wait(40)
    assert table.silent()
