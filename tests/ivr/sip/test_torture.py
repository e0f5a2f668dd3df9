"""RFC 4475: what is valid is understood, what is not is refused, and nothing breaks."""

from __future__ import annotations

import pytest

from ivr.sip.errors import MalformedMessage
from ivr.sip.matching import client_key, server_key
from ivr.sip.message import (
    SipMessage,
    SipRequest,
    SipResponse,
    make_response,
    parse_message,
    parse_uri,
)
from tests.ivr.sip import torture
from tests.ivr.sip.torture import DROP, MESSAGES, OK, Torture


def request(message: Torture) -> SipRequest:
    parsed = parse_message(message.wire)
    assert isinstance(parsed, SipRequest)
    return parsed


def response(message: Torture) -> SipResponse:
    parsed = parse_message(message.wire)
    assert isinstance(parsed, SipResponse)
    return parsed


def headers_of(message: SipMessage) -> dict[str, list[str]]:
    headers = {name.lower(): values for name, values in message.headers.items()}
    return headers | {"content-length": [str(len(message.body))]}  # which some leave out


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name.split(":")[0])
def test_outcome(message: Torture) -> None:
    if message.expected == OK:
        parse_message(message.wire)
        return
    with pytest.raises(MalformedMessage) as caught:
        parse_message(message.wire)
    if message.expected == DROP:
        assert caught.value.request is None
    else:
        assert caught.value.status == message.expected
        assert caught.value.request is not None
        refusal = bytes(make_response(caught.value.request, caught.value.status))
        assert refusal.startswith(b"SIP/2.0 %d " % message.expected)


@pytest.mark.parametrize(
    "message", [each for each in MESSAGES if each.expected == OK], ids=lambda each: each.name
)
def test_what_is_read_can_be_written_and_read_again(message: Torture) -> None:
    first = parse_message(message.wire)
    again = parse_message(bytes(first))
    assert headers_of(again) == headers_of(first)
    assert again.body == first.body
    if isinstance(first, SipRequest):
        server_key(first, first.top_via, first.method)
        parse_message(bytes(make_response(first, 200)))
    else:
        client_key(first)


def test_every_message_of_the_rfc_is_here() -> None:
    assert len(MESSAGES) == 49  # 3.1.1: 13, 3.1.2: 19, 3.2: 1, 3.3: 15, 3.4: 1


def test_short_tortuous_invite() -> None:
    invite = request(torture.WSINV)
    assert invite.to_addr.tag == "1918181833n"
    assert invite.to_addr.uri.user == "vivekg"
    assert invite.from_addr.display_name == 'J Rosenberg \\"'
    assert invite.from_addr.tag == "98asjd8"
    assert (invite.cseq.seq, invite.cseq.method) == (9, "INVITE")
    assert [(via.transport, via.host, via.branch) for via in invite.via] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    contact = invite.contact[0]
    assert contact.display_name == 'Quoted string ""'
    assert contact.params == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert invite.get_header("NewFangledHeader") == "newfangled value continued newfangled value"
    assert invite.get_header("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert invite.get_header_values("Route") == [
        "<sip:services.example.com;lr;unknownwith=value;unknown-no-value>"
    ]
    assert len(invite.body) == 150


def test_wide_range_of_valid_characters() -> None:
    odd = request(torture.INTMETH)
    assert odd.method == "!interesting-Method0123456789_*+`.%indeed'~" == odd.cseq.method
    uri = parse_uri(odd.uri)
    assert uri.host == "example.com"
    assert uri.user == (
        "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:"
        "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    )
    assert odd.to_addr.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert odd.from_addr.display_name == "token1~` token2'+_ token3*%!.-"
    assert odd.from_addr.tag == "_token~1'+`*%!-."
    assert odd.from_addr.params["fromparam''~+*_!.-%"] == '"работающий"'
    assert odd.get_header("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_escapes_are_not_decoded_where_they_would_change_the_meaning() -> None:
    assert parse_uri(request(torture.ESC01).uri).user == "sips%3Auser%40example.com"
    assert parse_uri(request(torture.ESC01).uri).host == "example.net"
    assert [each.uri.user for each in request(torture.ESCNULL).contact] == ["%00", "%00%00"]
    assert request(torture.ESC02).method == "RE%47IST%45R"
    assert len(request(torture.ESC02).contact) == 2  # C%6Fntact is another header
    assert parse_uri(request(torture.SEMIURI).uri).user == "user;par=u%40example.net"
    assert request(torture.SEMIURI).get_header_values("Accept")[-1] == "message/sipfrag"


def test_long_values() -> None:
    long = request(torture.LONGREQ)
    assert len(long.via) == 34
    assert long.top_via.host == "sip33.example.com"
    assert long.from_addr.tag == "12" + "982" * 50 + "424"


def test_the_body_ends_where_content_length_says() -> None:
    assert request(torture.DBLREQ).body == b""
    assert request(torture.MPART01).body.endswith(b"\x02\xa0")
    assert request(torture.INV2543).body.endswith(b"LPC\r\n")


def test_reason_phrases() -> None:
    assert response(torture.UNREASON).reason_phrase.endswith("простое")
    assert response(torture.NOREASON).reason_phrase == ""


def test_contacts_are_refused_when_read() -> None:
    with pytest.raises(MalformedMessage):
        _ = request(torture.REGBADCT).contact
    assert request(torture.CPARAM01).contact[0].params == {"unknownparam": None}
    assert request(torture.CPARAM02).contact[0].uri.params == {"unknownparam": None}
    assert request(torture.REGESCRT).contact[0].uri.headers == {
        "Route": "%3Csip:sip.example.com%3E"
    }


def test_other_schemes_are_told_apart() -> None:
    assert parse_uri(request(torture.UNKSCM).uri).scheme == "nobodyknowsthisscheme"
    assert parse_uri(request(torture.NOVELSC).uri).scheme == "soap.beep"
    assert request(torture.UNKSM2).to_addr.uri.scheme == "isbn"


def test_a_branch_of_the_cookie_alone_identifies_nothing() -> None:
    bad = request(torture.BADBRANCH)
    assert bad.call_id in server_key(bad, bad.top_via, "OPTIONS")


def test_names_whose_meaning_is_plain() -> None:
    assert request(torture.BADASPEC).to_addr.uri.user == "t.watson"
    assert request(torture.BADDN).from_addr.display_name == "Bell, Alexander"
    assert request(torture.LWSDISP).from_addr.display_name == "caller"
