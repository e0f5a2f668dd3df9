"""Calling out: our INVITE, its forks and its final response (RFC 3261 §13.2, RFC 3262)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from ivr.sip.dialog import Dialog, add, fill
from ivr.sip.digest import Attempt
from ivr.sip.endpoint import ClientTransaction, Response
from ivr.sip.errors import MalformedMessage
from ivr.sip.message import SipRequest, SipResponse, parse_address, stringify_uri
from ivr.sip.session_bodies import reason_of, sdp_of
from ivr.sip.session_core import LATE_ANSWERS, SessionCore, proof_of
from ivr.sip.session_events import Accepted, Failed, Ringing, Trying
from ivr.sip.session_offers import OfferState, Open
from ivr.sip.session_refresh import Refresh
from ivr.sip.session_repeat import PATIENCE
from ivr.sip.session_states import Input, State
from ivr.sip.timer import requires
from ivr.sip.transport import Peer

MAX_INTERVAL_RETRIES = 2  # 422s in a row: two proxies may each want more
MOST_FORKS = 32  # early dialogs of one call; further ones are not looked at until they answer
_RSEQ = re.compile(r"[0-9]{1,10}")


@dataclass(slots=True)
class _Fork:
    """One far side that answered our INVITE; the first to send a 2xx becomes the session."""

    dialog: Dialog
    rseq: int | None = None  # of the last reliable provisional response taken in order
    ack: SipRequest | None = None


@dataclass(slots=True)
class _Tries:
    """What was tried again, and how often."""

    attempt: Attempt | None = None
    intervals: int = 0
    extra: list[tuple[str, str]] = field(default_factory=list)


class OutgoingInvite:
    """The INVITE of a session we start, until its last fork is acknowledged or hung up on."""

    def __init__(self, core: SessionCore, offers: OfferState, refresh: Refresh) -> None:
        self._core = core
        self._offers = offers
        self._refresh = refresh
        self._tries = _Tries()
        self._forks: dict[str, _Fork] = {}
        self._winner: _Fork | None = None
        self._seen = 0
        self._transaction: ClientTransaction | None = None
        core.at_end.append(self._ended)

    def start(self) -> None:
        """Send the INVITE."""
        self._send()

    def dialog_of(self, remote_tag: str) -> Dialog | None:
        """The early or confirmed dialog with this far side."""
        fork = self._forks.get(remote_tag)
        return fork.dialog if fork else None

    def hears_from(self, host: str) -> bool:
        """Whether one of the far sides, or a proxy on the way to it, is there."""
        return any(host in fork.dialog.hosts() for fork in self._forks.values())

    def cancel(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Give up; the session ends with what comes of it. Again, or after the end: nothing."""
        self._core.move(Input.CANCEL)
        if self._transaction is not None:
            self._transaction.cancel(headers)

    def abandon(self, reason: str) -> None:
        """The endpoint closes: CANCEL, and end without waiting for what comes of it."""
        if self._transaction is not None:
            self._transaction.cancel()
        self._core.finish(Input.LOST, Failed(503, reason, local=True, provisional_seen=self._seen))

    @property
    def offered(self) -> bool:
        """Whether a 2xx brought an offer whose answer will go in the ACK (§13.2.2.4)."""
        return self._winner is not None and self._winner.ack is None

    def answer(self, sdp: bytes) -> None:
        """Acknowledge the 2xx with our answer to its offer."""
        assert self._winner is not None
        self._offers.settled(local=sdp)
        self._acknowledge(self._winner, sdp)

    def acknowledge_unanswered(self) -> None:
        """Hanging up instead of answering: the 2xx wants its ACK all the same."""
        if self._winner is not None and self._winner.ack is None:
            self._acknowledge(self._winner)

    def late(self, message: SipResponse, source: Peer) -> None:
        """A 2xx past its transaction: of the call that is up, or of one given up."""
        self._success(message, source)

    # -- sending ------------------------------------------------------------------------------

    def _send(self) -> None:
        core = self._core
        request = core.request
        if core.login is not None:
            for name, value in core.login.headers("INVITE", request.uri):
                request.headers.append(name, value)
        endpoint = core.around.endpoint
        self._transaction = endpoint.request(request, core.peer, partial(self._received, request))

    def _again(self) -> None:
        """The same call once more: a new CSeq, and whatever was learnt (§8.1.3.5)."""
        old = self._core.request
        request = SipRequest(method="INVITE", uri=old.uri, body=old.body)
        request.headers = old.headers.copy()
        for name in ("Via", "Authorization", "Proxy-Authorization", "Session-Expires", "Min-SE"):
            request.headers.remove(name)
        request.headers.set_single("CSeq", f"{old.cseq.seq + 1} INVITE")
        add(request, self._core.policy.request_headers(), b"", None)
        self._core.request = request
        self._forks.clear()
        self._core.dialog = None
        self._send()

    # -- receiving ----------------------------------------------------------------------------

    def _received(self, invite: SipRequest, response: Response) -> None:
        if invite is not self._core.request:
            return  # of a try that was given up for a better one
        message = response.message
        source = response.source or self._core.peer
        self._core.note_peer(message)
        if message.status_code < 200:
            self._provisional(message, source)
        elif message.status_code < 300:
            self._success(message, source)
        elif not self._core.over and self._winner is None:
            self._refused(message, local=response.source is None)

    def _provisional(self, message: SipResponse, source: Peer) -> None:
        core = self._core
        if core.over or self._winner is not None:
            return
        cancelling = core.state is State.CANCELLING
        core.move(Input.PROVISIONAL)
        if message.status_code == 100:
            if not self._seen:
                self._seen = 100
                core.tell(Trying())
            return
        if not self._in_order(message, source):
            return
        if self._seen != 180:
            self._seen = message.status_code
        if not cancelling:
            core.tell(Ringing(message.status_code, message.reason_phrase, sdp_of(message)))

    def _in_order(self, message: SipResponse, source: Peer) -> bool:
        """Note the early dialog; acknowledge a reliable response. False: not in order."""
        tag = message.to_addr.tag
        if not tag:
            return True  # RFC 2543: no early dialog
        fork = self._forks.get(tag)
        if fork is None:
            if len(self._forks) >= MOST_FORKS:
                return False
            fork = self._fork(tag, message, source)
        if not requires(message, "100rel"):
            return True
        rseq = message.headers.get_first("rseq") or ""
        if not _RSEQ.fullmatch(rseq) or (fork.rseq is not None and int(rseq) != fork.rseq + 1):
            return False  # RFC 3262 §4
        fork.rseq = int(rseq)
        if self._core.request.body and sdp_of(message):
            self._offers.settled(remote=sdp_of(message))
        rack = f"{rseq} {message.headers.get_first('cseq')}"
        self._core.ask("PRACK", lambda *_: None, [("RAck", rack)], dialog=fork.dialog)
        return True

    def _fork(self, tag: str, message: SipResponse, source: Peer) -> _Fork:
        fork = self._forks[tag] = _Fork(Dialog.as_caller(self._core.request, message, source))
        if self._core.dialog is None:
            self._core.dialog = fork.dialog
        return fork

    def _success(self, message: SipResponse, source: Peer) -> None:
        tag = message.to_addr.tag or ""
        fork = self._forks.get(tag) or self._fork(tag, message, source)
        if fork.ack is not None:
            self._core.send(fork.dialog, fork.ack)  # ours was lost
            return
        if fork is self._winner:
            return  # the answer to its offer is still being thought about
        fork.dialog.confirm(message, source)
        if self._winner is None and self._core.state in (State.CALLING, State.PROCEEDING):
            self._won(fork, message)
        else:
            self._too_late(fork)

    def _won(self, fork: _Fork, message: SipResponse) -> None:
        core = self._core
        self._winner = fork
        core.dialog = fork.dialog
        core.move(Input.SUCCESS)
        sdp = sdp_of(message)
        offered = not core.request.body
        if offered and sdp is not None:
            core.remote_sdp = sdp
            self._offers.open = Open.THEIRS
        else:
            self._offers.settled(remote=sdp)
            self._acknowledge(fork)
        self._refresh.begin(core.policy.agreed_as_client(message))
        core.tell(Accepted(sdp))

    def _too_late(self, fork: _Fork) -> None:
        """Another fork won, or we gave up: acknowledge, and hang up at once (§13.2.2.4)."""
        core = self._core
        self._acknowledge(fork)
        core.say_bye(dialog=fork.dialog)
        if core.state is State.CANCELLING:
            core.dialog = fork.dialog
            core.finish(
                Input.SUCCESS,
                Failed(
                    487,
                    "Answered while being cancelled",
                    local=True,
                    provisional_seen=self._seen,
                    answered_late=True,
                ),
            )

    def _acknowledge(self, fork: _Fork, sdp: bytes | None = None) -> None:
        invite = self._core.request
        fork.ack = fork.dialog.request("ACK", proof_of(invite), sdp or b"", seq=invite.cseq.seq)
        self._core.send(fork.dialog, fork.ack)

    def _ended(self) -> None:
        """A callee may still answer a call that failed for us: be there to hang up on it."""
        if self._winner is None and self._transaction is not None:
            core = self._core
            core.hold(LATE_ANSWERS)
            wait = PATIENCE * core.around.endpoint.timers.t1
            core.around.later(wait, lambda: core.release(LATE_ANSWERS))

    # -- refused ------------------------------------------------------------------------------

    def _refused(self, message: SipResponse, *, local: bool) -> None:
        if self._core.state is not State.CANCELLING and not local and self._try_again(message):
            return
        self._core.finish(
            Input.REFUSAL,
            Failed(
                status=message.status_code,
                reason=message.reason_phrase or reason_of(message),
                headers=_flat(message),
                local=local,
                provisional_seen=self._seen,
                redirect=_contacts(message) if 300 <= message.status_code < 400 else (),
            ),
        )

    def _try_again(self, message: SipResponse) -> bool:
        core, tries = self._core, self._tries
        if message.status_code in (401, 407) and core.login is not None:
            tries.attempt = tries.attempt or core.login.attempt()
            if not tries.attempt.accept(message):
                return False
        elif message.status_code == 422 and tries.intervals < MAX_INTERVAL_RETRIES:
            raised = core.policy.raised(message)
            if raised is None:
                return False
            core.policy = raised
            tries.intervals += 1
        else:
            return False
        self._again()
        return True


def new_invite(
    *,
    uri: str,
    from_: str,
    to: str,
    call_id: str,
    headers: Iterable[tuple[str, str]],
    sdp: bytes | None,
) -> SipRequest:
    """The first INVITE of a call. The CSeq starts low enough never to run over (§8.1.1.5)."""
    request = SipRequest(method="INVITE", uri=uri)
    fill(request, from_, to, call_id, f"{random.randrange(1, 2**16)} INVITE")
    add(request, headers, sdp or b"", None)
    return request


def _flat(message: SipResponse) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name.lower(), value) for name, values in message.headers.items() for value in values
    )


def _contacts(message: SipResponse) -> tuple[str, ...]:
    """The URIs a 3xx points to, best first (§8.1.3.4)."""
    found: list[tuple[float, str]] = []
    for value in message.headers.get("contact"):
        try:
            address = parse_address(value)
            weight = float(address.params.get("q") or 1.0)
        except (MalformedMessage, ValueError):
            continue
        found.append((weight, stringify_uri(address.uri)))
    return tuple(uri for _, uri in sorted(found, key=lambda pair: -pair[0]))
