"""A stream passed on to another call: its numbering made part of that call's own (pure).

The far phone sees one stream that never restarts. Gaps and disorder are kept as they came, so it
counts the losses that there were and puts late packets where they belong.
"""

from __future__ import annotations

from typing import Final

from ivr.media.quality import MAX_DROPOUT, MAX_MISORDER
from ivr.media.rtp import (
    CLOCK_RATE,
    SEQUENCE_MASK,
    TIMESTAMP_MASK,
    RtpPacket,
    sequence_delta,
    timestamp_delta,
)

_ASTRAY: Final = 2 * CLOCK_RATE  # a timestamp this far from the clock belongs to another stream


class Restamp:
    """Shifts sequence numbers and timestamps by what joins them to the stream before."""

    __slots__ = ("_sequence", "_sequence_shift", "_ssrc", "_timestamp_shift")

    def __init__(self) -> None:
        self._ssrc: int | None = None  # None: the next packet begins a new join
        self._sequence = 0
        self._sequence_shift = 0
        self._timestamp_shift = 0

    def break_off(self) -> None:
        """Join anew at the next packet: something else has been sent in between."""
        self._ssrc = None

    def place(self, packet: RtpPacket, following: int, clock: int) -> tuple[int, int, bool]:
        """Return sequence number, timestamp, and whether the packet begins a new join.

        `following` and `clock` are what the own stream would put on its next packet now.
        """
        joins = not self._continues(packet, clock)
        if joins:
            self._ssrc = packet.ssrc
            self._sequence_shift = following - packet.sequence
            self._timestamp_shift = clock - packet.timestamp
        self._sequence = packet.sequence
        sequence = (packet.sequence + self._sequence_shift) & SEQUENCE_MASK
        timestamp = (packet.timestamp + self._timestamp_shift) & TIMESTAMP_MASK
        return sequence, timestamp, joins

    def _continues(self, packet: RtpPacket, clock: int) -> bool:
        if packet.ssrc != self._ssrc:
            return False
        ahead = sequence_delta(packet.sequence, self._sequence)
        astray = timestamp_delta(packet.timestamp + self._timestamp_shift, clock)
        return -MAX_MISORDER < ahead <= MAX_DROPOUT and abs(astray) < _ASTRAY
