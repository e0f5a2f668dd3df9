"""What was received, and how it sounded: RFC 3550 statistics and the E-model (ITU-T G.107).

`ReceiveStats.add` runs once per packet in the media worker, hence its one long body. Its straight
path, the next packet of the same source, costs about 0.3 µs; losses, reordering, restarts and
changes of source are told apart only when the sequence number is not the expected one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ivr.media.rtp import CLOCK_RATE, FRAME_MS, SEQUENCE_MASK, sequence_delta, timestamp_delta

MAX_DROPOUT: Final = 3000  # packets missed that are still the same stream: RFC 3550 A.1
MAX_MISORDER: Final = 100  # packets late that are still the same stream: RFC 3550 A.1
_WINDOW_MASK: Final = (1 << MAX_MISORDER) - 1

# A jump of the sender's clock against ours by more than this is a restart, not jitter.
_CLOCK_RESTART: Final = 3 * CLOCK_RATE

DEFAULT_R: Final = 93.2  # the E-model's rating of a perfect narrow-band connection
G711_BPL: Final = 4.3  # robustness to packet loss of G.711 with gaps left silent (G.113)
G711_PLC_BPL: Final = 25.1  # the same when the listener's phone conceals losses


@dataclass(frozen=True, slots=True)
class Reception:
    """What has been received of a call so far."""

    received: int  # packets, without duplicates
    lost: int  # packets that never came
    duplicates: int
    reordered: int  # packets that came after a later one
    restarts: int  # times the stream began anew: another source, or a jump in its numbering
    jitter_ms: float  # interarrival jitter now: RFC 3550 A.8
    max_jitter_ms: float

    @property
    def loss_percent(self) -> float:
        """Return the share of expected packets that never came, 0–100."""
        expected = self.received + self.lost
        return 100.0 * self.lost / expected if expected else 0.0


class ReceiveStats:
    """Receive statistics of one call leg, across changes of source and restarts.

    Unlike in RFC 3550 A.1 no source is on probation: who may send is decided by address before
    packets come here. A jump in the numbering still needs a second packet to be believed.
    """

    __slots__ = (
        "_base",
        "_duplicates",
        "_expected_before",
        "_highest",
        "_jitter",
        "_last_arrival",
        "_last_timestamp",
        "_max_jitter",
        "_received",
        "_reordered",
        "_restart_at",
        "_restarts",
        "_ssrc",
        "_window",
    )

    def __init__(self) -> None:
        self._received = 0
        self._duplicates = 0
        self._reordered = 0
        self._restarts = 0
        self._ssrc: int | None = None
        self._base = 0  # the stream's first sequence number
        self._highest = -1  # its highest, counted on beyond 16 bits
        self._window = 0  # bit n is set: the n-th packet before the highest has come
        self._restart_at: int | None = None  # the sequence number that would confirm a jump
        self._expected_before = 0  # packets expected of the streams before this one
        self._last_timestamp = 0
        self._last_arrival = 0.0
        self._jitter = 0.0  # in timestamp units
        self._max_jitter = 0.0

    def add(self, ssrc: int, sequence: int, timestamp: int, arrival: float) -> bool:
        """Count a packet that arrived at `arrival` seconds on any steady clock.

        Returns whether to use its payload: not that of a duplicate, nor that of the first packet
        of a jump in the numbering, which only the next packet confirms.
        """
        following = self._highest + 1
        if ssrc == self._ssrc and sequence == following & SEQUENCE_MASK:
            self._highest = following
            if self._window != _WINDOW_MASK:  # else it stays as it is
                self._window = (self._window << 1 | 1) & _WINDOW_MASK
        elif ssrc != self._ssrc:
            self._switch_source(ssrc, sequence, timestamp, arrival)
        elif not self._place(sequence):
            return False
        self._received += 1

        # The jitter moves by a sixteenth of the newest deviation: RFC 3550 A.8. Packets that
        # repeat a timestamp are telephone-events and say nothing about the network.
        elapsed = timestamp - self._last_timestamp
        if elapsed == 0:
            return True
        if not 0 < elapsed <= _CLOCK_RESTART:  # backwards, far ahead, or across the wrap
            elapsed = timestamp_delta(timestamp, self._last_timestamp)
        deviation = (arrival - self._last_arrival) * CLOCK_RATE - elapsed
        if deviation < 0:
            deviation = -deviation
        self._last_timestamp = timestamp
        self._last_arrival = arrival
        if deviation < _CLOCK_RESTART:
            jitter = self._jitter = self._jitter + (deviation - self._jitter) / 16
            if jitter > self._max_jitter:  # noqa: PLR1730 - max() costs a tenth of this method
                self._max_jitter = jitter
        return True

    def snapshot(self) -> Reception:
        """Return the figures as they are now."""
        expected = self._expected_before + self._highest - self._base + 1
        return Reception(
            received=self._received,
            lost=max(expected - self._received, 0),
            duplicates=self._duplicates,
            reordered=self._reordered,
            restarts=self._restarts,
            jitter_ms=self._jitter * 1000 / CLOCK_RATE,
            max_jitter_ms=self._max_jitter * 1000 / CLOCK_RATE,
        )

    def _switch_source(self, ssrc: int, sequence: int, timestamp: int, arrival: float) -> None:
        if self._ssrc is not None:
            self._restarts += 1
        self._ssrc = ssrc
        self._last_timestamp = timestamp
        self._last_arrival = arrival
        self._begin_numbering(sequence)

    def _begin_numbering(self, sequence: int) -> None:
        self._expected_before += self._highest - self._base + 1
        self._base = self._highest = sequence
        self._window = 1
        self._restart_at = None

    def _place(self, sequence: int) -> bool:
        """Take in a sequence number that is not the next one; return whether it is of use."""
        ahead = sequence_delta(sequence, self._highest & SEQUENCE_MASK)
        if 0 < ahead <= MAX_DROPOUT:
            self._highest += ahead
            self._window = (self._window << ahead | 1) & _WINDOW_MASK
            return True
        if -MAX_MISORDER < ahead <= 0:
            return self._place_late(-ahead)
        if sequence == self._restart_at:
            self._restarts += 1
            self._begin_numbering(sequence)
            return True
        self._restart_at = (sequence + 1) & SEQUENCE_MASK
        return False

    def _place_late(self, behind: int) -> bool:
        bit = 1 << behind
        if self._window & bit:
            self._duplicates += 1
            return False
        self._window |= bit
        self._base = min(self._base, self._highest - behind)
        self._reordered += 1
        return True


def rating(
    loss_percent: float, delay_ms: float, *, burst_ratio: float = 1.0, bpl: float = G711_BPL
) -> float:
    """Return the E-model's R of a G.711 connection: R = 93.2 − Id − Ie,eff (ITU-T G.107).

    `delay_ms` is one-way, mouth to ear; `burst_ratio` is 1 when losses are independent.
    """
    delay_impairment = 0.024 * delay_ms + 0.11 * max(delay_ms - 177.3, 0.0)
    loss_impairment = 95.0 * loss_percent / (loss_percent / burst_ratio + bpl)
    return DEFAULT_R - delay_impairment - loss_impairment


def mos(r: float) -> float:
    """Return the mean opinion score, 1–4.5, of an E-model rating (ITU-T G.107 annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r))


def estimate_mos(reception: Reception, *, network_ms: float = 0.0) -> float:
    """Return the MOS of what was received, as a listener with a plain jitter buffer hears it.

    `network_ms` is the one-way network delay where it is known. To it come one packet, a buffer
    of twice the jitter, and 10 ms of handling.
    """
    delay_ms = network_ms + FRAME_MS + 2 * reception.jitter_ms + 10
    return mos(rating(reception.loss_percent, delay_ms))
