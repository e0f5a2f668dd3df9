"""RTP headers: well-formed packets in, everything else out, and arithmetic across the wraps."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media import rtp
from ivr.media.rtp import PacketKind, RtpPacket

PLAIN = RtpPacket(8, True, 0xFFFF, 0xFFFFFFFF, 0xDEADBEEF, b"\xd5" * 160)
u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
# Payload types whose second octet with the marker set is not an RTCP packet type.
payload_types = st.integers(0, 127).filter(lambda value: not 64 <= value <= 95)


def header(first: int = 0x80, second: int = 8) -> bytes:
    return struct.pack("!BBHII", first, second, 7, 160, 99)


def test_a_known_packet_byte_for_byte() -> None:
    data = bytes.fromhex("80 88 ffff ffffffff deadbeef") + b"\xd5" * 160
    assert rtp.parse_rtp(data) == PLAIN
    assert rtp.pack_rtp(PLAIN) == data


@given(payload_types, st.booleans(), u16, u32, u32, st.binary(max_size=200))
def test_packing_and_parsing_are_inverse(
    payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes
) -> None:
    packet = RtpPacket(payload_type, marker, sequence, timestamp, ssrc, payload)
    assert rtp.parse_rtp(rtp.pack_rtp(packet)) == packet


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        pytest.param(header(), b"", id="empty payload keeps a NAT open"),
        pytest.param(header(0x82) + bytes(8) + b"abc", b"abc", id="two contributing sources"),
        pytest.param(
            header(0x90) + b"\xbe\xde\x00\x01" + bytes(4) + b"abc", b"abc", id="extension"
        ),
        pytest.param(header(0x90) + b"\xbe\xde\x00\x00abc", b"abc", id="empty extension"),
        pytest.param(header(0xA0) + b"abc\x00\x00\x03", b"abc", id="padding"),
        pytest.param(header(0xA0) + b"\x01", b"", id="nothing but padding"),
        pytest.param(
            header(0xB1) + bytes(4) + b"\xbe\xde\x00\x01" + bytes(4) + b"abc\x01", b"abc", id="all"
        ),
    ],
)
def test_the_payload_is_found_behind_and_before_the_rest(data: bytes, payload: bytes) -> None:
    packet = rtp.parse_rtp(data)
    assert packet is not None
    assert packet.payload == payload


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(header()[:11], id="short header"),
        pytest.param(header(0x40), id="version 1"),
        pytest.param(header(0xC0), id="version 3"),
        pytest.param(header(0x8F) + bytes(59), id="contributing sources cut short"),
        pytest.param(header(0x90) + b"\xbe\xde", id="extension header cut short"),
        pytest.param(header(0x90) + b"\xbe\xde\x00\x02" + bytes(4), id="extension cut short"),
        pytest.param(header(0xA0) + b"abc\x00", id="padding of zero"),
        pytest.param(header(0xA0) + b"abc\x05", id="padding longer than the payload"),
        pytest.param(header(0xA0), id="padding flag, last octet is the SSRC's"),
        pytest.param(header(second=200) + bytes(16), id="RTCP sender report"),
        pytest.param(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n", id="SIP"),
        pytest.param(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), id="STUN"),
    ],
)
def test_what_is_not_rtp_is_refused(data: bytes) -> None:
    assert rtp.parse_rtp(data) is None


@given(st.binary(max_size=100))
def test_any_bytes_are_parsed_or_refused_and_never_raise(data: bytes) -> None:
    packet = rtp.parse_rtp(data)
    if packet is not None:
        assert rtp.classify(data) is PacketKind.RTP
        assert len(packet.payload) <= len(data) - rtp.HEADER_SIZE


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (header(), PacketKind.RTP),
        (header(second=0x80 | 101), PacketKind.RTP),
        (header(second=201), PacketKind.RTCP),
        (header(second=0xC8)[:8], PacketKind.RTCP),
        (b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), PacketKind.STUN),
        (b"\x00\x01\x00\x00" + bytes(16), PacketKind.JUNK),
        (header()[:8], PacketKind.JUNK),
        (b"\x16\xfe\xff", PacketKind.JUNK),
        (b"\xff" * 100, PacketKind.JUNK),
        (b"", PacketKind.JUNK),
    ],
)
def test_kinds_of_packet_are_told_apart(data: bytes, kind: PacketKind) -> None:
    assert rtp.classify(data) is kind


@pytest.mark.parametrize(
    ("newer", "older", "delta"),
    [(1, 0, 1), (0, 1, -1), (0, 0xFFFF, 1), (0xFFFF, 0, -1), (5, 0xFFFE, 7), (0x8000, 0, -0x8000)],
)
def test_sequence_numbers_wrap(newer: int, older: int, delta: int) -> None:
    assert rtp.sequence_delta(newer, older) == delta


@given(u32, st.integers(-(2**31), 2**31 - 1))
def test_timestamps_wrap(older: int, delta: int) -> None:
    assert rtp.timestamp_delta((older + delta) & rtp.TIMESTAMP_MASK, older) == delta


@given(u16, st.integers(-(2**15), 2**15 - 1))
def test_sequence_delta_undoes_addition(older: int, delta: int) -> None:
    assert rtp.sequence_delta((older + delta) & rtp.SEQUENCE_MASK, older) == delta
