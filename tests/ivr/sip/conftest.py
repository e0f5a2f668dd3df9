"""Endpoints for tests, closed again whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ivr.sip.endpoint import Endpoint
from tests.ivr.sip.wire import Wire

MakeEndpoint = Callable[..., Awaitable[Endpoint]]


@pytest.fixture
async def make_endpoint() -> AsyncIterator[MakeEndpoint]:
    """`await make_endpoint(**Endpoint arguments)`: listening on a port of the system's choice."""
    made: list[Endpoint] = []

    async def make(**arguments: Any) -> Endpoint:
        endpoint = Endpoint(**arguments)
        made.append(endpoint)
        await endpoint.listen()
        return endpoint

    yield make
    for endpoint in made:
        await endpoint.close()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A peer played by hand."""
    opened = await Wire.open()
    yield opened
    opened.close()
