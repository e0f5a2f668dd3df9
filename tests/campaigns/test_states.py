"""The life of a campaign: every pair of state and move."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.errors import IllegalMove
from campaigns.states import MOVES, Move, after
from store.models import CampaignState

LEGAL = {
    "draft": {"start": "running", "stop": "stopped"},
    "running": {"pause": "paused", "stop": "stopped", "complete": "completed"},
    "paused": {"resume": "running", "stop": "stopped"},
    "stopped": {},
    "completed": {"start": "running"},
}


@pytest.mark.parametrize("state", CampaignState)
@pytest.mark.parametrize("move", Move)
def test_every_pair(state: CampaignState, move: Move) -> None:
    expected = LEGAL[state].get(move)
    if expected is None:
        with pytest.raises(IllegalMove, match=f"Campaign `spring` is {state}: it cannot {move}"):
            after(state, move, name="spring")
    else:
        assert after(state, move, name="spring") == expected


@given(st.lists(st.sampled_from(Move)))
def test_what_was_stopped_stays_stopped(moves: list[Move]) -> None:
    state, stopped = CampaignState.DRAFT, False
    for move in moves:
        if (state, move) in MOVES:
            state = after(state, move, name="spring")
        stopped = stopped or state is CampaignState.STOPPED
        assert not stopped or state is CampaignState.STOPPED
