"""The garbage collector of a server."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from server.garbage import THRESHOLDS, keep_pauses_short


@pytest.fixture
def as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.usefixtures("as_it_was")
def test_what_is_there_at_the_start_is_never_looked_at_again() -> None:
    before = len(gc.get_objects())
    keep_pauses_short()
    assert gc.get_freeze_count() > before / 2
    assert len(gc.get_objects()) < before / 2
    assert gc.get_threshold() == THRESHOLDS
    assert gc.isenabled()
