"""Being called: their INVITE, our provisional and final responses (RFC 3261 §13.3, RFC 3262)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from ivr.sip.dialog import Dialog
from ivr.sip.endpoint import ServerTransaction
from ivr.sip.message import REASONS, SipRequest, SipResponse
from ivr.sip.session_bodies import sdp_of
from ivr.sip.session_core import SessionCore
from ivr.sip.session_events import Accepted, Ended, Failed, SessionStateError
from ivr.sip.session_offers import OfferState
from ivr.sip.session_offers_theirs import TheirOffers
from ivr.sip.session_refresh import Refresh
from ivr.sip.session_repeat import Repeat
from ivr.sip.session_states import UNANSWERED_IN, Input, State
from ivr.sip.timer import answer_headers, requires, supports
from ivr.sip.transaction import EndReason

RING_AGAIN = 60.0  # seconds; §13.3.1.1: proxies drop a call that is silent for three minutes
FIRST_RSEQ = 2**31 - 1  # RFC 3262 §3: the first RSeq is chosen up to here


@dataclass(slots=True)
class _Provisional:
    """A provisional response that goes out, or waits for the one before to be acknowledged."""

    status: int
    sdp: bytes | None


@dataclass(slots=True)
class _Final:
    """A 2xx that waits until every answer in a provisional response is acknowledged."""

    sdp: bytes | None
    headers: list[tuple[str, str]]


class IncomingInvite:
    """The INVITE of a session they start, until it is acknowledged or refused."""

    def __init__(
        self,
        core: SessionCore,
        offers: OfferState,
        theirs: TheirOffers,
        refresh: Refresh,
        transaction: ServerTransaction,
    ) -> None:
        self._core = core
        self._offers = offers
        self._theirs = theirs
        self._refresh = refresh
        self._transaction = transaction
        self._dialog = Dialog.as_callee(core.request, core.local_tag, transaction.source)
        self._rseq = random.randrange(1, FIRST_RSEQ)
        self._queue: deque[_Provisional] = deque()
        self._unacknowledged: tuple[_Provisional, Repeat] | None = None
        self._final: _Final | None = None
        self._repeat: Repeat | None = None
        self._bye_waits: list[tuple[str, str]] | None = None
        core.dialog = self._dialog
        core.remote_sdp = sdp_of(core.request)
        core.note_peer(core.request)
        core.at_end.append(self._ended)
        transaction.on_cancel = self._cancelled
        transaction.on_end = self._transaction_over
        self._expire()

    # -- what the owner asks for ----------------------------------------------------------------

    def ring(self, status: int, sdp: bytes | None, reliable: bool | None) -> None:
        """Send 101–199. `reliable` None: as far as it is asked for, or early media is worth it."""
        if not 100 < status < 200:
            raise SessionStateError(f"{status} is not a provisional status between 101 and 199.")
        core = self._core
        if core.over:
            return
        core.move(Input.RING)
        invite = core.request
        must = requires(invite, "100rel")
        wanted = sdp is not None if reliable is None else reliable
        if must or (wanted and supports(invite, "100rel")):
            self._queue.append(_Provisional(status, sdp))
            self._next_provisional()
        else:
            self._respond(status, sdp)
        core.after("ring", RING_AGAIN, lambda: self.ring(status, sdp, reliable))

    def accept(self, sdp: bytes | None, headers: Iterable[tuple[str, str]]) -> None:
        """Send 200, and repeat it until the ACK."""
        core = self._core
        if core.state not in UNANSWERED_IN or self._final is not None:
            raise SessionStateError(
                f"Call {core.call_id} cannot be accepted: it is {core.state.name.lower()}."
            )
        core.stop("ring")
        self._queue.clear()
        self._final = _Final(sdp, list(headers))
        self._try_final()

    def reject(self, status: int, reason: str | None, headers: list[tuple[str, str]]) -> None:
        """Refuse with 300–699."""
        if not 300 <= status < 700:
            raise SessionStateError(f"{status} is not a status a call can be refused with.")
        if self._core.over:
            return
        phrase = reason or REASONS.get(status, "")
        self._refuse(Input.REJECT, status, phrase, headers, local=True)

    def hangup(self, headers: list[tuple[str, str]], event: Ended) -> None:
        """BYE; before the ACK it has to wait for that (§15)."""
        core = self._core
        if core.state is State.ANSWERED:
            core.hold("ack")
            self._bye_waits = headers
        else:
            core.say_bye(headers)
        core.finish(Input.HANGUP, event)

    # -- what comes in --------------------------------------------------------------------------

    def acknowledged(self, ack: SipRequest) -> None:
        """The ACK to our 2xx."""
        core = self._core
        if self._repeat is not None:
            self._repeat.stop()
        if core.over:
            self._release_bye()
        elif core.state is State.ANSWERED:
            core.move(Input.ACK)
            answer = None if sdp_of(core.request) else sdp_of(ack)
            self._offers.settled(remote=answer)
            core.tell(Accepted(answer))

    def pracked(self, transaction: ServerTransaction) -> None:
        """PRACK: 200 where it acknowledges what is waiting, else 481 (RFC 3262 §3)."""
        core = self._core
        rack = (transaction.request.headers.get_first("rack") or "").split()
        expected = [str(self._rseq), str(core.request.cseq.seq), "INVITE"]
        if self._unacknowledged is None or rack != expected:
            core.answer(transaction, 481)
            return
        sent, repeat = self._unacknowledged
        repeat.stop()
        self._unacknowledged = None
        self._theirs.pracked(transaction, offered=sent.sdp is not None and not core.remote_sdp)
        self._next_provisional()
        self._try_final()

    def bye(self) -> None:
        """The caller hangs up before our answer (§15.1.2)."""
        self._refuse(Input.BYE, 487, "Hung up by the caller", [], local=False)

    def _cancelled(self) -> None:
        if self._core.state in UNANSWERED_IN:
            self._refuse(Input.CANCELLED, 487, "Cancelled by the caller", [], local=False)

    def _transaction_over(self, why: EndReason) -> None:
        core = self._core
        if core.state in UNANSWERED_IN:
            failed = Failed(503, f"The answer could not be sent ({why.value})", local=True)
            core.finish(Input.LOST, failed)

    def _expire(self) -> None:
        """The caller's own limit on its invitation (§13.3.1), where it states one."""
        value = self._core.request.headers.get_first("expires") or ""
        if value.isascii() and value.isdigit():
            limit = float(min(int(value), 2**31))
            self._core.after("expires", limit, lambda: self._timed_out("Expired"))

    def _timed_out(self, why: str) -> None:
        if self._core.state in UNANSWERED_IN:
            self._refuse(Input.CANCELLED, 487, why, [], local=True)

    # -- provisional responses --------------------------------------------------------------------

    def _next_provisional(self) -> None:
        """Send the next reliable response: one at a time, in order (RFC 3262 §3)."""
        if self._unacknowledged is not None or not self._queue or self._core.over:
            return
        provisional = self._queue.popleft()
        self._rseq += 1
        extra = [("Require", "100rel"), ("RSeq", str(self._rseq))]
        response = self._respond(provisional.status, provisional.sdp, extra)
        repeat = Repeat(
            self._core,
            lambda: self._repeat_provisional(response),
            self._not_pracked,
            capped=False,
        )
        self._unacknowledged = (provisional, repeat)
        if provisional.sdp is not None and sdp_of(self._core.request):
            self._offers.settled(local=provisional.sdp)

    def _repeat_provisional(self, response: SipResponse) -> None:
        if not self._transaction.answered:
            self._transaction.respond(response)

    def _not_pracked(self) -> None:
        if self._core.state in UNANSWERED_IN:
            self._refuse(Input.LOST, 504, "No PRACK came", [], local=True)

    def _respond(
        self, status: int, sdp: bytes | None, extra: list[tuple[str, str]] | None = None
    ) -> SipResponse:
        core = self._core
        headers = [core.contact(), *core.around.allow, *(extra or [])]
        return core.answer(self._transaction, status, headers, sdp)

    # -- the final response -----------------------------------------------------------------------

    def _try_final(self) -> None:
        """Send the 2xx, unless an answer in a provisional response is still on its way."""
        final = self._final
        if final is None or self._core.state not in UNANSWERED_IN:
            return
        if self._unacknowledged is not None:
            sent, repeat = self._unacknowledged
            if sent.sdp is not None:
                return
            repeat.stop()
            self._unacknowledged = None
        self._send_final(final)

    def _send_final(self, final: _Final) -> None:
        core = self._core
        core.stop("expires")
        core.move(Input.ACCEPT)
        if final.sdp is not None:
            core.local_sdp = final.sdp
        if sdp_of(core.request):
            self._offers.settled(local=final.sdp)
        timer = self._refresh.agreed(core.request)
        headers = [
            core.contact(),
            *core.around.allow,
            *core.around.supported,
            *answer_headers(timer),
            *final.headers,
        ]
        response = core.answer(self._transaction, 200, headers, final.sdp)
        self._dialog.confirmed = True
        self._repeat = Repeat(core, lambda: self._transaction.respond(response), self._unanswered)
        self._refresh.begin(timer)

    def _unanswered(self) -> None:
        """Nobody acknowledged our 2xx in 64*T1: hang up (§13.3.1.4)."""
        if self._core.over:
            self._release_bye()
        else:
            self._core.lose("no ACK came for the answer")

    def _release_bye(self) -> None:
        if self._bye_waits is not None:
            headers, self._bye_waits = self._bye_waits, None
            self._core.say_bye(headers)
            self._core.release("ack")

    # -- the end ----------------------------------------------------------------------------------

    def _refuse(
        self,
        what: Input,
        status: int,
        reason: str,
        headers: list[tuple[str, str]],
        *,
        local: bool,
    ) -> None:
        core = self._core
        phrase = reason if what is Input.REJECT else None
        core.answer(self._transaction, status, headers, reason=phrase)
        core.finish(what, Failed(status, reason, tuple(headers), local=local))

    def _ended(self) -> None:
        self._queue.clear()
        if self._unacknowledged is not None:
            self._unacknowledged[1].stop()
            self._unacknowledged = None
        if self._repeat is not None and self._bye_waits is None:
            self._repeat.stop()
