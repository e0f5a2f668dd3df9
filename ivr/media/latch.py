"""Symmetric RTP: whom to believe and where to send, decided once (RFC 4961, RFC 7362 §4).

A phone behind a NAT names an address in its SDP that does not reach it; the address its packets
come from does. So the first RTP decides where ours goes. That must not let a stranger who sprays
packets over our ports take the call ("RTPbleed"):

- a packet from the host of the SDP is believed at once and for good;
- a stranger is believed only after a run of packets in sequence, only while nothing has come from
  the host of the SDP, and for good only after `SETTLED` of them; until then the host of the SDP
  takes the call back with its first packet;
- nobody else is heard while a source is believed;
- after a change of address the source of before counts as a stranger: its last packets are still
  on their way, often from another port of the same host.

After `Verdict.LOCK` the socket is connected, and the kernel drops everybody else's packets.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, TypeAlias

from ivr.media.rtp import SEQUENCE_MASK

Endpoint: TypeAlias = tuple[str, int]  # host (an IPv4 address) and port

PROBATION: Final = 5  # packets in sequence that make a stranger believable: 100 ms
SETTLED: Final = 250  # packets after which a believed stranger stays: 5 s
_CANDIDATES: Final = 8  # strangers watched at once, so that a flood of them costs no memory


class Verdict(enum.Enum):
    """What to do with a packet, and with the socket."""

    DROP = "drop"
    HEAR = "hear"
    FOLLOW = "follow"  # hear it, and send to its source from now on
    LOCK = "lock"  # hear it, and talk with its source alone from now on


@dataclass(slots=True)
class _Candidate:
    """A stranger on probation."""

    ssrc: int
    following: int  # the sequence number that continues the run
    run: int


class Latch:
    """The choice of one peer address. Ask it about every valid RTP packet until it locks."""

    __slots__ = ("_candidates", "_former", "_heard", "_host", "_stranger", "target")

    def __init__(self, host: str, port: int, former: Endpoint | None = None) -> None:
        self._host = host
        self._former = former if former != (host, port) else None
        self.target: Endpoint = (host, port)  # where to send now
        self._stranger: Endpoint | None = None  # believed for the time being
        self._heard = 0
        self._candidates: dict[Endpoint, _Candidate] = {}

    def offer(self, source: Endpoint, ssrc: int, sequence: int) -> Verdict:
        """Decide about a valid RTP packet of the call's codecs."""
        if source[0] == self._host and source != self._former:
            self.target = source
            return Verdict.LOCK
        if self._stranger is None:
            return self._on_probation(source, ssrc, sequence)
        if source != self._stranger:
            return Verdict.DROP
        self._heard += 1
        return Verdict.LOCK if self._heard >= SETTLED else Verdict.HEAR

    def _on_probation(self, source: Endpoint, ssrc: int, sequence: int) -> Verdict:
        candidate = self._candidates.get(source)
        if candidate and candidate.ssrc == ssrc and candidate.following == sequence:
            candidate.run += 1
        else:
            candidate = self._watch(source, ssrc)
        candidate.following = (sequence + 1) & SEQUENCE_MASK
        if candidate.run < PROBATION:
            return Verdict.DROP
        self._stranger = self.target = source
        self._heard = candidate.run
        self._candidates.clear()
        return Verdict.FOLLOW

    def _watch(self, source: Endpoint, ssrc: int) -> _Candidate:
        if source not in self._candidates and len(self._candidates) >= _CANDIDATES:
            del self._candidates[next(iter(self._candidates))]
        candidate = self._candidates[source] = _Candidate(ssrc, 0, 1)
        return candidate
