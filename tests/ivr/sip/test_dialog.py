"""Dialogs (RFC 3261 §12): identity, order, routes, and the way to the next hop."""

from __future__ import annotations

import pytest

from ivr.sip.dialog import Dialog, Hop, contact_uri, hop_of, peer_for
from ivr.sip.message import SipRequest, SipResponse, parse_message
from ivr.sip.transport import Peer

SOURCE = Peer("udp", "192.0.2.9", 5060)


def invite(*extra: str) -> SipRequest:
    lines = [
        "INVITE sip:bob@biloxi.example.com SIP/2.0",
        "Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9",
        "Max-Forwards: 70",
        "From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl",
        "To: Bob <sip:bob@biloxi.example.com>",
        "Call-ID: 3848276298220188511@atlanta.example.com",
        "CSeq: 314 INVITE",
        "Contact: <sip:alice@192.0.2.101:5070>",
        *extra,
    ]
    message = parse_message("\r\n".join([*lines, "", ""]).encode())
    assert isinstance(message, SipRequest)
    return message


def answer(
    *extra: str, status: str = "200 OK", contact: str = "<sip:bob@192.0.2.4>"
) -> SipResponse:
    lines = [
        f"SIP/2.0 {status}",
        "Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9",
        "From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl",
        "To: Bob <sip:bob@biloxi.example.com>;tag=8321234356",
        "Call-ID: 3848276298220188511@atlanta.example.com",
        "CSeq: 314 INVITE",
        f"Contact: {contact}",
        *extra,
    ]
    message = parse_message("\r\n".join([*lines, "", ""]).encode())
    assert isinstance(message, SipResponse)
    return message


def test_the_callers_dialog() -> None:
    routes = ["Record-Route: <sip:ss2.example.com;lr>, <sip:ss1.example.com;lr>"]
    dialog = Dialog.as_caller(invite(), answer(*routes), SOURCE)
    assert (dialog.local_tag, dialog.remote_tag) == ("9fxced76sl", "8321234356")
    assert dialog.confirmed
    request = dialog.request("BYE")
    assert request.uri == "sip:bob@192.0.2.4"
    assert request.headers.get("route") == [
        "<sip:ss1.example.com;lr>",
        "<sip:ss2.example.com;lr>",
    ]
    assert request.headers.get_first("from") == (
        "Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl"
    )
    assert request.headers.get_first("to") == "Bob <sip:bob@biloxi.example.com>;tag=8321234356"
    assert request.cseq.seq == 315
    assert dialog.next_hop() == Hop("ss1.example.com", 5060, "udp")


def test_the_callees_dialog() -> None:
    routes = ["Record-Route: <sip:ss2.example.com;lr>", "Record-Route: <sip:ss1.example.com;lr>"]
    dialog = Dialog.as_callee(invite(*routes), "ours", SOURCE)
    request = dialog.request("BYE")
    assert request.uri == "sip:alice@192.0.2.101:5070"
    assert request.headers.get("route") == [
        "<sip:ss2.example.com;lr>",
        "<sip:ss1.example.com;lr>",
    ]
    assert request.headers.get_first("from") == "Bob <sip:bob@biloxi.example.com>;tag=ours"
    assert request.cseq.seq == 1


def test_an_ack_has_the_number_of_its_invite() -> None:
    dialog = Dialog.as_caller(invite(), answer(), SOURCE)
    dialog.request("PRACK")
    assert dialog.request("ACK", seq=314).cseq.seq == 314
    assert dialog.request("BYE").cseq.seq == 316


def test_a_strict_router_gets_itself_as_request_uri() -> None:
    """§12.2.1.1, its own example: routes that do not say lr."""
    routes = "Record-Route: <sip:proxy4@d>, <sip:proxy3@c;lr>, <sip:proxy2@b>, <sip:proxy1@a>"
    dialog = Dialog.as_caller(invite(), answer(routes), SOURCE)
    request = dialog.request("INFO")
    assert request.uri == "sip:proxy1@a"
    assert request.headers.get("route") == [
        "<sip:proxy2@b>",
        "<sip:proxy3@c;lr>",
        "<sip:proxy4@d>",
        "<sip:bob@192.0.2.4>",
    ]
    assert dialog.next_hop() == Hop("a", 5060, "udp")


def test_a_route_nobody_can_read_is_not_followed() -> None:
    dialog = Dialog.as_caller(invite(), answer("Record-Route: <sip:>, <sip:ss1;lr>"), SOURCE)
    assert dialog.routes == ("<sip:ss1;lr>",)


def test_a_2xx_decides_the_route_and_the_target_anew() -> None:
    early = answer("Record-Route: <sip:ss1;lr>", status="180 Ringing")
    dialog = Dialog.as_caller(invite(), early, SOURCE)
    assert not dialog.confirmed
    dialog.confirm(answer(contact="<sip:bob@192.0.2.5>"), SOURCE._replace(port=9))
    assert (dialog.confirmed, dialog.routes, dialog.target) == (True, (), "sip:bob@192.0.2.5")
    assert dialog.source.port == 9


def test_a_target_refresh_without_contact_keeps_the_target() -> None:
    dialog = Dialog.as_caller(invite(), answer(), SOURCE)
    dialog.refresh(answer(contact="<mailto: nobody>"), SOURCE)
    assert dialog.target == "sip:bob@192.0.2.4"


def test_requests_are_taken_in_their_order() -> None:
    dialog = Dialog.as_callee(invite(), "ours", SOURCE)
    for seq, fits in [(314, False), (313, False), (320, True), (319, False), (321, True)]:
        request = invite()
        request.set_header("CSeq", f"{seq} INVITE")
        assert dialog.in_order(request) is fits


def test_their_first_request_may_have_any_number() -> None:
    dialog = Dialog.as_caller(invite(), answer(), SOURCE)
    request = invite()
    request.set_header("CSeq", "0 INVITE")
    assert dialog.in_order(request)
    assert not dialog.in_order(request)


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("sip:bob@192.0.2.4", Hop("192.0.2.4", 5060, "udp")),
        ("sip:192.0.2.4:5080;transport=TCP", Hop("192.0.2.4", 5080, "tcp")),
        ("sip:bob@[2001:db8::1]:5070", Hop("2001:db8::1", 5070, "udp")),
        ("sip:bob@example.com;maddr=192.0.2.7", Hop("192.0.2.7", 5060, "udp")),
        ("sips:bob@example.com", None),
        ("sip:bob@example.com;transport=tls", None),
        ("tel:+84912345678", None),
        ("no uri at all", None),
    ],
)
def test_where_a_uri_points(uri: str, hop: Hop | None) -> None:
    assert hop_of(uri) == hop


PUBLIC, PRIVATE = Peer("udp", "8.8.8.8", 1024), Peer("udp", "10.0.0.9", 1024)


@pytest.mark.parametrize(
    ("hop", "source", "peer"),
    [
        (Hop("9.9.9.9", 5060, "udp"), PUBLIC, Peer("udp", "9.9.9.9", 5060)),
        (Hop("9.9.9.9", 5060, "tcp"), PUBLIC, Peer("tcp", "9.9.9.9", 5060)),
        (Hop("192.168.1.4", 5060, "udp"), PUBLIC, PUBLIC),  # behind a NAT
        (Hop("127.0.0.1", 5060, "udp"), PRIVATE, PRIVATE),
        (Hop("0.0.0.0", 5060, "udp"), PRIVATE, PRIVATE),
        (Hop("192.168.1.4", 5060, "udp"), PRIVATE, Peer("udp", "192.168.1.4", 5060)),
        (Hop("8.8.8.8", 1024, "udp"), PUBLIC._replace(transport="tcp"), ("tcp", "8.8.8.8", 1024)),
        (Hop("example.com", 5060, "udp"), PUBLIC, None),  # to be resolved
        (None, PUBLIC, PUBLIC),
    ],
)
def test_the_address_to_send_to(hop: Hop | None, source: Peer, peer: Peer | None) -> None:
    assert peer_for(hop, source) == peer


@pytest.mark.parametrize("contact", ["*", "<sip:>", "<sip:a@b;x=y z>", "nonsense"])
def test_contacts_that_lead_nowhere(contact: str) -> None:
    response = answer()
    response.set_header("Contact", contact)
    assert contact_uri(response) is None


def test_a_body_has_its_type() -> None:
    dialog = Dialog.as_caller(invite(), answer(), SOURCE)
    assert dialog.request("INFO", body=b"5", content_type="application/dtmf").content_type == (
        "application/dtmf"
    )
    assert dialog.request("INFO", content_type="application/dtmf").content_type is None


def test_a_caller_without_contact_is_answered_where_its_name_leads() -> None:
    request = invite()
    request.remove_header("Contact")
    request.set_header("From", "<sip:alice@192.0.2.3:5090;odd=a b>;tag=9")
    assert Dialog.as_callee(request, "ours", SOURCE).target == "sip:alice@192.0.2.3:5090"
