"""What a call says, counted alike whether anybody listens or not."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from ivr.media.incoming import Incoming
from ivr.media.outgoing import Encoding
from ivr.media.quality import Reception
from ivr.media.rtp import RtpPacket, pack_rtp

RTP_TIMEOUT = 0.1


class Datagram(NamedTuple):
    """One datagram, and how long after the one before it comes."""

    pause: float
    first: int  # octet: 0x80 is a plain header
    payload_type: int
    marker: bool
    step: int  # of the sequence number
    ssrc: int
    payload: bytes
    cut: int  # bytes of it that come


datagrams = st.builds(
    Datagram,
    pause=st.sampled_from([0.0, 0.001, 0.02, 0.02, 0.02, 0.3]),
    first=st.sampled_from([0x80] * 8 + [0x90, 0xA0, 0x81, 0x00]),
    payload_type=st.sampled_from([8] * 8 + [0, 101, 72, 33]),
    marker=st.sampled_from([False] * 5 + [True]),
    step=st.sampled_from([1] * 8 + [0, -1, 2, 3, 200, 9000]),
    ssrc=st.sampled_from([7] * 8 + [0xFFFFFFFF]),
    payload=st.sampled_from([b"\xd5" * 160] * 4 + [b"", b"\x05\x8a\x03\x20", b"\x01" * 80]),
    cut=st.sampled_from([200] * 8 + [11, 12, 0]),
)


class Listener:
    """A far side that takes everything and does nothing."""

    def relay(self, packet: RtpPacket, encoding: Encoding, now: float) -> None:
        pass


class Ear:
    """One call's receiving half and what it tells."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.incoming = Incoming(RTP_TIMEOUT, self.told.append, lambda: self.told.append("barge"))
        self.incoming.connect("PCMA", 8, 101, receives=True, now=0.0)

    def hear(self, sequence: list[Datagram]) -> tuple[Reception, int, list[object]]:
        number, now = 65_500, 0.0
        for datagram in sequence:
            now += datagram.pause
            self.incoming.review(now)
            number = (number + datagram.step) & 0xFFFF
            packet = RtpPacket(
                datagram.payload_type,
                datagram.marker,
                number,
                number * 160 & 0xFFFFFFFF,
                datagram.ssrc,
                datagram.payload,
            )
            data = bytes([datagram.first]) + pack_rtp(packet)[1:]
            self.incoming.take(data[: datagram.cut], now)
        return self.incoming.stats.snapshot(), self.incoming.unused, self.told


@given(st.lists(datagrams, max_size=60))
def test_a_call_is_counted_alike_whether_anybody_listens_or_not(sequence: list[Datagram]) -> None:
    alone, listened_to = Ear(), Ear()
    listened_to.incoming.far = Listener()
    assert alone.hear(sequence) == listened_to.hear(sequence)


def test_one_who_begins_to_listen_misses_nothing() -> None:
    heard: list[int] = []

    class Far(Listener):
        def relay(self, packet: RtpPacket, encoding: Encoding, now: float) -> None:
            heard.append(packet.sequence)

    ear = Ear()
    for number in range(10):
        if number == 5:
            ear.incoming.far = Far()
        ear.incoming.take(pack_rtp(RtpPacket(8, False, number, number * 160, 7, b"\xd5" * 160)), 0)
    assert heard == [5, 6, 7, 8, 9]


def test_a_payload_type_given_to_events_and_audio_alike_is_that_of_events() -> None:
    ear = Ear()
    ear.incoming.connect("PCMA", 8, 8, receives=True, now=0.0)
    for number in range(3):
        event = RtpPacket(8, number == 0, number, 0, 7, b"\x05\x8a\x03\x20")
        ear.incoming.take(pack_rtp(event), 0.02 * number)
    assert len(ear.told) == 2  # the barge and the digit
