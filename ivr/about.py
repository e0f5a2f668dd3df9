"""What the running task is about: the call and the campaign its log lines name.

A context variable goes along into every task started under it, so one `about` around a call's
coroutine marks every line logged on its behalf, in any module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

CALL: ContextVar[str] = ContextVar("call", default="")
CAMPAIGN: ContextVar[str] = ContextVar("campaign", default="")


@contextmanager
def about(*, call: object = None, campaign: str | None = None) -> Iterator[None]:
    """Mark what is logged inside the block; what is None stays as it was."""
    call_token = CALL.set(str(call)) if call is not None else None
    campaign_token = CAMPAIGN.set(campaign) if campaign is not None else None
    try:
        yield
    finally:
        if campaign_token is not None:
            CAMPAIGN.reset(campaign_token)
        if call_token is not None:
            CALL.reset(call_token)
