"""Changing a session ourselves: re-INVITE and UPDATE, and the refresh of its timer."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

from ivr.sip.endpoint import Response
from ivr.sip.message import SipRequest, SipResponse
from ivr.sip.session_around import Headers
from ivr.sip.session_bodies import sdp_of
from ivr.sip.session_core import SessionCore, proof_of, settle
from ivr.sip.session_events import RequestRefused, SessionOver, SessionStateError
from ivr.sip.session_offers import OfferState, Open, glare_wait
from ivr.sip.session_refresh import Refresh
from ivr.sip.session_states import State

log = logging.getLogger(__name__)

MAX_TRIES = 6  # of one change, before its refusal is believed
MOST_RETRY_AFTER = 10  # seconds we are willing to wait for another try
NOT_KNOWN = (405, 501)  # answers of a peer that has no UPDATE, whatever its Allow says


@dataclass(slots=True, eq=False)
class _Change:
    """One request on its way; `promise` is its final response."""

    method: str
    sdp: bytes | None
    promise: asyncio.Future[Any]


class OurOffers:
    """Asks the far side for changes, one at a time."""

    def __init__(self, core: SessionCore, state: OfferState, refresh: Refresh) -> None:
        self._core = core
        self._state = state
        self._refresh = refresh
        self._lock = asyncio.Lock()
        self._current: _Change | None = None
        self._ack: tuple[int, SipRequest] | None = None
        self._task: asyncio.Task[None] | None = None
        core.at_end.append(self._ended)
        refresh.due = self._refresh_due

    async def change(self, method: str, sdp: bytes | None) -> bytes | None:
        """Send INVITE or UPDATE when it is our turn, again after a glare; returns their answer.

        Raises RequestRefused (the session goes on as it was) and SessionOver.
        """
        core = self._core
        if method == "INVITE" and core.state is not State.UP:
            raise SessionStateError(
                f"Call {core.call_id} is {core.state.name.lower()}: a re-INVITE needs it up."
            )
        async with self._lock:
            for _ in range(MAX_TRIES):
                await self._state.turn()
                response = await self._exchange(method, sdp)
                if response.status_code < 300:
                    return sdp_of(response)
                if not await self._worth_another_try(response):
                    break
        raise RequestRefused(method, response.status_code, response.reason_phrase)

    def repeated(self, response: SipResponse) -> None:
        """A 2xx came again, its ACK was lost: send that again."""
        dialog = self._core.dialog
        if self._ack is not None and self._ack[0] == response.cseq.seq and dialog is not None:
            self._core.send(dialog, self._ack[1])

    async def _exchange(self, method: str, sdp: bytes | None) -> SipResponse:
        core, state = self._core, self._state
        change = self._current = _Change(method, sdp, core.promise())
        state.inviting = method == "INVITE"
        if sdp is not None:
            state.open = Open.OURS
        headers: Headers = [core.contact(), *core.around.allow, *core.around.supported]
        headers += self._refresh.headers()
        core.ask(method, partial(self._received, change), headers, sdp or b"")
        final: SipResponse = await change.promise
        return final

    def _received(self, change: _Change, response: Response, request: SipRequest) -> None:
        message = response.message
        if message.status_code < 200:
            return
        success = message.status_code < 300
        if success:
            self._follow(response)
            if change.method == "INVITE":
                self._acknowledge(message, request)
        if self._current is not change:
            return  # a 2xx again
        self._current = None
        self._state.inviting = False
        if success and not self._core.over:
            self._agreed(change, message)
        if change.sdp is not None:
            self._state.open = Open.NONE
        settle(change.promise, message)
        self._state.changed()
        self._core.check_alive(message)

    def _follow(self, response: Response) -> None:
        """The 2xx to a target refresh says where requests go from now on, its ACK included."""
        dialog = self._core.dialog
        assert dialog is not None
        dialog.refresh(response.message, response.source or dialog.source)

    def _agreed(self, change: _Change, message: SipResponse) -> None:
        core = self._core
        core.note_peer(message)
        if change.sdp is not None:
            core.local_sdp = change.sdp
            core.remote_sdp = sdp_of(message) or core.remote_sdp
        self._refresh.begin(core.policy.agreed_as_client(message))

    def _acknowledge(self, message: SipResponse, invite: SipRequest) -> None:
        core, seq = self._core, invite.cseq.seq
        assert core.dialog is not None
        if self._ack is None or self._ack[0] != seq:
            self._ack = (seq, core.dialog.request("ACK", proof_of(invite), seq=seq))
        self.repeated(message)

    async def _worth_another_try(self, response: SipResponse) -> bool:
        core, status = self._core, response.status_code
        if status == 422:
            return self._refresh.raised(response)
        if status == 491:
            await core.sleep(glare_wait(core.direction == "out"))
            return True
        wait = response.headers.get_first("retry-after") or ""
        if status == 500 and wait.isascii() and wait.isdigit():
            await core.sleep(min(int(wait), MOST_RETRY_AFTER))
            return True
        return False

    # -- the session timer ------------------------------------------------------------------------

    def _refresh_due(self) -> None:
        self._task = asyncio.create_task(self._refresh_session())

    async def _refresh_session(self) -> None:
        """UPDATE where they know it, else a re-INVITE with what stands (RFC 4028 §7.4).

        A refusal is not the end: the session is, when its time has come without a refresh.
        """
        core = self._core
        try:
            if "UPDATE" in core.peer_allows and await self._refreshed("UPDATE", None):
                return
            await self._refreshed("INVITE", core.local_sdp)
        except SessionOver:
            return
        except RequestRefused as refused:
            log.warning("Call %s: the refresh failed: %s", core.call_id, refused)

    async def _refreshed(self, method: str, sdp: bytes | None) -> bool:
        try:
            await self.change(method, sdp)
        except RequestRefused as refused:
            if refused.status not in NOT_KNOWN or method == "INVITE":
                raise
            return False
        return True

    def _ended(self) -> None:
        if self._task is not None:
            self._task.cancel()
