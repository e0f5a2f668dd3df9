"""Reading and writing messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip.errors import MalformedMessage, ProtocolError
from ivr.sip.message import (
    Address,
    CSeq,
    SipRequest,
    SipResponse,
    SipUri,
    Via,
    make_response,
    new_branch,
    new_call_id,
    new_tag,
    parse_address,
    parse_cseq,
    parse_message,
    parse_params,
    parse_uri,
    parse_via,
    split_values,
    stringify_address,
    stringify_uri,
    stringify_via,
)
from ivr.sip.reader import MAX_HEADER_LENGTH, MAX_HEADERS
from tests.ivr.sip.messages import make_request, raw_request
from tests.ivr.sip.torture import MESSAGES


@given(st.binary(max_size=400))
def test_random_bytes_are_malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_message(data)


@given(
    st.sampled_from([message.wire for message in MESSAGES]),
    st.lists(
        st.tuples(
            st.integers(0, 2000),
            st.sampled_from(["cut", "drop", "double", "set"]),
            st.binary(min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_mutations_are_read_or_malformed(
    wire: bytes, mutations: list[tuple[int, str, bytes]]
) -> None:
    for place, kind, extra in mutations:
        at = place % (len(wire) + 1)
        if kind == "cut":
            wire = wire[:at]
        elif kind == "drop":
            wire = wire[:at] + wire[at + 1 :]
        elif kind == "double":
            wire = wire[:at] + wire[at : at + 20] + wire[at:]
        else:
            wire = wire[:at] + extra + wire[at + len(extra) :]
    try:
        message = parse_message(wire)
    except MalformedMessage as error:
        if error.request is not None:
            bytes(make_response(error.request, error.status))
        return
    assert message.via
    assert message.cseq.seq >= 0
    assert message.call_id
    bytes(message)
    if isinstance(message, SipRequest):
        parse_uri(message.uri)
        bytes(make_response(message, 200))


@pytest.mark.parametrize("end", range(0, 300, 7))
def test_a_message_cut_short_is_malformed(end: int) -> None:
    whole = raw_request("INVITE", extra="Content-Type: text/plain\r\n", body="x" * 20)
    with pytest.raises(MalformedMessage):
        parse_message(whole[: min(end, len(whole) - 1)])


def test_huge_values_are_bounded() -> None:
    for extra in (
        f"X: {'a' * MAX_HEADER_LENGTH}\r\n",
        "X: a\r\n" * MAX_HEADERS,
        "no colon here\r\n",
        "bad name: x\r\n",
        ": no name\r\n",
        "X: lone\rreturn\r\n",
        "Max-Forwards: -1\r\n",
        "To: <sip:second@example.com>\r\n",
        'Contact: "open <sip:x@y>\r\n',
        "Contact: <sip:x@y\r\n",
    ):
        with pytest.raises(MalformedMessage) as caught:
            parse_message(raw_request(extra=extra))
        assert caught.value.request is not None
        assert caught.value.request.call_id == "raw@example.com"
    with pytest.raises(MalformedMessage, match="Call-ID"):
        parse_message(raw_request(call_id="a" * 600))


def test_both_line_ends_and_leading_blank_lines_are_read() -> None:
    wire = raw_request("MESSAGE", body="hello")
    for variant in (wire, wire.replace(b"\r\n", b"\n"), b"\r\n\r\n" + wire):
        assert parse_message(variant).body == b"hello"


def test_short_names_and_lists() -> None:
    message = parse_message(
        raw_request(
            extra="r: <sip:c@example.com>\r\nx: 1800;refresher=uac\r\no: refer\r\n"
            'k: timer, 100rel\r\nm: <sip:a@h;x=1,2>, "b, c" <sip:b@h>\r\n'
        )
    )
    assert message.get_header("Refer-To") == "<sip:c@example.com>"
    assert message.get_header("Session-Expires") == "1800;refresher=uac"
    assert message.get_header("Event") == "refer"
    assert message.get_header_values("Supported") == ["timer", "100rel"]
    assert [each.display_name for each in message.contact] == [None, "b, c"]


def test_accessors_write_what_they_read() -> None:
    message = make_request("INVITE")
    message.via = [Via(host="192.0.2.1", port=5070, params={"branch": "z9hG4bKx", "rport": None})]
    message.from_addr = Address(uri=SipUri(user="a", host="h"), params={"tag": "1"})
    message.to_addr = Address('B "the" \\ C', SipUri(user="b", host="::1", port=5060))
    message.cseq = CSeq(7, "INVITE")
    message.call_id = "x@y"
    message.contact = [Address(uri=SipUri(host="c")), Address(uri=SipUri(host="d"))]
    read = parse_message(bytes(message))
    assert read.top_via == message.top_via
    assert read.from_addr.tag == "1"
    assert read.to_addr.display_name == 'B "the" \\ C'
    assert (read.to_addr.uri.host, read.to_addr.uri.port) == ("[::1]", 5060)
    assert read.cseq == CSeq(7, "INVITE")
    assert read.call_id == "x@y"
    assert [each.uri.host for each in read.contact] == ["c", "d"]


def test_a_missing_header_is_malformed_when_read() -> None:
    for name in ("top_via", "from_addr", "to_addr", "cseq", "call_id"):
        with pytest.raises(MalformedMessage):
            getattr(SipRequest(), name)


def test_names_are_spelt_as_given_or_as_registered() -> None:
    message = parse_message(raw_request(extra="rack: 1 1 INVITE\r\nx-thing: 1\r\n"))
    message.set_header("X-CRM-ID", "7")
    message.set_header("Content-Length", "99")
    written = bytes(message)
    for line in (b"RAck: 1 1 INVITE", b"X-Thing: 1", b"X-CRM-ID: 7", b"CSeq: 1 OPTIONS"):
        assert b"\r\n" + line + b"\r\n" in written
    assert written.split(b"\r\n")[1].startswith(b"Via: SIP/2.0/UDP ")  # first, as §7.3.1 likes it
    assert written.count(b"Content-Length: ") == written.count(b"Via: ") == 1
    assert written.endswith(b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("broken", ["a\r\nRoute: <sip:x>", "a\nX: y", "a\rb", "\r\n\r\nbody"])
@pytest.mark.parametrize("where", ["header", "name", "uri", "method", "reason"])
def test_what_holds_a_line_break_is_never_written(broken: str, where: str) -> None:
    request = parse_message(raw_request())
    assert isinstance(request, SipRequest)
    response = make_response(request, 486)

    def write() -> bytes:
        if where == "reason":
            response.reason_phrase = broken
            return bytes(response)
        if where in ("uri", "method"):
            setattr(request, where, broken)
        else:
            request.headers.append(*(("X", broken) if where == "header" else (broken, "x")))
        return bytes(request)

    with pytest.raises((ProtocolError, ValueError), match=r"line break|header name"):
        write()


def test_header_injection_is_refused() -> None:
    request = parse_message(raw_request())
    assert isinstance(request, SipRequest)
    with pytest.raises(ValueError, match="line breaks"):
        make_response(request, 200, headers=[("X", "a\r\nB: c")])
    assert make_response(request, 603, "No\r\nX: y").reason_phrase == "No  X: y"


class TestMakeResponse:
    def request(self) -> SipRequest:
        parsed = parse_message(
            raw_request(
                "INVITE",
                extra="Via: SIP/2.0/TCP 192.0.2.8;branch=z9hG4bK2\r\nRecord-Route: <sip:p;lr>\r\n"
                "Record-Route: <sip:q;lr>\r\nTimestamp: 54\r\nSubject: x\r\n",
            )
        )
        assert isinstance(parsed, SipRequest)
        return parsed

    def test_copies_what_identifies_the_transaction(self) -> None:
        request = self.request()
        response = make_response(request, 180)
        for name in ("Via", "From", "Call-ID", "CSeq", "Record-Route"):
            assert response.headers.get(name) == request.headers.get(name)
        assert response.reason_phrase == "Ringing"
        assert "subject" not in response.headers

    def test_tags(self) -> None:
        request = self.request()
        assert make_response(request, 100).to_addr.tag is None
        assert make_response(request, 200, to_tag="t1").to_addr.tag == "t1"
        assert make_response(request, 200).to_addr.tag
        request.headers.set_single("To", "<sip:b@example.com>;tag=theirs")
        assert make_response(request, 200, to_tag="t1").to_addr.tag == "theirs"

    def test_timestamp_only_with_100_and_record_route_not_with_failures(self) -> None:
        request = self.request()
        assert make_response(request, 100).get_header("Timestamp") == "54"
        assert "timestamp" not in make_response(request, 180).headers
        assert "record-route" not in make_response(request, 486).headers

    def test_body_and_extra_headers(self) -> None:
        response = make_response(
            self.request(),
            200,
            "Fine",
            headers=[("Contact", "<sip:b@h>"), ("Contact", "<sip:c@h>")],
            body=b"v=0\r\n",
            content_type="application/sdp",
        )
        read = parse_message(bytes(response))
        assert isinstance(read, SipResponse)
        assert (read.status_code, read.reason_phrase, read.body) == (200, "Fine", b"v=0\r\n")
        assert len(read.contact) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:alice@example.com", SipUri("sip", "alice", "example.com")),
        ("SIPS:h:5061", SipUri("sips", None, "h", 5061)),
        (
            "sip:a@[2001:db8::1]:5070;transport=tcp;LR?Subject=x",
            SipUri(
                "sip",
                "a",
                "[2001:db8::1]",
                5070,
                {"transport": "tcp", "lr": None},
                {"Subject": "x"},
            ),
        ),
        (
            "tel:+84901234567;phone-context=vn",
            SipUri("tel", None, "+84901234567", None, {"phone-context": "vn"}),
        ),
    ],
)
def test_uris(text: str, expected: SipUri) -> None:
    assert parse_uri(text) == expected
    assert parse_uri(stringify_uri(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "sip:", "alice@example.com", "sip:@h", "sip:a@", "sip:a@h:0", "sip:a@h:99999", "sip:a@h:x",
     "sip:a b@h", "sip:a@b@c", "sip:a@ho st", "tel:", "sip:a@[::1", "sip:a@h;=x", "sip:h/path"],
)  # fmt: skip
def test_malformed_uris(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_uri(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<sip:a@h",
        '"a <sip:a@h>',
        '"a" sip:a@h',
        "<sip:a@h> x",
        "sip:a@h?x=y",
        "sip:a@h, sip:b@h",
    ],
)
def test_malformed_addresses(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_address(text)


def test_brackets_decide_whose_the_parameters_are() -> None:
    bare = parse_address("sip:a@h;tag=1;x")
    assert (bare.uri.params, bare.params) == ({}, {"tag": "1", "x": None})
    inside = parse_address("<sip:a@h;x>;tag=1")
    assert (inside.uri.params, inside.params) == ({"x": None}, {"tag": "1"})


def test_a_quoted_name_cannot_hide_another_address() -> None:
    address = parse_address('"<sip:evil@attacker>;tag=1, \\" x" <sip:good@h>;tag=2')
    assert (address.uri.user, address.tag) == ("good", "2")


@given(st.text(max_size=40).filter(lambda text: text.strip() == text and text))
def test_display_names_survive(name: str) -> None:
    address = Address(display_name=name, uri=SipUri(user="a", host="h"), params={"tag": "1"})
    assert parse_address(stringify_address(address)) == address


@pytest.mark.parametrize(
    "text", ["", "SIP/2.0/UDP", "SIP/2.0 h", "SIP/2.0/UDP h:0", "SIP/2.0/UDP a b"]
)
def test_malformed_vias(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_via(text)


def test_via_round_trip() -> None:
    via = parse_via('SIP / 2.0 / udp [::1]:5060 ;branch=z9hG4bK1 ; rport;x="a;b"')
    assert via == Via(
        "SIP/2.0", "UDP", "[::1]", 5060, {"branch": "z9hG4bK1", "rport": None, "x": '"a;b"'}
    )
    assert parse_via(stringify_via(via)) == via


@pytest.mark.parametrize(
    "text", ["", "INVITE", "1", "-1 INVITE", "2147483648 INVITE", "1 A B", "x INVITE"]
)
def test_malformed_cseqs(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_cseq(text)


def test_splitting() -> None:
    assert split_values('a, "b, \\", c" ,<d,e>,,') == ["a", '"b, \\", c"', "<d,e>"]
    assert parse_params(';a=1;B; c = "x;y" ;') == {"a": "1", "b": None, "c": '"x;y"'}
    with pytest.raises(MalformedMessage):
        parse_params(";=1")
    for endless in ('"' + '\\"' * 50_000, "<" * 100_000):  # linear, or this test would not end
        with pytest.raises(MalformedMessage):
            split_values(endless)


def test_identifiers_are_unique_and_tokens() -> None:
    for make in (new_branch, new_tag, new_call_id):
        made = {make() for _ in range(100)}
        assert len(made) == 100
        assert all(each.isalnum() for each in made)
    assert new_branch().startswith("z9hG4bK")
