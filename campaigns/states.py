"""The life of a campaign: which move is legal in which state.

    draft ──start──▶ running ──complete──▶ completed ──start──▶ running (numbers were added)
      │               │    ▲
      │             pause  resume
      │               ▼    │
      └────stop──▶  paused ──stop──▶ stopped      (running ──stop──▶ stopped too)

A pair that is not in MOVES is the error.
"""

from __future__ import annotations

from enum import StrEnum

from campaigns.errors import IllegalMove
from store.models import CampaignState

DRAFT, RUNNING, PAUSED, STOPPED, COMPLETED = CampaignState


class Move(StrEnum):
    """What can be done to a campaign. `complete` is the dialler's; the others are people's."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    COMPLETE = "complete"


MOVES: dict[tuple[CampaignState, Move], CampaignState] = {
    (DRAFT, Move.START): RUNNING,
    (COMPLETED, Move.START): RUNNING,
    (RUNNING, Move.PAUSE): PAUSED,
    (PAUSED, Move.RESUME): RUNNING,
    (DRAFT, Move.STOP): STOPPED,
    (RUNNING, Move.STOP): STOPPED,
    (PAUSED, Move.STOP): STOPPED,
    (RUNNING, Move.COMPLETE): COMPLETED,
}


def after(state: CampaignState, move: Move, *, name: str) -> CampaignState:
    """The state after a move. Raises IllegalMove, a sentence about campaign `name`."""
    try:
        return MOVES[state, move]
    except KeyError:
        raise IllegalMove(
            f"Campaign `{name}` is {state}: it cannot {move}. Possible now: {_possible(state)}."
        ) from None


def _possible(state: CampaignState) -> str:
    moves = [move for (of, move) in MOVES if of is state and move is not Move.COMPLETE]
    return ", ".join(moves) or "nothing more, create a new campaign instead"
