"""What the transaction machines share: timers and the ways a transaction ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Timers:
    """The base values of RFC 3261 §17, in seconds."""

    t1: float = 0.5
    """Estimate of a round trip."""
    t2: float = 4.0
    """The longest interval between retransmissions, for non-INVITE requests and INVITE answers."""
    t4: float = 5.0
    """The longest time a message stays in the network."""
    trying: float = 0.2
    """How long the user of an INVITE server transaction may think before 100 goes out (§17.2.1)."""


class EndReason(Enum):
    """Why a server transaction is over."""

    COMPLETED = "completed"  # acknowledged, or its time to absorb retransmissions is over
    TIMEOUT = "timeout"  # no ACK came for a final response (timer H)
    TRANSPORT_ERROR = "transport_error"  # a response could not be sent
    CLOSED = "closed"  # the endpoint was closed
