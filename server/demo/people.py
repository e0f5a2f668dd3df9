"""Who is called, and how each of them takes a call: the cast of the demonstration."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class Act(enum.StrEnum):
    """How a person, or the network in his place, takes one call."""

    LISTENS = "listens to the end"
    PRESSES_1 = "presses 1"
    PRESSES_1_INBAND = "presses 1 on an old phone"  # tones in the audio, no telephone-events
    PRESSES_2 = "presses 2"
    HANGS_UP = "answers and hangs up at once"
    MACHINE = "is an answering machine"
    BUSY = "is busy"
    NO_ANSWER = "does not answer"
    DECLINES = "declines"
    SWITCHED_OFF = "has the phone switched off"
    UNKNOWN = "has given up the number"


ABSENT = frozenset({Act.SWITCHED_OFF, Act.UNKNOWN})  # no phone is registered: the carrier answers


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated person: the first call meets the first act, later ones the next, or the last."""

    number: str  # E.164
    acts: tuple[Act, ...]

    def act(self, call: int) -> Act:
        """Return the act for the call of this number, counted from 0."""
        return self.acts[min(call, len(self.acts) - 1)]

    @property
    def has_phone(self) -> bool:
        """Whether there is a phone to ring."""
        return not ABSENT.intersection(self.acts)

    @property
    def inband_only(self) -> bool:
        """Whether the phone is too old for telephone-events."""
        return Act.PRESSES_1_INBAND in self.acts


# One after the other to the numbers in their order, again and again: the interesting ones first,
# so that even a short list meets most of them.
PARTS: Sequence[tuple[Act, ...]] = (
    (Act.PRESSES_1,),
    (Act.LISTENS,),
    (Act.NO_ANSWER,),
    (Act.PRESSES_2,),
    (Act.BUSY, Act.PRESSES_1),
    (Act.UNKNOWN,),
    (Act.MACHINE,),
    (Act.PRESSES_1_INBAND,),
    (Act.DECLINES,),
    (Act.NO_ANSWER, Act.LISTENS),
    (Act.HANGS_UP,),
    (Act.SWITCHED_OFF,),
    (Act.BUSY,),
    (Act.LISTENS,),
)


def cast(numbers: Iterable[str]) -> list[Person]:
    """Give each number its part; the same numbers always get the same parts."""
    return [Person(number, acts) for number, acts in zip(numbers, itertools.cycle(PARTS))]
