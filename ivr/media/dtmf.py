"""DTMF as telephone-events (RFC 4733): which key was pressed, and how to press one.

A key press is a train of packets that share one timestamp and report a growing duration; the
last, sent three times, has the end bit. Any of them may be lost, doubled or late, and senders
differ, so the receiver goes by these rules:

- a packet that overlaps the event that has just ended is an echo of it;
- the same digit goes on while its timestamps leave no gap: some gateways advance the timestamp
  with every packet, and RFC 4733 §2.5.1.3 cuts presses of over 8 s into segments of 0xFFFF;
- another digit ends the one before, even at the same timestamp;
- an event of which nothing more comes has ended.

A digit is reported once, when it ends, for only then is its duration known; `pressed` tells
earlier that a key is down.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from ivr.media.rtp import CLOCK_RATE, FRAME_MS, FRAME_SAMPLES, timestamp_delta

DIGITS: Final = "0123456789*#ABCD"  # in the order of their event codes: RFC 4733 §3.2
END_TIMEOUT: Final = 0.25  # seconds without a packet after which an event has ended
MAX_PRESS_MS: Final = 8000  # the longest press that fits the 16-bit duration at 8000 Hz
END_REPEATS: Final = 3  # times the final packet is sent: RFC 4733 §2.5.1.4
_LATE: Final = 5 * CLOCK_RATE  # an older timestamp within this is a late packet, else a restart
_SEGMENT: Final = 0xFFFF  # a longer press goes on at a timestamp this much later
_VOLUME: Final = 10  # −10 dBm0
_END_BIT: Final = 0x80

_EVENT = struct.Struct("!BBH")


class Digit(NamedTuple):
    """A key that was pressed and let go."""

    digit: str
    duration_ms: int


@dataclass(slots=True)
class _Event:
    """A key press as far as its packets tell."""

    code: int
    started: int  # timestamp
    newest: int  # the newest timestamp, which is `started` unless the sender advances it
    length: int  # timestamp units from the start
    heard_at: float

    def digit(self) -> Digit:
        return Digit(DIGITS[self.code], self.length * 1000 // CLOCK_RATE)


class DtmfReceiver:
    """Turns telephone-event packets of one source into digits. Make a new one per source."""

    __slots__ = ("_active", "_ended", "_timeout")

    def __init__(self, *, timeout: float = END_TIMEOUT) -> None:
        self._timeout = timeout
        self._active: _Event | None = None
        self._ended: _Event | None = None  # the last one reported

    @property
    def pressed(self) -> str | None:
        """The key that is down at this moment."""
        return DIGITS[self._active.code] if self._active else None

    def feed(self, timestamp: int, marker: bool, payload: bytes, now: float) -> Digit | None:
        """Take one packet in; return the digit that it shows to have ended, if any.

        `now` is in seconds on any steady clock. Malformed payloads and events that are not
        digits (flash, fax tones) are passed over.
        """
        if len(payload) < _EVENT.size:
            return None
        code, flags, duration = _EVENT.unpack_from(payload)
        if code >= len(DIGITS):
            return None
        finished = self.expire(now)
        if self._is_old(code, timestamp):
            return finished
        if self._active and self._is_new_press(self._active, code, timestamp, marker):
            finished = self._finish()
        event = self._active or _Event(code, timestamp, timestamp, 0, now)
        self._active = event
        event.heard_at = now
        event.newest = timestamp
        event.length = max(event.length, timestamp_delta(timestamp, event.started) + duration)
        if flags & _END_BIT and finished is None:
            return self._finish()
        return finished  # if this packet has the end bit too, its repeats will end its event

    def expire(self, now: float) -> Digit | None:
        """Return the digit whose end packets did not come in time, if any."""
        if self._active and now - self._active.heard_at >= self._timeout:
            return self._finish()
        return None

    def _finish(self) -> Digit | None:
        self._ended, self._active = self._active, None
        return self._ended.digit() if self._ended else None

    def _is_old(self, code: int, timestamp: int) -> bool:
        """Tell a packet that came late, or repeats the event that has ended."""
        if self._active:
            return -_LATE < timestamp_delta(timestamp, self._active.newest) < 0
        if self._ended is None:
            return False
        after_start = timestamp_delta(timestamp, self._ended.started)
        if code == self._ended.code and 0 <= after_start < max(self._ended.length, 1):
            return True
        return -_LATE < after_start < 0

    @staticmethod
    def _is_new_press(active: _Event, code: int, timestamp: int, marker: bool) -> bool:
        if code != active.code:
            return True
        if not marker and timestamp_delta(timestamp, active.newest) == _SEGMENT:
            return False
        gap = timestamp_delta(timestamp, active.started) - active.length
        return gap >= FRAME_SAMPLES


class EventPacket(NamedTuple):
    """One telephone-event packet to send, in 20 ms ticks from the start of the schedule."""

    tick: int  # when to send it
    start_tick: int  # its RTP timestamp is that of this tick
    marker: bool
    payload: bytes


def digit_packets(
    digits: str, duration_ms: int = 100, *, gap_ms: int = 100
) -> tuple[EventPacket, ...]:
    """Return the packets that press the digits one after the other, at most one per tick.

    Each event is reported every 20 ms with its duration so far, then its final packet is sent
    three times (RFC 4733 §2.5.1). The gap is the silence between two presses, at least 60 ms so
    that the repeated end packets fit in. Raises ValueError for what is not a digit and for a
    duration outside 40–8000 ms.
    """
    if not 40 <= duration_ms <= MAX_PRESS_MS:
        raise ValueError(f"a key press of {duration_ms} ms cannot be sent: 40 to {MAX_PRESS_MS} ms")
    ticks = -(-duration_ms // FRAME_MS)
    gap = max(-(-gap_ms // FRAME_MS), END_REPEATS)
    packets: list[EventPacket] = []
    for number, digit in enumerate(digits.upper()):
        code = DIGITS.find(digit)
        if code < 0:
            raise ValueError(f"{digit!r} in {digits!r} is not a key of a telephone: {DIGITS}")
        packets += _press(code, number * (ticks + gap), ticks)
    return tuple(packets)


def _press(code: int, start: int, ticks: int) -> list[EventPacket]:
    updates = [
        EventPacket(start + n, start, n == 0, _EVENT.pack(code, _VOLUME, (n + 1) * FRAME_SAMPLES))
        for n in range(ticks - 1)
    ]
    final = _EVENT.pack(code, _END_BIT | _VOLUME, ticks * FRAME_SAMPLES)
    ends = [EventPacket(start + ticks - 1 + n, start, False, final) for n in range(END_REPEATS)]
    return updates + ends
