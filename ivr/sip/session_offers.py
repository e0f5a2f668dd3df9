"""Whose turn it is to offer (RFC 3261 §14, RFC 3264 §4, RFC 3311 §5).

One offer may be open at a time, and one INVITE. When both sides begin at once (glare) each is
refused 491, and tries again after a wait whose length depends on who made the call.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from enum import Enum
from typing import Any

from ivr.sip.session_core import SessionCore, settle


class Open(Enum):
    """Whose offer waits for an answer."""

    NONE = "none"
    OURS = "ours"
    THEIRS = "theirs"


def verdict(method: str, *, offers: bool, open_: Open, inviting: bool, invited: bool) -> int:
    """How a request that changes the session is met: 200 let it in, 491 or 500 try later.

    `inviting`: a re-INVITE of ours is on its way; `invited`: one of theirs is unanswered.
    RFC 3261 §14.2 and RFC 3311 §5.2.
    """
    if method == "INVITE" and inviting:
        return 491
    if method == "INVITE" and invited:
        return 500
    if offers and open_ is Open.OURS:
        return 491
    if offers and open_ is Open.THEIRS:
        return 500
    return 200


def glare_wait(owns_call_id: bool, draw: Callable[[int, int], int] = random.randint) -> float:
    """Seconds to wait after a 491, in steps of 10 ms (RFC 3261 §14.1)."""
    return (draw(210, 400) if owns_call_id else draw(0, 200)) / 100


class OfferState:
    """What is open between the two sides of one session."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        theirs = core.direction == "in" and bool(core.request.body)
        self.open = Open.THEIRS if theirs else Open.OURS
        self.inviting = False
        """A re-INVITE of ours is on its way."""
        self.invited = False
        """A re-INVITE of theirs is unanswered."""
        self._waiting: list[asyncio.Future[Any]] = []

    def settled(self, *, local: bytes | None = None, remote: bytes | None = None) -> None:
        """The open offer was answered (or refused: nothing given); what now stands."""
        self._core.local_sdp = local or self._core.local_sdp
        self._core.remote_sdp = remote or self._core.remote_sdp
        self.open = Open.NONE
        self.changed()

    def changed(self) -> None:
        """Something may be over: let whoever waits for a turn look again."""
        waiting, self._waiting = self._waiting, []
        for promise in waiting:
            settle(promise)

    async def turn(self) -> None:
        """Wait until nothing is open; SessionOver when the session ends first."""
        while self.inviting or self.invited or self.open is not Open.NONE:
            promise = self._core.promise()
            self._waiting.append(promise)
            await promise
