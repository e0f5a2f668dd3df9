"""Python's garbage collector, told what kind of program this is.

Calls leave no reference cycles behind, so a full collection finds next to nothing, but it looks at
every object there is while nobody gets an answer: at 100 calls set up a second it ran every few
seconds and took up to 170 ms, which was all of the slowest percent of INVITE-to-200 times.
"""

from __future__ import annotations

import gc
from typing import Final

# New objects, then ten times as many; all objects a hundred times more rarely than that, for the
# few cycles that libraries leave.
THRESHOLDS: Final = (2_000, 10, 100)


def keep_pauses_short() -> None:
    """Leave out of every later collection what is there now. Call it once all is started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
