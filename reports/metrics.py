"""What each figure of a report means: the one place where it is computed.

Sources: ITU-T E.411 for ASR and NER, RFC 6076 for the SIP points of the post-dial delay. Every
ratio states its numerator and denominator; times come from the call's record, in seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ivr.result import Result

NETWORK_EFFECTIVE = frozenset({Result.BUSY, Result.NO_ANSWER, Result.REJECTED})


def post_dial_delay(invited_at: datetime | None, ringing_at: datetime | None) -> float | None:
    """PDD: from the INVITE to the first 18x or early media. None where it never rang."""
    return _between(invited_at, ringing_at)


def ring_time(
    ringing_at: datetime | None, answered_at: datetime | None, ended_at: datetime | None
) -> float | None:
    """Ring time: from the first 18x to the answer, or to the end of a call nobody answered."""
    return _between(ringing_at, answered_at or ended_at)


def talk_time(answered_at: datetime | None, ended_at: datetime | None) -> float | None:
    """Talk time, what a carrier bills: from the answer to the end. None while it is up."""
    return _between(answered_at, ended_at)


def loss_percent(received: int | None, lost: int | None) -> float | None:
    """Packet loss: packets lost of those the far side sent (received + lost), in per cent."""
    if received is None or lost is None or not received + lost:
        return None
    return 100.0 * lost / (received + lost)


def _between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from one instant to another; a clock that stepped back counts as 0."""
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds())


@dataclass(slots=True)
class Totals:
    """The figures of a set of calls, added up one call at a time."""

    calls: int = 0
    seizures: int = 0  # calls whose INVITE left: what the network was asked to do
    answers: int = 0  # seizures that were answered, by whomever
    conversations: int = 0  # calls that were answered, incoming ones too
    effective: int = 0  # answers, and ends for which the callee is answerable
    talk_seconds: float = 0.0
    results: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        *,
        direction: str,
        result: str | None,
        invited_at: datetime | None,
        answered_at: datetime | None,
        talk_seconds: float | None,
    ) -> None:
        """Count one call."""
        self.calls += 1
        self.results[result or "in progress"] += 1
        self.talk_seconds += talk_seconds or 0.0
        answered = answered_at is not None
        self.conversations += answered
        if direction != "out" or invited_at is None:
            return
        self.seizures += 1
        self.answers += answered
        self.effective += answered or result in NETWORK_EFFECTIVE

    @property
    def answer_seizure_ratio(self) -> float | None:
        """ASR (ITU-T E.411): answered calls of seizures, in per cent."""
        return _percent(self.answers, self.seizures)

    @property
    def network_effectiveness_ratio(self) -> float | None:
        """NER (ITU-T E.411): answered, busy, not answered or declined, of seizures, per cent."""
        return _percent(self.effective, self.seizures)

    @property
    def average_call_duration(self) -> float | None:
        """ACD: talk seconds of answered calls, by answered calls."""
        return self.talk_seconds / self.conversations if self.conversations else None


def _percent(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None


DEFINITIONS: Mapping[str, str] = {
    "PDD": "seconds from the INVITE to the first 18x response or early media",
    "Ring": "seconds from the first 18x to the answer, or to the end where nobody answered",
    "Talk": "seconds from the answer to the end of the call",
    "Sent, Received": "RTP packets of the call's audio, 50 a second; Received 0: nothing was heard",
    "Loss": "packets lost, of packets received and lost, in per cent",
    "Jitter": "interarrival jitter of the received RTP (RFC 3550 §6.4.1), in milliseconds",
    "MOS": "estimated by the E-model (ITU-T G.107) from codec, loss and delay; 1 to 4.5",
    "ASR": "answered calls, of outgoing calls whose INVITE left, in per cent (ITU-T E.411)",
    "NER": "answered, busy, not answered and declined calls, of outgoing calls whose INVITE "
    "left, in per cent (ITU-T E.411)",
    "ACD": "talk seconds of answered calls, by answered calls, in both directions",
}
