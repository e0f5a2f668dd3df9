"""Cutting a byte stream into messages, however the network cut it before."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip.errors import TransportError
from ivr.sip.framing import MAX_MESSAGE, StreamFramer
from tests.ivr.sip.messages import raw_request

MESSAGES = [
    raw_request("OPTIONS"),
    raw_request("MESSAGE", body="hello\r\n\r\nworld"),
    raw_request("INFO", body="x").replace(b"Content-Length:", b"l \t:\r\n "),
]
STREAM = b"".join(MESSAGES)


def test_byte_by_byte() -> None:
    framer = StreamFramer()
    got = [message for byte in STREAM for message in framer.feed(bytes([byte]))]
    assert got == MESSAGES
    assert not framer.partial


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_segments(cuts: list[int]) -> None:
    framer = StreamFramer()
    places = [0, *sorted(cuts), len(STREAM)]
    got = []
    for start, end in pairwise(places):
        got += framer.feed(STREAM[start:end])
    assert got == MESSAGES


def test_all_glued_together() -> None:
    assert StreamFramer().feed(STREAM * 20) == MESSAGES * 20


def test_pings_are_counted_and_pongs_are_not() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n\r\n") == []
    assert framer.pings == 1
    assert framer.feed(b"\r\n" + MESSAGES[0] + b"\r\n") == [MESSAGES[0]]
    assert framer.pings == 1
    for byte in b"\r\n\r\n":
        framer.feed(bytes([byte]))
    assert framer.pings == 2  # the CRLF after the message began this one
    assert not framer.partial


@pytest.mark.parametrize(
    "data",
    [
        b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
        b"x" * (MAX_MESSAGE + 1),
    ],
    ids=["no length", "negative length", "too long", "endless"],
)
def test_a_stream_that_cannot_be_cut(data: bytes) -> None:
    with pytest.raises(TransportError):
        StreamFramer().feed(data)


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_garbage_is_kept_bounded(chunks: list[bytes]) -> None:
    framer = StreamFramer()
    try:
        for chunk in chunks:
            framer.feed(chunk)
    except TransportError:
        pass
