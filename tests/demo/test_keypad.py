"""Pressing keys on a pyVoIP phone: one RTP stream, in which events stand in for audio."""

from __future__ import annotations

import socket
from typing import cast

from ivr.media.dtmf import DtmfReceiver
from ivr.media.rtp import RtpPacket, pack_rtp, parse_rtp
from server.demo.phone import Keypad


class Wire:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[RtpPacket] = []
        self.closed = False

    def sendto(self, packet: bytes, address: tuple[str, int]) -> None:
        parsed = parse_rtp(packet)
        assert parsed
        self.sent.append(parsed)

    def close(self) -> None:
        self.closed = True


def audio(n: int, start: int = 0) -> bytes:
    return pack_rtp(RtpPacket(8, False, n, (start + n * 160) % 2**32, 7, bytes(160)))


def test_keys_take_the_place_of_audio_and_the_stream_goes_on() -> None:
    wire = Wire()
    keypad = Keypad(cast(socket.socket, wire))
    start = 2**32 - 10 * 160
    for n in range(60):
        if n == 5:
            keypad.press("12", 101)
        keypad.sendto(audio(n, start), ("127.0.0.1", 1))
    assert [packet.sequence for packet in wire.sent] == list(range(60))
    assert {packet.payload_type for packet in wire.sent[:5]} == {8}
    assert wire.sent[5].marker
    assert wire.sent[5].timestamp == start + 5 * 160
    receiver = DtmfReceiver()
    keys = [
        digit.digit
        for packet in wire.sent
        if packet.payload_type == 101
        if (digit := receiver.feed(packet.timestamp, packet.marker, packet.payload, 0.0))
    ]
    assert keys == ["1", "2"]
    assert wire.sent[-1].payload_type == 8
    keypad.close()
    assert wire.closed
