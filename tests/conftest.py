"""What every test shares: a test that blocks the event loop fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

OUR_CODE = ["cli", "server", "campaigns", "crm", "recordings", "reports", "ivr", "store"]


@pytest.fixture(autouse=True)
def never_block_the_loop() -> Iterator[BlockBuster]:
    """Raise BlockingError where our code calls something blocking inside a running loop."""
    with blockbuster_ctx(OUR_CODE) as detector:
        yield detector
