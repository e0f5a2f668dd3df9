"""Calling out: provisional responses, forks, challenges, refusals, giving up."""

from __future__ import annotations

import pytest

from ivr.sip.digest import Credentials
from ivr.sip.message import make_response
from ivr.sip.session_events import Accepted, Ended, Failed, Ringing, Trying
from ivr.sip.session_out import MOST_FORKS
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
    await table.wait(LATE)
    table.hear(response)
    table.take("ACK")


@pytest.mark.parametrize("rseq", ["\u00b2", "9" * 5000, "-1", "x", ""])
async def test_a_number_that_is_none_acknowledges_nothing(table: Table, rseq: str) -> None:
    table.call()
    invite = table.take("INVITE")
    reliable = [("Require", "100rel"), ("RSeq", rseq)]
    table.respond(invite, 183, reliable)
    assert table.silent()
    table.respond(invite, 486)
    table.take("ACK")
    assert [event.status for event in table.told(Failed)] == [486]
    assert not table.endpoint.counters["callback_errors"]


async def test_a_call_that_forks_without_end_costs_no_memory(table: Table) -> None:
    """And whoever answers is the one all the same."""
    session = table.call()
    invite = table.take("INVITE")
    for number in range(100):
        table.respond(invite, 180, tag=f"fork{number}")
    assert len(table.told(Ringing)) == MOST_FORKS
    table.respond(invite, 200, sdp=ANSWER, tag="fork99")
    table.take("ACK")
    assert len(table.told(Accepted)) == 1
    session.bye()
    assert table.take("BYE").to_addr.tag == "fork99"


# forks -------------------------------------------------------------------------------------------


async def test_the_first_fork_to_answer_wins_and_the_others_are_hung_up(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    table.respond(invite, 180, tag="one", contact="<sip:one@192.0.2.11>")
    table.respond(invite, 180, tag="two", contact="<sip:two@192.0.2.12>")
    table.respond(invite, 200, tag="two", sdp=ANSWER, contact="<sip:two@192.0.2.12>")
    assert table.take("ACK").uri == "sip:two@192.0.2.12"
    late = table.respond(invite, 200, tag="one", sdp=ANSWER, contact="<sip:one@192.0.2.11>")
    assert table.take("ACK").uri == "sip:one@192.0.2.11"
    bye = table.take("BYE")
    assert (bye.uri, bye.to_addr.tag) == ("sip:one@192.0.2.11", "one")
    table.respond(bye, 200)
    table.hear(late)
    table.take("ACK")
    assert table.silent()
    assert len(table.told(Accepted)) == 1
    session.bye()
    assert table.take("BYE").to_addr.tag == "two"


async def test_a_request_of_a_fork_that_lost_is_not_of_the_session(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    table.respond(invite, 180, tag="one")
    table.respond(invite, 200, sdp=ANSWER)
    table.take("ACK")
    table.inside("INFO", 1, session=session, tag="one")
    table.take(481)
    table.inside("INFO", 1, session=session, tag="nobody")
    table.take(481)


# giving up ---------------------------------------------------------------------------------------


async def test_giving_up_waits_for_a_provisional_then_cancels(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    session.cancel()
    session.cancel()
    assert table.silent()
    table.respond(invite, 180)
    cancel = table.take("CANCEL")
    table.respond(cancel, 200)
    table.respond(invite, 487)
    table.take("ACK")
    assert table.told(Ringing) == []
    [failed] = table.told(Failed)
    assert (failed.status, failed.local, failed.provisional_seen) == (487, False, 180)
    assert not failed.answered_late


async def test_an_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    table.respond(invite, 180)
    session.cancel()
    table.respond(table.take("CANCEL"), 200)
    response = table.respond(invite, 200, sdp=ANSWER)
    table.take("ACK")
    bye = table.take("BYE")
    [failed] = table.told(Failed)
    assert (failed.status, failed.local, failed.answered_late) == (487, True, True)
    table.hear(response)
    table.take("ACK")
    table.respond(bye, 200)
    await table.wait(LATE)
    assert table.at_rest()
    assert table.told(Accepted, Ended) == []


async def test_silence_after_our_cancel_ends_it_all_the_same(table: Table) -> None:
    session = table.call()
    table.respond(table.take("INVITE"), 180)
    session.cancel()
    await table.wait(LATE)
    [failed] = table.told(Failed)
    assert (failed.status, failed.local) == (487, True)


async def test_an_answer_long_after_a_timeout_is_hung_up(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    await table.wait(33)
    [failed] = table.told(Failed)
    assert (failed.status, failed.local, failed.provisional_seen) == (408, True, 0)
    table.kinds()
    table.respond(invite, 200, sdp=ANSWER)
    table.take("ACK")
    table.respond(table.take("BYE"), 200)
    await table.wait(LATE)
    assert table.at_rest()
    assert len(table.told(Failed, Accepted, Ended)) == 1


# refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 480, 486, 500, 503, 600, 603, 604, 699])
async def test_a_refusal_is_reported_with_what_came_before(table: Table, status: int) -> None:
    table.call()
    invite = table.take("INVITE")
    table.respond(invite, 100)
    table.respond(invite, status, [("Retry-After", "7")])
    table.take("ACK")
    [failed] = table.told(Failed)
    assert (failed.status, failed.local, failed.provisional_seen) == (status, False, 100)
    assert dict(failed.headers)["retry-after"] == "7"
    await table.wait(LATE)
    assert table.at_rest()


async def test_a_ringing_seen_once_is_not_forgotten_for_a_later_183(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    table.respond(invite, 180)
    table.respond(invite, 183, sdp=ANSWER)
    table.respond(invite, 480)
    table.take("ACK")
    assert table.told(Failed)[0].provisional_seen == 180
    assert table.told(Ringing)[1].sdp == ANSWER


async def test_a_redirection_gives_its_contacts_best_first(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    contacts = [
        ("Contact", "<sip:b@192.0.2.9>;q=0.2"),
        ("Contact", '"Best" <sip:a@192.0.2.8;transport=tcp>;q=0.9'),
        ("Contact", "<sip:>"),
    ]
    table.respond(invite, 302, contacts)
    table.take("ACK")
    assert table.told(Failed)[0].redirect == (
        "sip:a@192.0.2.8;transport=tcp",
        "sip:b@192.0.2.9",
    )


# challenges --------------------------------------------------------------------------------------

CHALLENGE = 'Digest realm="carrier", nonce="n1", qop="auth", algorithm=MD5'


async def test_a_challenge_is_answered_in_the_same_dialog_to_be(table: Table) -> None:
    session = table.call(credentials=Credentials("alice", "secret"))
    first = table.take("INVITE")
    table.respond(first, 407, [("Proxy-Authenticate", CHALLENGE)])
    table.take("ACK")
    second = table.take("INVITE")
    assert second.cseq.seq == first.cseq.seq + 1
    assert second.call_id == first.call_id
    assert second.from_addr.tag == first.from_addr.tag
    assert second.to_addr.tag is None
    assert second.body == OFFER
    proof = second.headers.get_first("proxy-authorization")
    assert "nc=00000001" in proof
    table.respond(second, 200, sdp=ANSWER)
    assert table.take("ACK").headers.get_first("proxy-authorization") == proof
    session.bye()
    bye = table.take("BYE")
    assert "nc=00000002" in bye.headers.get_first("proxy-authorization")


async def test_a_wrong_password_fails_once(table: Table) -> None:
    table.call(credentials=Credentials("alice", "wrong"))
    for nonce in ("n1", "n2"):
        invite = table.take("INVITE")
        table.respond(invite, 401, [("WWW-Authenticate", CHALLENGE.replace("n1", nonce))])
        table.take("ACK")
    assert table.silent()
    assert [event.status for event in table.told(Failed)] == [401]


async def test_without_credentials_a_challenge_is_a_refusal(table: Table) -> None:
    table.call()
    table.respond(table.take("INVITE"), 407, [("Proxy-Authenticate", CHALLENGE)])
    table.take("ACK")
    assert [event.status for event in table.told(Failed)] == [407]


async def test_a_bye_that_is_challenged_is_sent_again(table: Table) -> None:
    session, _ = table.up_out(credentials=Credentials("alice", "secret"))
    session.bye()
    table.respond(table.take("BYE"), 401, [("WWW-Authenticate", CHALLENGE)])
    again = table.take("BYE")
    assert 'username="alice"' in again.headers.get_first("authorization")
    assert not table.at_rest()
    table.respond(again, 200)
    assert table.at_rest()


# reliable provisional responses (RFC 3262) --------------------------------------------------------


def reliable(number: int) -> list[tuple[str, str]]:
    return [("Require", "100rel"), ("RSeq", str(number))]


async def test_reliable_responses_are_acknowledged_in_their_order(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    first = table.respond(invite, 183, reliable(7), sdp=ANSWER)
    prack = table.take("PRACK")
    assert prack.headers.get_first("rack") == f"7 {invite.cseq.seq} INVITE"
    assert prack.uri == "sip:bob@192.0.2.2:5060"
    table.hear(first)  # a repeat
    table.respond(invite, 180, reliable(9))  # 8 is missing
    assert table.silent()
    table.respond(invite, 180, reliable(8))
    assert table.take("PRACK").headers.get_first("rack") == f"8 {invite.cseq.seq} INVITE"
    assert [event.status for event in table.told(Ringing)] == [183, 180]


async def test_each_fork_counts_its_own_reliable_responses(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    table.respond(invite, 180, reliable(7), tag="one")
    table.respond(invite, 180, reliable(1), tag="two")
    assert [table.take("PRACK").to_addr.tag for _ in range(2)] == ["one", "two"]


# an INVITE without an offer ----------------------------------------------------------------------


async def test_an_offer_in_the_answer_is_answered_in_the_ack(table: Table) -> None:
    session = table.call(sdp=None)
    invite = table.take("INVITE")
    assert not invite.body
    assert "100rel" not in ",".join(invite.headers.get("supported"))
    response = table.respond(invite, 200, sdp=ANSWER)
    assert table.told(Accepted) == [Accepted(ANSWER)]
    table.hear(response)
    assert table.silent()
    session.answer_offer(OFFER)
    ack = table.take("ACK")
    assert ack.body == OFFER
    table.hear(response)
    assert table.take("ACK").body == OFFER


async def test_an_offer_in_the_answer_that_will_not_do(table: Table) -> None:
    session = table.call(sdp=None)
    table.respond(table.take("INVITE"), 200, sdp=ANSWER)
    session.reject_offer(488)
    assert not table.take("ACK").body
    table.respond(table.take("BYE"), 200)
    assert table.told(Ended) == [Ended("us")]
    assert table.at_rest()


# where requests go -------------------------------------------------------------------------------


async def test_requests_follow_the_recorded_route_in_reverse(table: Table) -> None:
    session = table.call()
    invite = table.take("INVITE")
    routes = [("Record-Route", "<sip:192.0.2.30;lr>"), ("Record-Route", "<sip:192.0.2.20;lr>")]
    table.respond(invite, 200, routes, sdp=ANSWER)
    ack = table.take("ACK")
    assert ack.headers.get("route") == ["<sip:192.0.2.20;lr>", "<sip:192.0.2.30;lr>"]
    assert table.sent_to.host == "192.0.2.20"
    session.bye()
    assert table.take("BYE").uri == "sip:bob@192.0.2.2:5060"
    assert table.sent_to.host == "192.0.2.20"


async def test_the_answer_alone_decides_the_route(table: Table) -> None:
    table.call()
    invite = table.take("INVITE")
    table.respond(invite, 180, [("Record-Route", "<sip:192.0.2.30;lr>")])
    table.respond(invite, 200, sdp=ANSWER, contact="<sip:moved@192.0.2.77>")
    ack = table.take("ACK")
    assert ack.headers.get("route") == []
    assert ack.uri == "sip:moved@192.0.2.77"


async def test_closing_ends_every_call_that_is_up_or_ringing(table: Table) -> None:
    table.up_out()
    table.call()
    table.respond(table.take("INVITE"), 180)
    table.agent.close()
    assert sorted(map(str, table.kinds())) == ["BYE", "CANCEL"]
    assert len(table.told(Ended, Failed)) == 2
    assert table.at_rest()


async def test_a_handler_that_fails_does_not_stop_the_signalling(table: Table) -> None:
    session = table.call()

    def handler(_event: object) -> None:
        raise RuntimeError("the owner's bug")

    session.on_event = handler
    table.respond(table.take("INVITE"), 200, sdp=ANSWER)
    table.take("ACK")


async def test_a_response_of_nobodys_is_ignored(table: Table) -> None:
    invite = table.invite()
    table.kinds()
    table.hear(make_response(invite, 200, to_tag="x"), FAR)
    assert table.silent()
