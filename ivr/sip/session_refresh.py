"""Keeping a session alive, and noticing that it is dead (RFC 4028)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ivr.sip.message import SipMessage
from ivr.sip.session_around import Headers
from ivr.sip.session_core import SessionCore
from ivr.sip.timer import SessionTimer


class Refresh:
    """The session timer of one session: runs anew from each 2xx that settles it."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self._timer: SessionTimer | None = None
        self.due: Callable[[], None] = lambda: None
        """Called when a refresh of ours is due."""

    def agreed(self, request: SipMessage) -> SessionTimer | None:
        """What our 2xx to their request will settle; IntervalTooSmall: answer 422."""
        return self._core.policy.agreed_as_server(request)

    def begin(self, timer: SessionTimer | None) -> None:
        """Start anew with what a 2xx settled."""
        core = self._core
        core.stop("refresh")
        core.stop("expiry")
        self._timer = timer
        if timer is None or core.over:
            return
        core.after("expiry", timer.expire_after, self._expired)
        if timer.ours:
            core.after("refresh", timer.refresh_after, self.due)

    def headers(self) -> Headers:
        """For an INVITE or UPDATE of ours in the session: as it stands, whoever refreshes."""
        if self._timer is None:
            return []
        policy = self._core.policy
        asked = replace(policy, interval=max(self._timer.interval, policy.min_se))
        return asked.request_headers(refresher=self._timer.ours)

    def raised(self, response: SipMessage) -> bool:
        """Take the longer interval a 422 asks for; False where it asks for none."""
        if self._timer is None:
            return False
        raised = replace(self._core.policy, interval=self._timer.interval).raised(response)
        if raised is None:
            return False
        self._core.policy = raised
        return True

    def _expired(self) -> None:
        self._core.lose("the session was not refreshed in time")
