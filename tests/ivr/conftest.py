"""Phones on loopback: one that calls, and one that stands for the carrier and its customers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ivr.media.plane import MediaConfig
from ivr.media.prompts import PromptStore
from ivr.phone import Phone, PhoneConfig
from ivr.sip.scheduler import Scheduler
from ivr.trunk import TrunkConfig

PhoneMaker = Callable[..., contextlib.AbstractAsyncContextManager[Phone]]


@pytest.fixture
def make_phone(tmp_path: Path) -> PhoneMaker:
    """Makes a phone on a port of its own; `trunks` are the settings of its trunks.

    `sip` are settings of its PhoneConfig, further ones of its MediaConfig.
    """

    @contextlib.asynccontextmanager
    async def make(
        *trunks: dict[str, Any],
        users: dict[str, Any] | None = None,
        sip: dict[str, Any] | None = None,
        scheduler: Scheduler | None = None,
        **media: Any,
    ) -> AsyncIterator[Phone]:
        settings = {"qualify": 0, "host": "127.0.0.1", "calls_per_second": 1000.0}
        phone = Phone(
            PhoneConfig(**{"bind": "127.0.0.1:0", "users": users or {}, **(sip or {})}),
            [TrunkConfig(**{"name": "carrier", **settings, **trunk}) for trunk in trunks],
            MediaConfig(bind="127.0.0.1", ports=range(0), recordings=tmp_path, **media),
            scheduler=scheduler,
        )
        try:
            await phone.start()
            yield phone
        finally:
            await phone.close()

    return make


@pytest.fixture
def prompts(tmp_path: Path) -> PromptStore:
    """Prepared prompts in a folder of their own."""
    return PromptStore(tmp_path / "prompts")
