"""Being called: ringing, reliable responses, accepting, refusing, the caller giving up."""

from __future__ import annotations

import pytest

from ivr.sip.session_events import Accepted, Answered, Ended, Failed, Offered, SessionStateError
from tests.ivr.sip.session_kit import ANSWER, FAR, HOLD, OFFER, Table, far_request

LATE = 64 * 0.5 + 1
RELIABLE = [("Supported", "100rel")]


@pytest.fixture
def table() -> Table:
    return Table()


def rack(response_rseq: str) -> list[tuple[str, str]]:
    return [("RAck", f"{response_rseq} 1 INVITE")]


async def test_a_call_is_answered_and_hung_up_by_us(table: Table) -> None:
    table.invite([("Record-Route", "<sip:192.0.2.20;lr>"), ("Record-Route", "<sip:192.0.2.30;lr>")])
    [session] = table.incoming
    assert session.offer == OFFER
    assert (session.remote.uri.user, session.local.uri.user) == ("bob", "alice")
    session.ring()
    ringing = table.take(180)
    session.accept(ANSWER)
    ok = table.take(200)
    assert ok.body == ANSWER
    assert ok.to_addr.tag == ringing.to_addr.tag
    assert ok.headers.get("record-route") == ["<sip:192.0.2.20;lr>", "<sip:192.0.2.30;lr>"]
    assert ok.contact[0].uri.host == "192.0.2.1"
    assert table.told() == []
    table.inside("ACK", 1, session=session)
    assert table.told() == [Accepted(None)]
    session.bye()
    bye = table.take("BYE")
    assert bye.headers.get("route") == ["<sip:192.0.2.20;lr>", "<sip:192.0.2.30;lr>"]
    assert bye.uri == "sip:bob@192.0.2.2:5060"
    assert table.sent_to.host == "192.0.2.20"
    table.respond(bye, 200)
    assert table.told(Ended) == [Ended("us")]
    assert table.at_rest()


async def test_the_answer_is_repeated_until_it_is_acknowledged(table: Table) -> None:
    table.invite()
    [session] = table.incoming
    session.accept(ANSWER)
    first = table.take(200)
    await table.wait(0.5)
    assert bytes(table.take(200)) == bytes(first)
    await table.wait(1.0)
    table.take(200)
    await table.wait(2 + 4 + 4)
    assert table.kinds() == [200, 200, 200]
    table.inside("ACK", 1, session=session)
    await table.wait(20)
    assert table.silent()


async def test_an_answer_nobody_acknowledges_ends_in_bye(table: Table) -> None:
    table.invite()
    [session] = table.incoming
    session.accept(ANSWER)
    await table.wait(32.1)
    assert table.kinds()[-1] == "BYE"
    [ended] = table.told(Ended)
    assert ended.by == "network"
    assert "ACK" in ended.reason
    await table.wait(LATE)
    assert table.at_rest()


async def test_hanging_up_before_the_ack_waits_for_it(table: Table) -> None:
    table.invite()
    [session] = table.incoming
    session.accept(ANSWER)
    table.take(200)
    session.bye()
    assert table.told() == [Ended("us")]
    assert table.silent()
    await table.wait(0.6)
    table.take(200)
    table.inside("ACK", 1, session=session)
    table.respond(table.take("BYE"), 200)
    assert table.at_rest()


async def test_hanging_up_before_an_ack_that_never_comes(table: Table) -> None:
    table.invite()
    [session] = table.incoming
    session.accept(ANSWER)
    session.bye()
    await table.wait(32.1)
    assert table.kinds()[-1] == "BYE"
    await table.wait(LATE)
    assert table.at_rest()


@pytest.mark.parametrize("status", [302, 404, 480, 486, 488, 503, 603])
async def test_refusing(table: Table, status: int) -> None:
    table.invite()
    [session] = table.incoming
    session.reject(status, headers=[("Retry-After", "5")])
    refusal = table.take(status)
    assert refusal.headers.get_first("retry-after") == "5"
    assert [(event.status, event.local) for event in table.told(Failed)] == [(status, True)]
    session.reject(486)
    assert table.silent()
    assert table.at_rest()


async def test_the_caller_gives_up(table: Table) -> None:
    invite = table.invite()
    [session] = table.incoming
    session.ring()
    table.take(180)
    cancel = far_request(
        "CANCEL",
        invite.uri,
        call_id=invite.call_id,
        from_=invite.headers.get_first("from") or "",
        to=invite.headers.get_first("to") or "",
        cseq=1,
        branch=invite.top_via.branch,
    )
    table.hear(cancel)
    assert table.kinds() == [200, 487]
    [failed] = table.told(Failed)
    assert (failed.status, failed.local) == (487, False)
    assert table.at_rest()
    with pytest.raises(SessionStateError):
        session.accept(ANSWER)


async def test_the_caller_hangs_up_while_it_rings(table: Table) -> None:
    table.invite()
    [session] = table.incoming
    session.ring()
    table.take(180)
    table.inside("BYE", 2, session=session)
    assert table.kinds() == [200, 487]
    assert [event.status for event in table.told(Failed)] == [487]
    assert table.at_rest()


async def test_an_invitation_may_expire(table: Table) -> None:
    table.invite([("Expires", "20")])
    await table.wait(20.1)
    assert table.kinds() == [100, 487]
    assert [event.status for event in table.told(Failed)] == [487]


async def test_ringing_is_repeated_every_minute(table: Table) -> None:
    table.invite()
    table.incoming[0].ring()
    table.take(180)
    await table.wait(130)
    assert table.kinds() == [180, 180]
    table.incoming[0].accept(ANSWER)
    table.inside("ACK", 1, session=table.incoming[0])
    table.kinds()
    await table.wait(130)
    assert table.silent()


async def test_answered_twice_is_a_bug_of_ours(table: Table) -> None:
    session = table.up_in()
    with pytest.raises(SessionStateError, match="cannot be accepted: it is up"):
        session.accept(ANSWER)
    with pytest.raises(SessionStateError, match="ring is not possible while it is up"):
        session.ring()
    outgoing = table.call()
    with pytest.raises(SessionStateError, match="not ours to answer"):
        outgoing.accept(ANSWER)


# an INVITE without an offer ----------------------------------------------------------------------


async def test_we_offer_in_the_200_and_they_answer_in_the_ack(table: Table) -> None:
    table.invite(sdp=None)
    [session] = table.incoming
    assert session.offer is None
    session.accept(OFFER)
    assert table.take(200).body == OFFER
    table.inside("ACK", 1, session=session, body=ANSWER)
    assert table.told() == [Accepted(ANSWER)]


# reliable provisional responses (RFC 3262) -------------------------------------------------------


async def test_early_media_is_sent_reliably_to_who_knows_how(table: Table) -> None:
    table.invite(RELIABLE)
    [session] = table.incoming
    session.ring(183, ANSWER)
    early = table.take(183)
    assert early.headers.get("require") == ["100rel"]
    assert early.body == ANSWER
    await table.wait(0.5)
    assert bytes(table.take(183)) == bytes(early)
    table.inside("PRACK", 2, rack(early.headers.get_first("rseq")), session=session)
    table.take(200)
    await table.wait(40)
    assert table.silent()
    session.accept()
    assert not table.take(200).body


async def test_a_200_waits_for_the_answer_in_a_183_to_be_acknowledged(table: Table) -> None:
    table.invite(RELIABLE)
    [session] = table.incoming
    session.ring(183, ANSWER)
    early = table.take(183)
    session.accept()
    assert table.silent()
    table.inside("PRACK", 2, rack(early.headers.get_first("rseq")), session=session)
    assert table.kinds() == [200, 200]  # of PRACK, of INVITE


async def test_a_200_does_not_wait_for_a_mere_ringing(table: Table) -> None:
    table.invite([("Require", "100rel")])
    [session] = table.incoming
    session.ring()
    table.take(180)
    session.accept(ANSWER)
    table.take(200)
    await table.wait(0.6)
    assert table.kinds() == [200]


async def test_reliable_responses_go_out_one_by_one(table: Table) -> None:
    table.invite([("Require", "100rel")])
    [session] = table.incoming
    session.ring(180)
    session.ring(183, ANSWER)
    first = table.take(180)
    assert table.silent()
    number = int(first.headers.get_first("rseq"))
    table.inside("PRACK", 2, rack(str(number + 5)), session=session)
    table.take(481)
    table.inside("PRACK", 3, rack(str(number)), session=session)
    table.take(200)
    second = table.take(183)
    assert int(second.headers.get_first("rseq")) == number + 1
    table.inside("PRACK", 4, rack(str(number + 1)), session=session)
    table.take(200)
    table.inside("PRACK", 5, rack(str(number + 1)), session=session)
    table.take(481)


async def test_a_reliable_response_nobody_acknowledges_fails_the_call(table: Table) -> None:
    table.invite([("Require", "100rel")])
    table.incoming[0].ring()
    await table.wait(33)
    assert table.kinds()[-1] == 504
    assert [event.status for event in table.told(Failed)] == [504]
    assert table.at_rest()


async def test_plain_ringing_stays_plain_unless_asked(table: Table) -> None:
    table.invite(RELIABLE)
    [session] = table.incoming
    session.ring()
    assert table.take(180).headers.get("rseq") == []
    session.ring(180, reliable=True)
    assert table.take(180).headers.get("rseq") != []


async def test_an_offer_in_our_183_is_answered_in_the_prack(table: Table) -> None:
    table.invite(RELIABLE, sdp=None)
    [session] = table.incoming
    session.ring(183, OFFER)
    number = table.take(183).headers.get_first("rseq")
    table.inside("PRACK", 2, rack(number), session=session, body=ANSWER)
    table.take(200)
    assert table.told(Answered) == [Answered(ANSWER)]
    session.accept()
    assert not table.take(200).body
    table.inside("ACK", 1, session=session)
    assert table.told(Accepted) == [Accepted(None)]


# who is let in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status", "told"),
    [
        ([("Require", "nonsense, 100rel")], 420, ("unsupported", "nonsense")),
        ([("Content-Type", "application/isup")], 415, ("accept", "application/sdp")),
        ([("Content-Encoding", "gzip")], 415, ("accept-encoding", "identity")),
        ([("Supported", "timer"), ("Session-Expires", "30")], 422, ("min-se", "90")),
    ],
)
async def test_what_is_refused_at_the_door(
    table: Table, headers: list[tuple[str, str]], status: int, told: tuple[str, str]
) -> None:
    given = dict(headers)
    invite = far_request(
        "INVITE",
        "sip:alice@192.0.2.1",
        call_id="door",
        from_="<sip:bob@192.0.2.2>;tag=far",
        to="<sip:alice@192.0.2.1>",
        cseq=1,
        headers=[("Contact", "<sip:bob@192.0.2.2>"), *given.items()],
        body=OFFER,
        content_type=given.get("Content-Type", "application/sdp"),
    )
    table.hear(invite)
    refusal = table.take(status)
    assert refusal.headers.get_first(told[0]) == told[1]
    assert table.incoming == []
    assert table.at_rest()


async def test_a_multipart_body_is_read_for_its_sdp(table: Table) -> None:
    body = (
        b"--frontier\r\nContent-Type: application/sdp\r\n\r\n" + OFFER + b"\r\n"
        b"--frontier\r\nContent-Type: application/isup\r\nContent-Disposition: signal\r\n\r\n"
        b"\x01\x00\xff\r\n--frontier--\r\n"
    )
    invite = far_request(
        "INVITE",
        "sip:alice@192.0.2.1",
        call_id="multi",
        from_="<sip:bob@192.0.2.2>;tag=far",
        to="<sip:alice@192.0.2.1>",
        cseq=1,
        body=body,
        content_type='multipart/mixed;boundary="frontier"',
    )
    table.hear(invite)
    assert table.incoming[0].offer == OFFER.rstrip() or table.incoming[0].offer == OFFER


async def test_an_owner_that_fails_refuses_the_call(table: Table) -> None:
    def fail(_session: object) -> None:
        raise RuntimeError("the owner's bug")

    table.agent.on_invite = fail
    table.invite()
    assert table.kinds() == [500]
    assert table.at_rest()


async def test_nobody_there_is_480(table: Table) -> None:
    from ivr.sip.useragent import UserAgent

    agent = UserAgent(table.endpoint)
    table.invite()
    assert table.kinds() == [480]
    assert agent.sessions == ()


async def test_the_same_call_by_another_way_is_merged(table: Table) -> None:
    table.invite()
    table.invite(source=FAR._replace(port=5070))
    assert table.kinds() == [482]
    assert len(table.incoming) == 1


async def test_a_transaction_that_dies_ends_the_call(table: Table) -> None:
    table.invite()
    await table.endpoint.close()
    assert [event.status for event in table.told(Failed)] == [503]
    assert table.at_rest()


async def test_reliable_responses_are_repeated_ever_more_slowly(table: Table) -> None:
    table.invite([("Require", "100rel")])
    table.incoming[0].ring()
    table.take(180)
    await table.wait(31)
    assert table.kinds() == [180] * 5  # after 0.5, 1.5, 3.5, 7.5 and 15.5 s


async def test_a_prack_may_bring_an_offer(table: Table) -> None:
    table.invite(RELIABLE)
    [session] = table.incoming
    session.ring(183, ANSWER)
    number = table.take(183).headers.get_first("rseq")
    table.inside("PRACK", 2, rack(number), session=session, body=HOLD)
    assert table.told(Offered) == [Offered(HOLD, "PRACK")]
    session.answer_offer(OFFER)
    assert table.take(200).body == OFFER
