"""The stream that a call hears, packet by packet."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ivr.media.dtmf import DtmfReceiver
from ivr.media.events import PlayEnded
from ivr.media.g711 import ALAW_TO_ULAW, SILENCE, Law, decode
from ivr.media.outgoing import EVENT, PATIENCE, Outgoing
from ivr.media.player import Player
from ivr.media.rtp import RtpPacket, parse_rtp
from ivr.media.tones import DtmfDetector
from tests.ivr.media.plane.test_player import Library


class Wire:
    """Stands for the line; keeps what was sent."""

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.broken = False

    def transmit(self, data: bytes) -> int:
        if self.broken:
            raise ConnectionRefusedError
        packet = parse_rtp(data)
        assert packet
        self.packets.append(packet)
        return len(data)


class Call:
    def __init__(self, codec: Law = "PCMA", dtmf: int | None = 101, sends: bool = True) -> None:
        self.wire = Wire()
        self.ended: list[PlayEnded] = []
        self.player = Player(Library(), self.ended.append)  # type: ignore[arg-type]  # stand-in
        self.out = Outgoing(self.wire, self.player)  # type: ignore[arg-type]  # stand-in
        self.connect(codec, dtmf, sends=sends)

    def connect(self, codec: Law = "PCMA", dtmf: int | None = 101, *, sends: bool = True) -> None:
        self.out.connect(codec, 8 if codec == "PCMA" else 0, dtmf, sends=sends)

    def tick(self, periods: int = 1) -> list[RtpPacket]:
        """Return what these periods sent."""
        start = len(self.wire.packets)
        for _ in range(periods):
            self.out.tick(0.0)
        return self.wire.packets[start:]

    def relay(self, n: int, payload: bytes = b"r" * 160, far: int = 9, ssrc: int = 5) -> None:
        packet = RtpPacket(8, False, n & 0xFFFF, n * 160 & 0xFFFFFFFF, ssrc, payload)
        self.out.relay(far, packet, "PCMA", 0.0)


def steps(packets: list[RtpPacket]) -> tuple[set[int], set[int]]:
    """The differences of sequence numbers and of timestamps that occur."""
    pairs = list(itertools.pairwise(packets))
    return (
        {(b.sequence - a.sequence) & 0xFFFF for a, b in pairs},
        {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairs},
    )


def test_silence_is_a_stream_like_any_other() -> None:
    call = Call()
    packets = call.tick(10)
    assert steps(packets) == ({1}, {160})
    assert [packet.marker for packet in packets] == [True] + [False] * 9
    assert {packet.payload for packet in packets} == {SILENCE["PCMA"]}
    assert len({packet.ssrc for packet in packets}) == 1


def test_two_calls_begin_at_random_places() -> None:
    one, two = Call().tick()[0], Call().tick()[0]
    assert (one.ssrc, one.timestamp) != (two.ssrc, two.timestamp)


def test_missed_periods_show_in_the_timestamp_alone() -> None:
    call = Call()
    call.tick(3)
    call.out.miss(4)
    packets = call.tick(2)
    assert steps(call.wire.packets) == ({1}, {160, 5 * 160})
    assert [packet.marker for packet in packets] == [True, False]
    assert call.out.skipped == 4


def test_on_hold_time_goes_on_without_packets() -> None:
    call = Call()
    call.tick(2)
    call.player.play(1, {"PCMA": "abc.a"}, loop=False, barge_in=True)
    call.connect(sends=False)
    assert call.tick(4) == []
    assert call.ended == [PlayEnded(1, "completed")]
    call.connect(sends=True)
    assert call.tick()[0].marker
    assert steps(call.wire.packets) == ({1}, {160, 5 * 160})


def test_keys_are_telephone_events_between_audio() -> None:
    call = Call()
    call.tick()
    call.out.press("1#", 60)
    packets = call.tick(30)
    assert steps(packets)[0] == {1}
    receiver = DtmfReceiver()
    events = [p for p in packets if p.payload_type == 101]
    digits = [receiver.feed(p.timestamp, p.marker, p.payload, 0.0) for p in events]
    assert [(d.digit, d.duration_ms) for d in digits if d] == [("1", 60), ("#", 60)]
    assert events[0].timestamp == packets[0].timestamp
    assert any(p.payload_type == 8 for p in packets[:-1])
    assert packets[-1].payload_type == 8


def test_a_press_keeps_its_timestamp_through_missed_periods() -> None:
    call = Call()
    call.out.press("1", 100)
    call.tick(2)
    call.out.miss(3)
    events = [p for p in call.tick(10) if p.payload_type == 101]
    assert {p.timestamp for p in events} == {call.wire.packets[0].timestamp}


def test_more_keys_follow_those_on_their_way() -> None:
    call = Call()
    call.out.press("1", 60)
    call.tick(2)
    call.out.press("1", 60)
    receiver = DtmfReceiver()
    events = [p for p in call.tick(30) if p.payload_type == 101]
    digits = [receiver.feed(p.timestamp, p.marker, p.payload, 0.0) for p in events]
    assert [d.digit for d in digits if d] == ["1", "1"]


def test_keys_are_tones_for_a_peer_without_telephone_events() -> None:
    call = Call(codec="PCMU", dtmf=None)
    call.out.press("5", 100)
    detector = DtmfDetector()
    keys = [detector.feed(decode(p.payload, "PCMU")) for p in call.tick(12)]
    assert [key for key in keys if key] == ["5"]


def test_a_relayed_stream_continues_the_own_one() -> None:
    call = Call()
    call.tick(3)
    call.out.bridge(9)
    for n in range(4):
        call.relay(65_534 + n)
        call.tick()
    assert steps(call.wire.packets) == ({1}, {160})
    assert [p.payload[:1] for p in call.wire.packets[3:]] == [b"r"] * 4
    assert [p.marker for p in call.wire.packets] == [True, False, False, True] + [False] * 3


def test_silence_fills_in_when_the_far_side_stops_and_again_when_it_parts() -> None:
    call = Call()
    call.out.bridge(9)
    call.relay(1)
    assert call.tick(PATIENCE) == []
    assert call.tick(2)[0].payload == SILENCE["PCMA"]
    call.relay(2)
    call.out.bridge(None)
    call.relay(3)
    packets = call.tick(2)
    assert packets[0].payload == SILENCE["PCMA"]
    sequences, _ = steps(call.wire.packets)
    assert sequences == {1}
    stamps = [p.timestamp for p in call.wire.packets]
    assert all(0 < (b - a) & 0xFFFFFFFF < 8000 for a, b in itertools.pairwise(stamps))


def test_only_the_bridged_session_gets_through() -> None:
    call = Call()
    call.out.bridge(9)
    call.relay(1, far=8)
    assert call.wire.packets == []


def test_a_prompt_goes_before_the_bridge() -> None:
    call = Call()
    call.out.bridge(9)
    call.player.play(1, {"PCMA": "ab.a"}, loop=False, barge_in=True)
    for n in range(5):
        call.relay(n)
        call.tick()
    heard = [p.payload[:1] for p in call.wire.packets if p.payload != SILENCE["PCMA"]]
    assert heard == [b"a", b"b", b"r", b"r"]
    assert steps(call.wire.packets)[0] == {1}


def test_a_bridge_across_laws_translates() -> None:
    call = Call(codec="PCMU")
    call.out.bridge(9)
    call.relay(1, payload=bytes(range(160)))
    packet = call.wire.packets[0]
    assert packet.payload == bytes(range(160)).translate(ALAW_TO_ULAW)
    assert packet.payload_type == 0


@pytest.mark.parametrize("ahead", [0.999, 1.001], ids=["slow", "fast"])
def test_a_far_clock_that_drifts_is_followed_and_left_again(ahead: float) -> None:
    call = Call()
    call.out.bridge(9)
    for n in range(5000):
        call.out.relay(9, RtpPacket(8, False, n, int(n * 160 * ahead), 5, b"r" * 160), "PCMA", 0.0)
        call.tick()
    call.out.bridge(None)
    call.tick(3)
    sequences, stamps = steps(call.wire.packets)
    assert sequences == {1}
    assert all(150 <= step < 2000 for step in stamps)


def test_relayed_keys_stay_events_or_become_tones() -> None:
    events = Call()
    events.out.bridge(9)
    tones = Call(dtmf=None)
    tones.out.bridge(9)
    sender = Call()
    sender.out.press("7", 80)
    for packet in sender.tick(20):
        for call in (events, tones):
            kind = EVENT if packet.payload_type == 101 else "PCMA"
            call.out.relay(9, packet, kind, 0.0)
            call.tick()
    receiver = DtmfReceiver()
    relayed = [p for p in events.wire.packets if p.payload_type == 101]
    digits = [receiver.feed(p.timestamp, p.marker, p.payload, 0.0) for p in relayed]
    assert [(d.digit, d.duration_ms) for d in digits if d] == [("7", 80)]
    detector = DtmfDetector()
    heard = [detector.feed(decode(p.payload, "PCMA")) for p in tones.wire.packets]
    assert [key for key in heard if key] == ["7"]
    assert np.all([p.payload_type == 8 for p in tones.wire.packets])


def test_a_packet_that_the_system_refuses_is_counted() -> None:
    call = Call()
    call.wire.broken = True
    call.tick(2)
    call.wire.broken = False
    call.tick()
    assert (call.out.sent, call.out.unsent) == (1, 2)
