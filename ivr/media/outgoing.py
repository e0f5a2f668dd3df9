"""What a call hears: one RTP stream that never restarts, whatever feeds it.

In each period of 20 ms the stream is fed by the first of these that has something: key presses,
the player, the far side of a bridge, silence. The timestamp counts every period, sent or not, so
it stays with the clock (RFC 3550 §5.1); the marker tells where the sound begins again after
periods without packets (RFC 3551 §4.1).
"""

from __future__ import annotations

import secrets
from collections import deque
from typing import Final, Literal, TypeAlias

from ivr.media import tones
from ivr.media.dtmf import Digit, DtmfReceiver, EventPacket, digit_packets
from ivr.media.g711 import SILENCE, TRANSLATE, Law, encode
from ivr.media.line import Line
from ivr.media.player import Player
from ivr.media.recorder import Recorder, samples
from ivr.media.restamp import Restamp
from ivr.media.rtp import (
    FRAME_PACKET,
    FRAME_SAMPLES,
    MARKER,
    PLAIN,
    SEQUENCE_MASK,
    TIMESTAMP_MASK,
    RtpPacket,
    pack_header,
    sequence_delta,
    timestamp_delta,
)

EVENT: Final = "telephone-event"
Encoding: TypeAlias = Law | Literal["telephone-event"]

PATIENCE: Final = 5  # periods without a bridged packet before silence fills in
_KEY_GAP_MS: Final = 100


class Outgoing:
    """The sending half of a call. `tick` is to be called once a period."""

    __slots__ = (
        "_codec",
        "_dtmf_payload_type",
        "_far",
        "_fresh",
        "_key_tick",
        "_key_timestamp",
        "_keys",
        "_line",
        "_newest",
        "_payload_type",
        "_player",
        "_quiet",
        "_relayed_keys",
        "_relaying",
        "_restamp",
        "_sends",
        "_sequence",
        "_silence",
        "_ssrc",
        "_timestamp",
        "_tones",
        "recorder",
        "sent",
        "skipped",
        "unsent",
    )

    def __init__(self, line: Line, player: Player) -> None:
        self._line = line
        self._player = player
        self.recorder: Recorder | None = None
        self.sent = self.unsent = self.skipped = 0
        self._codec: Law = "PCMA"
        self._payload_type = 8
        self._dtmf_payload_type: int | None = None
        self._silence = SILENCE[self._codec]
        self._sends = False
        # Random starts: RFC 3550 §5.1.
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._timestamp = secrets.randbits(32)
        self._fresh = True  # the next packet is the first after a pause
        self._keys: deque[EventPacket] = deque()
        self._key_tick = 0
        self._key_timestamp = 0  # of the press that is being sent
        self._tones: deque[bytes] = deque()  # frames of in-band keys
        self._far: int | None = None  # the session whose packets are passed on
        self._relaying = False  # the last packet sent was passed on
        self._quiet = 0  # periods since then
        self._newest = 0  # its timestamp
        self._restamp = Restamp()
        self._relayed_keys = DtmfReceiver()

    def connect(
        self,
        codec: Law,
        payload_type: int,
        dtmf_payload_type: int | None,
        *,
        sends: bool,
    ) -> None:
        """Send from now on as the SDP says."""
        self._codec = codec
        self._payload_type = payload_type
        self._dtmf_payload_type = dtmf_payload_type
        self._silence = SILENCE[codec]
        self._sends = sends
        self._player.use(codec)

    def tick(self, now: float) -> None:
        """Send the packet of this period."""
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & TIMESTAMP_MASK
        if self._keys and self._send_key_event():
            return
        frame = self._tones.popleft() if self._tones else self._player.next_frame()
        if frame is None:
            if self._far is not None and self._quiet < PATIENCE:
                self._quiet += 1
                return
            frame = self._silence
        if self._relaying:
            self._end_relay()
        if not self._sends:
            self._fresh = True
            return
        sequence = self._sequence = (self._sequence + 1) & SEQUENCE_MASK
        second = self._payload_type
        if self._fresh:
            second |= MARKER
            self._fresh = False
        self._transmit(
            FRAME_PACKET.pack(PLAIN, second, sequence, self._timestamp, self._ssrc, frame)
        )
        if self.recorder:
            self.recorder.tape.sent.put(self._timestamp, frame, self._codec, samples(now))

    def miss(self, periods: int) -> None:
        """Leave out periods whose time has passed."""
        self._timestamp = (self._timestamp + periods * FRAME_SAMPLES) & TIMESTAMP_MASK
        self._fresh = True
        self.skipped += periods

    def press(self, digits: str, duration_ms: int) -> None:
        """Press keys: telephone-events where the peer takes them, else tones in the audio.

        Raises ValueError for what is not a key or a duration that cannot be sent.
        """
        packets = digit_packets(digits, duration_ms, gap_ms=_KEY_GAP_MS)
        if self._dtmf_payload_type is None:
            self._tones += _key_frames(digits, duration_ms, self._codec)
            return
        if not self._keys:
            self._key_tick = 0
        after = self._keys[-1].tick + _KEY_GAP_MS // 20 if self._keys else 0
        self._keys.extend(packet._replace(tick=packet.tick + after) for packet in packets)

    def bridge(self, far: int | None) -> None:
        """Let a session's packets through `relay`, or nobody's."""
        self._far = far
        self._quiet = PATIENCE
        self._restamp.break_off()
        self._relayed_keys = DtmfReceiver()

    def relay(self, far: int, packet: RtpPacket, encoding: Encoding, now: float) -> None:
        """Pass on a packet that a bridged session has received."""
        if far != self._far or not self._sends or self._has_own():
            return
        if encoding == EVENT:
            self._relay_event(packet, now)
            return
        payload = packet.payload
        if encoding != self._codec:
            payload = payload.translate(TRANSLATE[encoding, self._codec])
        timestamp = self._pass_on(self._payload_type, packet, payload)
        if self.recorder:
            self.recorder.tape.sent.put(timestamp, payload, self._codec, samples(now))

    def _has_own(self) -> bool:
        """Tell whether something of this call goes before what is bridged to it."""
        return bool(self._keys or self._tones or self._player.playing)

    def _relay_event(self, packet: RtpPacket, now: float) -> None:
        if self._dtmf_payload_type is not None:
            self._pass_on(self._dtmf_payload_type, packet, packet.payload)
            return
        self._restamp.break_off()  # or the packets left out would look lost
        digit = self._relayed_keys.feed(packet.timestamp, packet.marker, packet.payload, now)
        if digit:
            self._press_again(digit)

    def _press_again(self, digit: Digit) -> None:
        self.press(digit.digit, min(max(digit.duration_ms, 80), 1000))

    def _pass_on(self, payload_type: int, packet: RtpPacket, payload: bytes) -> int:
        """Send a packet as part of this stream; return its timestamp."""
        clock = self._timestamp
        if not self._relaying:
            clock = (clock + FRAME_SAMPLES) & TIMESTAMP_MASK  # this period's packet is out already
        elif timestamp_delta(self._newest, clock) >= 0:
            clock = (self._newest + FRAME_SAMPLES) & TIMESTAMP_MASK
        following = (self._sequence + 1) & SEQUENCE_MASK
        sequence, timestamp, joins = self._restamp.place(packet, following, clock)
        self._send(payload_type, sequence, timestamp, payload, packet.marker or joins)
        if sequence_delta(sequence, self._sequence) > 0:
            self._sequence, self._newest = sequence, timestamp
        self._relaying = True
        self._quiet = 0
        return timestamp

    def _end_relay(self) -> None:
        """Go on by the own clock, never back behind what the far side's clock has reached."""
        if timestamp_delta(self._newest, self._timestamp) >= 0:
            self._timestamp = (self._newest + FRAME_SAMPLES) & TIMESTAMP_MASK
        self._restamp.break_off()
        self._relaying = False
        self._fresh = True

    def _send_key_event(self) -> bool:
        """Send the key packet of this tick, if there is one."""
        tick, self._key_tick = self._key_tick, self._key_tick + 1
        if self._keys[0].tick != tick:
            return False
        packet = self._keys.popleft()
        if self._relaying:
            self._end_relay()
        if self._sends and self._dtmf_payload_type is not None:
            if packet.marker:  # one press has one timestamp, whatever happens meanwhile
                self._key_timestamp = self._timestamp
            self._sequence = (self._sequence + 1) & SEQUENCE_MASK
            self._send(
                self._dtmf_payload_type,
                self._sequence,
                self._key_timestamp,
                packet.payload,
                packet.marker,
            )
        return True

    def _send(
        self, payload_type: int, sequence: int, timestamp: int, payload: bytes, marker: bool
    ) -> None:
        header = pack_header(payload_type, sequence, timestamp, self._ssrc, marker=marker)
        self._transmit(header + payload)

    def _transmit(self, data: bytes) -> None:
        try:
            self._line.transmit(data)
            self.sent += 1
        except OSError:  # the buffer is full, or the peer's host refused the packet before
            self.unsent += 1


def _key_frames(digits: str, duration_ms: int, codec: Law) -> list[bytes]:
    """Return keys as frames of sound, each followed by a gap."""
    sound = encode(tones.dtmf(digits, tone_ms=duration_ms, gap_ms=_KEY_GAP_MS), codec)
    frames = [sound[at : at + FRAME_SAMPLES] for at in range(0, len(sound), FRAME_SAMPLES)]
    frames[-1] += SILENCE[codec][len(frames[-1]) :]
    return frames
