"""A running media plane, and prompts that are told apart by their frequency."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ivr.media import tones
from ivr.media.g711 import LAWS, encode
from ivr.media.plane import MediaConfig, MediaPlane
from ivr.media.prompts import Prompt
from tests.ivr.media.plane import peer

OpenPlane = Callable[..., Awaitable[MediaPlane]]
Join = Callable[..., Awaitable[peer.Party]]
MakePrompt = Callable[..., Prompt]


@pytest.fixture
def one_port() -> range:
    """A range of ports with room for one call, free a moment ago."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port % 2 == 0:
            return range(port, port + 1)


@pytest_asyncio.fixture(loop_scope="package")
async def open_plane() -> AsyncIterator[OpenPlane]:
    """Start planes for one test, set up as it wants them."""
    planes: list[MediaPlane] = []

    async def open_one(**config: Any) -> MediaPlane:
        settings = {"bind": "127.0.0.1", "ports": range(0)} | config
        plane = MediaPlane(MediaConfig(**settings))
        planes.append(plane)
        await plane.start()
        return plane

    yield open_one
    for plane in planes:
        await plane.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def plane() -> AsyncIterator[MediaPlane]:
    """One plane for all tests that do it no harm."""
    plane = MediaPlane(MediaConfig(bind="127.0.0.1", ports=range(0)))
    await plane.start()
    yield plane
    await plane.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def wide_plane() -> AsyncIterator[MediaPlane]:
    """The same with two workers."""
    plane = MediaPlane(MediaConfig(bind="127.0.0.1", ports=range(0), workers=2))
    await plane.start()
    yield plane
    await plane.close()


@pytest_asyncio.fixture(loop_scope="package")
async def join() -> AsyncIterator[Join]:
    """Open a session with a peer; both are closed after the test."""
    parties: list[peer.Party] = []

    async def join_one(plane: MediaPlane, *args: Any, **options: Any) -> peer.Party:
        parties.append(await peer.join(plane, *args, **options))
        return parties[-1]

    yield join_one
    for party in parties:
        await party.session.close()
        party.peer.close()


@pytest.fixture
def make_prompt(tmp_path: Path) -> MakePrompt:
    def make(hertz: float, ms: int = 1000) -> Prompt:
        pcm = tones.tone(hertz, ms=ms)
        files = {}
        for law in LAWS:
            files[law] = tmp_path / f"{hertz:g}-{ms}.{law}"
            files[law].write_bytes(encode(pcm, law))
        return Prompt(f"{hertz:g} Hz", files, frames=ms // 20)

    return make
