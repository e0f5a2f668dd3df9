"""An installation, and a carrier in this process whose customers the test writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ivr.call import Call
from ivr.media.plane import MediaConfig
from ivr.phone import Phone, PhoneConfig
from ivr.trunk import TrunkConfig
from tests.endtoend.installation import Installation

Customer = Callable[[Call], Awaitable[None]]


class Carrier:
    """The far side: counts every INVITE by number, then does what `customer` says."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self.rung: Counter[str] = Counter()
        self.customer: Customer = _busy
        phone.on_call = self._take

    @property
    def port(self) -> int:
        return self.phone.endpoint.local.port

    async def _take(self, call: Call) -> None:
        self.rung[call.story.caller_id] += 1
        await self.customer(call)


async def _busy(call: Call) -> None:
    call.reject(486)


@pytest.fixture
async def carrier(tmp_path: Path) -> AsyncIterator[Carrier]:
    trunk = TrunkConfig(name="tongdai", host="127.0.0.1", qualify=0, max_calls=1000)
    media = MediaConfig(bind="127.0.0.1", ports=range(0), recordings=tmp_path)
    phone = Phone(PhoneConfig(bind="127.0.0.1:0"), [trunk], media)
    await phone.start()
    yield Carrier(phone)
    await phone.close()


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    home = tmp_path / "home"
    home.mkdir()
    return Installation(home)
