"""RTP packets (RFC 3550 §5.1): header checks, packing and wrap-around arithmetic.

Everything here is pure and runs once per packet, so the plain 12-byte header (version 2, no
padding, no extension, no contributing sources) has a straight path.
"""

from __future__ import annotations

import enum
import struct
from typing import Final, NamedTuple

CLOCK_RATE: Final = 8000  # Hz: the RTP clock of G.711 and of its telephone-events
FRAME_MS: Final = 20
FRAME_SAMPLES: Final = CLOCK_RATE * FRAME_MS // 1000  # 160: samples, and G.711 bytes, in a frame
HEADER_SIZE: Final = 12

SEQUENCE_MASK: Final = 0xFFFF
TIMESTAMP_MASK: Final = 0xFFFFFFFF

# For those who pack and unpack 50 times a second and call: `PLAIN`, the payload type (with
# `MARKER`), sequence number, timestamp, SSRC; and the same with a frame of G.711 behind it.
HEADER: Final = struct.Struct("!BBHII")
FRAME_PACKET: Final = struct.Struct(f"!BBHII{FRAME_SAMPLES}s")
PLAIN: Final = 0x80  # version 2; no padding, extension or contributing sources
MARKER: Final = 0x80

_RTCP_TYPES = range(192, 224)  # second octet of an RTCP packet on the same port: RFC 5761 §4
_STUN_COOKIE = b"\x21\x12\xa4\x42"  # RFC 8489 §5


class PacketKind(enum.Enum):
    """What a datagram on an RTP port is: RFC 7983 §7 and RFC 5761 §4."""

    RTP = "rtp"
    RTCP = "rtcp"
    STUN = "stun"
    JUNK = "junk"


class RtpPacket(NamedTuple):
    """One RTP packet: sequence in 16 bits, timestamp and SSRC in 32, payload without padding."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def classify(data: bytes) -> PacketKind:
    """Tell what kind of packet a datagram looks like, by its first octets only."""
    if len(data) < 4:
        return PacketKind.JUNK
    if data[0] >> 6 == 2:
        if data[1] in _RTCP_TYPES:
            return PacketKind.RTCP
        return PacketKind.RTP if len(data) >= HEADER_SIZE else PacketKind.JUNK
    if data[0] < 4 and data[4:8] == _STUN_COOKIE and len(data) >= 20:
        return PacketKind.STUN
    return PacketKind.JUNK


def parse_rtp(data: bytes) -> RtpPacket | None:
    """Return the packet, or None for anything that is not well-formed RTP (RTCP included).

    An empty payload is allowed: it is how some endpoints keep a NAT binding open (RFC 6263).
    """
    if len(data) < HEADER_SIZE:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    if first == PLAIN:
        payload = data[HEADER_SIZE:]
    else:
        bounds = _payload_bounds(data, first)
        if bounds is None:
            return None
        payload = data[bounds[0] : bounds[1]]
    if second in _RTCP_TYPES:
        return None
    return RtpPacket(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, payload)


def _payload_bounds(data: bytes, first: int) -> tuple[int, int] | None:
    """Find the payload behind CSRCs and extension and before padding; None if they do not fit."""
    if first >> 6 != 2:
        return None
    start = HEADER_SIZE + 4 * (first & 0x0F)
    end = len(data)
    if first & 0x10:
        if start + 4 > end:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if first & 0x20:
        padding = data[-1]
        if padding == 0:
            return None
        end -= padding
    return (start, end) if start <= end else None


def pack_header(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, *, marker: bool = False
) -> bytes:
    """Return the 12 header bytes; sequence and timestamp must already be wrapped."""
    second = payload_type | MARKER if marker else payload_type
    return HEADER.pack(PLAIN, second, sequence, timestamp, ssrc)


def pack_rtp(packet: RtpPacket) -> bytes:
    """Return the packet as bytes; the inverse of `parse_rtp` for a plain packet."""
    header = pack_header(
        packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc, marker=packet.marker
    )
    return header + packet.payload


def sequence_delta(newer: int, older: int) -> int:
    """Return how far `newer` is ahead of `older`, in −32768…32767, across the 16-bit wrap."""
    return ((newer - older + 0x8000) & SEQUENCE_MASK) - 0x8000


def timestamp_delta(newer: int, older: int) -> int:
    """Return how far `newer` is ahead of `older`, in −2³¹…2³¹−1, across the 32-bit wrap."""
    return ((newer - older + 0x80000000) & TIMESTAMP_MASK) - 0x80000000
