"""Offer and answer (RFC 3264), with descriptions as real equipment writes them."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip.sdp import (
    Audio,
    Direction,
    NoCommonCodec,
    SdpError,
    agree,
    answer,
    make_answer,
    make_offer,
    parse_audio,
)

OURS = Audio("192.0.2.1", 4000)
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


def sdp(*media: str, head: str = "c=IN IP4 10.0.0.5") -> bytes:
    lines = ["v=0", "o=- 1 1 IN IP4 10.0.0.9", "s=-", head, "t=0 0", *media]
    return "\r\n".join([*lines, ""]).encode()


def test_an_offer_as_it_is_written() -> None:
    assert make_offer(OURS, session_id=5, version=2).decode().splitlines() == [
        "v=0",
        "o=- 5 2 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 4000 RTP/AVP 8 0 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
    ]


audios = st.builds(
    Audio,
    host=st.sampled_from(["192.0.2.7", "2001:db8::7", "media.example.com"]),
    port=st.integers(1, 65535),
    codecs=st.sampled_from([("PCMA",), ("PCMU",), ("PCMA", "PCMU"), ("PCMU", "PCMA")]),
    dtmf_payload_type=st.none() | st.integers(96, 127),
    direction=st.sampled_from(DIRECTIONS),
    ptime=st.sampled_from([10, 20, 30]),
)


@given(audios)
def test_what_is_offered_is_read_back(audio: Audio) -> None:
    assert parse_audio(make_offer(audio, session_id=1, version=1)) == audio


@given(audios, audios)
def test_both_sides_come_to_the_same(offerer: Audio, answerer: Audio) -> None:
    """Whatever the two want: they speak one codec, and one sends only what the other receives."""
    body = make_offer(offerer, session_id=1, version=1)
    try:
        ours = answer(parse_audio(body), answerer)
    except NoCommonCodec:
        assert not set(offerer.codecs) & set(answerer.codecs)
        return
    reply = parse_audio(make_answer(body, ours, session_id=2, version=1))
    here, there = agree(ours, parse_audio(body)), agree(offerer, reply)
    assert here.codec == there.codec
    assert (here.host, here.port) == (offerer.host, offerer.port)
    assert (there.host, there.port) == (answerer.host, answerer.port)
    assert here.dtmf_payload_type == there.dtmf_payload_type
    sending = {"sendrecv", "sendonly"}
    receiving = {"sendrecv", "recvonly"}
    assert (here.direction in sending) == (there.direction in receiving)
    assert (there.direction in sending) == (here.direction in receiving)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with contextlib.suppress(SdpError):
        parse_audio(body)


ODD_LINES = [
    *sdp("m=audio 4000 RTP/AVP 8 101 x", "a=rtpmap:101").splitlines(),
    *b"a=rtpmap:x PCMA/8000|a=ptime:|a=ptime:0|t=x|b=AS|v=x|c=IN|m=audio|a=fmtp:8".split(b"|"),
    *b"m=audio 99999 RTP/AVP 8|m=video 1/2 RTP/AVP 99|a=rtpmap:8 PCMA|o=- x".split(b"|"),
]


@given(st.lists(st.sampled_from(ODD_LINES)))
def test_no_lines_raise_anything_else(lines: list[bytes]) -> None:
    with contextlib.suppress(SdpError):
        parse_audio(b"\n".join(lines))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            sdp("m=audio 4000 RTP/AVP 8"),
            {"host": "10.0.0.5", "port": 4000, "codecs": ("PCMA",), "dtmf_payload_type": None},
            id="static payload type without rtpmap",
        ),
        pytest.param(
            sdp("m=audio 4000 RTP/AVP 18 97 96", "a=rtpmap:97 pcmu/8000",
                "a=rtpmap:96 telephone-event/8000"),
            {"codecs": ("PCMU",), "payload_types": (97,), "dtmf_payload_type": 96},
            id="dynamic payload types, names in lower case",
        ),
        pytest.param(
            sdp("m=audio 4000 RTP/AVP 8", "c=IN IP4 10.0.0.6"),
            {"host": "10.0.0.6"},
            id="c= of the stream wins",
        ),
        pytest.param(
            sdp("m=audio 4000 RTP/AVP 8", head="a=sendonly"),
            {"host": "10.0.0.9", "direction": "sendonly"},
            id="no c= at all, direction of the session",
        ),
        pytest.param(
            sdp("m=audio 4000 RTP/AVP 8", "a=recvonly", head="a=sendonly"),
            {"direction": "recvonly"},
            id="direction of the stream wins",
        ),
        pytest.param(
            sdp("m=audio 4000 RTP/AVP 8", head="c=IN IP4 0.0.0.0"),
            {"host": "0.0.0.0", "direction": "sendonly"},
            id="hold as RFC 2543 wrote it",
        ),
        pytest.param(
            sdp("m=audio 4000 RTP/AVP 8", head="c=IN IP4 224.2.1.1/127"),
            {"host": "224.2.1.1"},
            id="multicast TTL",
        ),
        pytest.param(
            sdp("m=audio 4000 RTP/SAVP 8", "m=audio 0 RTP/AVP 8", "m=audio 4004 RTP/AVPF 0"),
            {"port": 4004, "codecs": ("PCMU",)},
            id="the first stream that can be used",
        ),
        pytest.param(
            sdp("m=audio 4000/2 RTP/AVP  8  0 ", "b=nonsense", "k=", "a=rtpmap:no PCMA/8000"),
            {"codecs": ("PCMA", "PCMU")},
            id="port count, spaces, lines nobody can read",
        ),
        pytest.param(
            sdp("m=audio 4000 RTP/AVP 8", "a=ptime:30", "a=rtcp:4001", "a=ssrc:1 cname:x"),
            {"ptime": 30},
            id="attributes we do not use",
        ),
        pytest.param(
            sdp("m=audio 4000 RTP/AVP 8 101 102", "a=rtpmap:101 telephone-event/48000",
                "a=rtpmap:102 telephone-event/8000"),
            {"dtmf_payload_type": 102},
            id="telephone events at the rate of G.711",
        ),
        pytest.param(
            b"v=0\nm=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::5\n\0",
            {"host": "2001:db8::5", "codecs": ("PCMU",)},
            id="bare line feeds, IPv6, a NUL at the end",
        ),
    ],
)  # fmt: skip
def test_descriptions_as_they_come(body: bytes, expected: dict[str, object]) -> None:
    audio = parse_audio(body)
    assert {name: getattr(audio, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b"", SdpError, "no audio"),
        (sdp("m=video 4000 RTP/AVP 99"), SdpError, "no audio"),
        (sdp("m=audio 0 RTP/AVP 8"), SdpError, "port 0"),
        (sdp("m=audio 4000 RTP/SAVP 8"), SdpError, "RTP/SAVP"),
        (sdp("m=audio 4000 RTP/AVP 18 9"), NoCommonCodec, "18 9"),
        (b"v=0\r\nm=audio 4000 RTP/AVP 8\r\n", SdpError, "no address"),
    ],
)
def test_descriptions_that_will_not_do(body: bytes, error: type[SdpError], says: str) -> None:
    with pytest.raises(error, match=says):
        parse_audio(body)


def test_an_answer_has_a_line_for_each_of_the_offer() -> None:
    offer = sdp(
        "m=video 4002 RTP/AVP 99",
        "m=audio 4000 RTP/AVPF 8 0",
        "m=audio 4004 RTP/AVP 0",
        "m=image 5000 udptl t38",
    )
    ours = answer(parse_audio(offer), OURS)
    media = [
        line
        for line in make_answer(offer, ours, session_id=1, version=1).decode().splitlines()
        if line.startswith("m=")
    ]
    assert media == [
        "m=video 0 RTP/AVP 99",
        "m=audio 4000 RTP/AVPF 8",
        "m=audio 0 RTP/AVP 0",
        "m=image 0 udptl t38",
    ]


def test_the_offerers_preference_holds() -> None:
    offer = replace(OURS, codecs=("PCMU", "PCMA"), payload_types=(0, 8))
    assert answer(offer, OURS).codecs == ("PCMU",)
    assert answer(offer, replace(OURS, codecs=("PCMA",), payload_types=(8,))).codecs == ("PCMA",)


def test_no_telephone_events_unless_both_have_them() -> None:
    without = replace(OURS, dtmf_payload_type=None)
    assert answer(OURS, without).dtmf_payload_type is None
    assert answer(without, OURS).dtmf_payload_type is None
    assert agree(without, OURS).dtmf_payload_type is None


def test_an_answer_in_codecs_we_did_not_offer() -> None:
    with pytest.raises(NoCommonCodec):
        agree(Audio("192.0.2.1", 4000, codecs=("PCMA",)), Audio("a", 1, codecs=("PCMU",)))
    with pytest.raises(NoCommonCodec):
        answer(Audio("192.0.2.1", 4000, codecs=("PCMA",)), Audio("a", 1, codecs=("PCMU",)))
