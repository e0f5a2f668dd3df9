"""Being asked to change a session: their re-INVITE, UPDATE, or offer in a PRACK."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ivr.sip.endpoint import ServerTransaction
from ivr.sip.message import SipRequest, SipResponse
from ivr.sip.session_around import Headers
from ivr.sip.session_bodies import sdp_of
from ivr.sip.session_core import SessionCore
from ivr.sip.session_events import Answered, Offered
from ivr.sip.session_offers import OfferState, Open, verdict
from ivr.sip.session_refresh import Refresh
from ivr.sip.session_repeat import Repeat
from ivr.sip.timer import IntervalTooSmall, SessionTimer, answer_headers

MOST_RETRY_AFTER = 10  # seconds; RFC 3261 §14.2 draws from 0 to 10


@dataclass(slots=True)
class _Request:
    """What our owner is to answer. Without an `offer` an INVITE asks for one of ours."""

    transaction: ServerTransaction
    method: str
    offer: bytes | None
    timer: SessionTimer | None = None


class TheirOffers:
    """Answers the changes the far side wants."""

    def __init__(self, core: SessionCore, state: OfferState, refresh: Refresh) -> None:
        self._core = core
        self._state = state
        self._refresh = refresh
        self._request: _Request | None = None
        self._repeat: Repeat | None = None
        core.at_end.append(self._ended)

    def received(self, transaction: ServerTransaction) -> None:
        """A re-INVITE or UPDATE."""
        core, request, state = self._core, transaction.request, self._state
        offer = sdp_of(request)
        status = verdict(
            request.method,
            offers=offer is not None or request.method == "INVITE",
            open_=state.open,
            inviting=state.inviting,
            invited=state.invited,
        )
        if status != 200:
            wait = [("Retry-After", str(random.randint(0, MOST_RETRY_AFTER)))]
            core.answer(transaction, status, wait if status == 500 else [])
            return
        try:
            timer = self._refresh.agreed(request)
        except IntervalTooSmall:
            core.answer(transaction, 422, core.policy.refusal_headers())
            return
        assert core.dialog is not None
        core.dialog.refresh(request, transaction.source)
        self._take(_Request(transaction, request.method, offer, timer))

    def pracked(self, transaction: ServerTransaction, *, offered: bool) -> None:
        """A PRACK that acknowledged; its body answers the offer we made, or is a new offer."""
        body = sdp_of(transaction.request)
        if body is not None and not offered:
            self._take(_Request(transaction, "PRACK", body))
            return
        self._core.answer(transaction, 200)
        if body is not None:
            self._state.settled(remote=body)
            self._core.tell(Answered(body))

    def answer(self, sdp: bytes) -> None:
        """Accept the offer. Nothing happens where it was withdrawn meanwhile."""
        if self._request is not None:
            self._accept(self._request, sdp)

    def reject(self, status: int) -> None:
        """Refuse the offer; the session stays as it was."""
        request, self._request = self._request, None
        if request is not None:
            self._core.answer(request.transaction, status)
            self._state.invited = False
            self._state.settled()

    def acknowledged(self, ack: SipRequest) -> None:
        """The ACK to our 2xx to their re-INVITE; it may bring the answer to our offer."""
        if self._repeat is None:
            return
        self._repeat.stop()
        self._repeat = None
        if self._state.open is Open.OURS and not self._state.inviting:
            answer = sdp_of(ack)
            self._state.settled(remote=answer)
            if answer is not None:
                self._core.tell(Answered(answer))

    def _take(self, request: _Request) -> None:
        """Let the owner decide, except where nothing changes: then the answer is known."""
        core, state = self._core, self._state
        if request.offer is None and request.method == "UPDATE":
            self._accept(request, None)
        elif request.offer is not None and request.offer == core.remote_sdp and core.local_sdp:
            self._accept(request, core.local_sdp)  # a refresh of the session timer
        else:
            self._request = request
            state.invited = request.method == "INVITE"
            state.open = Open.THEIRS if request.offer else Open.OURS
            request.transaction.on_cancel = lambda: self.reject(487)
            core.tell(Offered(request.offer or b"", request.method))

    def _accept(self, request: _Request, sdp: bytes | None) -> None:
        core, state = self._core, self._state
        self._request = None
        headers: Headers = [core.contact(), *core.around.allow, *core.around.supported]
        headers += answer_headers(request.timer)
        response = core.answer(request.transaction, 200, headers, sdp)
        if request.method == "INVITE":
            self._repeat_until_acknowledged(request.transaction, response)
            state.invited = False
        if request.offer is not None:
            state.settled(local=sdp, remote=request.offer)
        elif sdp is not None:
            core.local_sdp = sdp  # the answer comes with the ACK
        if request.method != "PRACK":
            self._refresh.begin(request.timer)
        state.changed()

    def _repeat_until_acknowledged(
        self, transaction: ServerTransaction, response: SipResponse
    ) -> None:
        if self._repeat is not None:
            self._repeat.stop()
        self._repeat = Repeat(self._core, lambda: transaction.respond(response), self._not_acked)

    def _not_acked(self) -> None:
        self._core.lose("no ACK came for the answer to a re-INVITE")

    def _ended(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            self._core.answer(request.transaction, 487)
        if self._repeat is not None:
            self._repeat.stop()
            self._repeat = None
