"""One INVITE session, as its owner sees it: what may be asked of it, and the events it tells.

The work is done by its parts: `session_out` or `session_in` for the first INVITE, the two
`session_offers_…` for changes, `session_refresh` for its timer, `session_refer` for transfers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ivr.sip.endpoint import ServerTransaction
from ivr.sip.message import Address, SipRequest, SipResponse
from ivr.sip.session_bodies import DTMF, DTMF_RELAY, key_of, media_type, reason_of, sdp_of
from ivr.sip.session_core import SessionCore
from ivr.sip.session_events import Ended, Keyed, SessionEvent, SessionStateError
from ivr.sip.session_in import IncomingInvite
from ivr.sip.session_offers import OfferState
from ivr.sip.session_offers_ours import OurOffers
from ivr.sip.session_offers_theirs import TheirOffers
from ivr.sip.session_out import OutgoingInvite
from ivr.sip.session_refer import OnProgress, Transfers
from ivr.sip.session_refresh import Refresh
from ivr.sip.session_states import UNANSWERED_IN, UNANSWERED_OUT, Input
from ivr.sip.transport import Peer

KEY_BODIES = (DTMF_RELAY, DTMF)

Headers = Iterable[tuple[str, str]]


class Session:
    """A call's signalling. Made by `UserAgent`; ends with exactly one `Failed` or `Ended`."""

    def __init__(self, core: SessionCore, transaction: ServerTransaction | None = None) -> None:
        self._core = core
        self.local: Address = core.local
        self.remote: Address = core.remote
        state = OfferState(core)
        refresh = Refresh(core)
        self._theirs = TheirOffers(core, state, refresh)
        self._ours = OurOffers(core, state, refresh)
        self._transfers = Transfers(core)
        self._out: OutgoingInvite | None = None
        self._in: IncomingInvite | None = None
        if transaction is None:
            self._out = OutgoingInvite(core, state, refresh)
        else:
            self._in = IncomingInvite(core, state, self._theirs, refresh, transaction)
        self._receivers: dict[str, Callable[[ServerTransaction], None]] = {
            "INVITE": self._theirs.received,
            "UPDATE": self._theirs.received,
            "BYE": self._bye_received,
            "INFO": self._info_received,
            "PRACK": self._prack_received,
            "REFER": self._transfers.referred,
            "NOTIFY": self._transfers.notified,
            "OPTIONS": self._options_received,
        }

    # -- what it is -------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The Call-ID."""
        return self._core.call_id

    @property
    def direction(self) -> str:
        """ "in" or "out"."""
        return self._core.direction

    @property
    def request(self) -> SipRequest:
        """The INVITE, as it last left or as it came."""
        return self._core.request

    @property
    def source(self) -> Peer:
        """Where the far side's messages come from, and where the INVITE went or came from."""
        return self._core.peer

    @property
    def parting(self) -> bool:
        """Whether our BYE or CANCEL has not come to its end."""
        return self._core.parting

    def hears_from(self, host: str) -> bool:
        """Whether requests of this session may come from this address."""
        if self._core.hears_from(host):
            return True
        return self._out is not None and self._out.hears_from(host)

    @property
    def state(self) -> str:
        """calling, proceeding, cancelling, incoming, ringing, answered, up or over."""
        return self._core.state.name.lower()

    @property
    def offer(self) -> bytes | None:
        """The SDP of an incoming INVITE; None: it asks us for an offer."""
        return sdp_of(self._core.request)

    @property
    def replaces(self) -> str:
        """This session as the Replaces header of a far side's call names it (RFC 3891 §6.1)."""
        dialog = self._core.dialog
        if dialog is None:
            raise SessionStateError(f"Call {self.id} has no dialog yet that could be replaced.")
        return f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"

    @property
    def on_event(self) -> Callable[[SessionEvent], None] | None:
        """Gets every event; those from before it was set come first, when it is."""
        return self._core.listener

    @on_event.setter
    def on_event(self, listener: Callable[[SessionEvent], None]) -> None:
        self._core.listen(listener)

    # -- the first INVITE -------------------------------------------------------------------------

    def ring(
        self, status: int = 180, sdp: bytes | None = None, *, reliable: bool | None = None
    ) -> None:
        """Called in: send 101–199, with `sdp` as early media.

        `reliable` (RFC 3262): None sends it so where the caller insists, or where there is early
        media and the caller knows how; repeated every minute until a final response.
        """
        self._incoming().ring(status, sdp, reliable)

    def accept(self, sdp: bytes | None = None, headers: Headers = ()) -> None:
        """Called in: send 200. `sdp` answers their offer, or is ours where they sent none."""
        self._incoming().accept(sdp, headers)

    def reject(self, status: int, reason: str | None = None, headers: Headers = ()) -> None:
        """Called in: refuse. Accepted already, it is hung up; over, nothing happens."""
        if self._core.state in UNANSWERED_IN:
            self._incoming().reject(status, reason, list(headers))
        else:
            self.bye()

    def cancel(self, headers: Headers = ()) -> None:
        """Called out: give up. Answered already, it is hung up; over, nothing happens."""
        self.bye(headers)

    def bye(self, headers: Headers = ()) -> None:
        """End the session by what fits its state: BYE, CANCEL, or 480; over, nothing happens."""
        core = self._core
        if core.over:
            return
        if self._out is not None and core.state in UNANSWERED_OUT:
            self._out.cancel(headers)
        elif self._in is not None and core.state in UNANSWERED_IN:
            self._in.reject(480, None, list(headers))
        elif self._in is not None:
            self._in.hangup(list(headers), Ended("us"))
        else:
            self._out_hangup(list(headers))

    def _out_hangup(self, headers: list[tuple[str, str]]) -> None:
        assert self._out is not None
        self._out.acknowledge_unanswered()
        self._core.say_bye(headers)
        self._core.finish(Input.HANGUP, Ended("us"))

    def _incoming(self) -> IncomingInvite:
        if self._in is None:
            raise SessionStateError(f"Call {self.id} is our own: it is not ours to answer.")
        return self._in

    # -- while it is up ---------------------------------------------------------------------------

    async def reoffer(self, sdp: bytes) -> bytes:
        """Change the media by re-INVITE (hold, resume, move); returns their answer.

        Waits for its turn and tries again after a glare. Raises RequestRefused (nothing
        changed), SessionOver.
        """
        return await self._ours.change("INVITE", sdp) or b""

    async def update(self, sdp: bytes | None = None) -> bytes | None:
        """UPDATE (RFC 3311): as `reoffer`, also while it rings; without `sdp` a mere refresh."""
        return await self._ours.change("UPDATE", sdp)

    def answer_offer(self, sdp: bytes) -> None:
        """Accept an `Offered`, or the offer that came in `Accepted`."""
        if self._out is not None and self._out.offered:
            self._out.answer(sdp)
        else:
            self._theirs.answer(sdp)

    def reject_offer(self, status: int = 488) -> None:
        """Refuse an `Offered`; the session stays as it was. An offer in `Accepted`: hang up."""
        if self._out is not None and self._out.offered:
            self.bye()
        else:
            self._theirs.reject(status)

    async def info(self, content_type: str, body: bytes) -> int:
        """Send INFO (RFC 6086); its final status. Raises SessionOver."""
        response = await self._core.asked("INFO", body=body, content_type=content_type)
        return response.status_code

    async def refer(
        self,
        refer_to: str,
        *,
        replaces: Session | None = None,
        on_progress: OnProgress | None = None,
    ) -> int:
        """Ask the far side to call the URI `refer_to`, in place of our session `replaces`.

        Returns the last status of that call as far as we were told: below 200 its outcome is not
        known. Raises RequestRefused, SessionOver.
        """
        named = replaces.replaces if replaces else None
        return await self._transfers.refer(refer_to, named, on_progress)

    # -- what the user agent hands in -------------------------------------------------------------

    def start(self) -> None:
        """Send the INVITE of an outgoing session."""
        assert self._out is not None
        self._out.start()

    def close(self, reason: str) -> None:
        """The endpoint closes: say what can be said, and end at once."""
        if self._out is not None and self._core.state in UNANSWERED_OUT:
            self._out.abandon(reason)
        else:
            self.bye()
        self._transfers.close()

    def receive(self, transaction: ServerTransaction) -> None:
        """A request in this session's dialog."""
        core, request = self._core, transaction.request
        dialog = core.dialog
        if self._out is not None:
            dialog = self._out.dialog_of(request.from_addr.tag or "")
        if dialog is None or dialog.remote_tag != (request.from_addr.tag or ""):
            core.answer(transaction, 481)
        elif not dialog.in_order(request):
            core.answer(transaction, 500, reason="Out of Order")
        elif core.over and request.method not in ("BYE", "NOTIFY"):
            core.answer(transaction, 481)
        elif dialog is not core.dialog and request.method != "BYE":
            core.answer(transaction, 481)  # of a fork that lost
        else:
            receiver = self._receivers.get(request.method)
            if receiver is None:
                core.answer(transaction, 405, core.around.allow)
            else:
                receiver(transaction)

    def acknowledged(self, ack: SipRequest) -> None:
        """An ACK in this session's dialog."""
        if self._in is not None and ack.cseq.seq == self._core.request.cseq.seq:
            self._in.acknowledged(ack)
        else:
            self._theirs.acknowledged(ack)

    def stray(self, response: SipResponse, source: Peer) -> None:
        """A 2xx to INVITE that came after its transaction was over."""
        if self._out is not None and response.cseq.seq == self._core.request.cseq.seq:
            self._out.late(response, source)
        else:
            self._ours.repeated(response)

    def _bye_received(self, transaction: ServerTransaction) -> None:
        core, request = self._core, transaction.request
        core.answer(transaction, 200)
        if core.over:
            return
        if self._in is not None and core.state in UNANSWERED_IN:
            self._in.bye()
        elif core.can(Input.BYE):
            core.finish(Input.BYE, Ended("them", reason_of(request)))

    def _info_received(self, transaction: ServerTransaction) -> None:
        core, request = self._core, transaction.request
        if not request.body.strip():
            core.answer(transaction, 200)  # a mere sign of life
        elif media_type(request) not in KEY_BODIES:
            core.answer(transaction, 415, [("Accept", ", ".join(KEY_BODIES))])
        elif (key := key_of(request)) is None:
            core.answer(transaction, 400, reason="Not a Key")
        else:
            core.answer(transaction, 200)
            core.tell(Keyed(*key))

    def _prack_received(self, transaction: ServerTransaction) -> None:
        if self._in is not None:
            self._in.pracked(transaction)
        else:
            self._core.answer(transaction, 481)

    def _options_received(self, transaction: ServerTransaction) -> None:
        around = self._core.around
        self._core.answer(transaction, 200, [*around.allow, *around.supported])
