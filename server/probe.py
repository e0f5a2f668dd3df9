"""Asking a carrier whether it is there, without a running server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ivr.sip.endpoint import Endpoint
from ivr.sip.useragent import UserAgent
from ivr.trunk import TrunkConfig
from ivr.trunks import Trunk
from server.live import TrunkCheck


async def probe(configs: Sequence[TrunkConfig], bind_host: str) -> list[TrunkCheck]:
    """Send each carrier an OPTIONS from a port of our own choice; report what it said.

    It never registers: that would point the carrier's calls at a port that closes at once.
    """
    endpoint = Endpoint()
    await endpoint.listen(f"{bind_host}:0")
    try:
        agent = UserAgent(endpoint)
        return [await _ask(Trunk(_quiet(config), agent)) for config in configs]
    finally:
        await endpoint.close()


def _quiet(config: TrunkConfig) -> TrunkConfig:
    return replace(config, register=False, qualify=0.0)


async def _ask(trunk: Trunk) -> TrunkCheck:
    await trunk.start()
    said = await trunk.check() if trunk.addresses else trunk.reason
    answered = said[:3].isdigit()
    await trunk.close()
    return TrunkCheck(trunk.config.name, "up" if answered else "down", said)
