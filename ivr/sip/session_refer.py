"""Sending a call elsewhere, and being sent: REFER and its NOTIFYs (RFC 3515, RFC 3891)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from ivr.sip.endpoint import Response, ServerTransaction
from ivr.sip.errors import MalformedMessage
from ivr.sip.message import REASONS, SipRequest, parse_address, parse_params, stringify_uri
from ivr.sip.session_bodies import SIPFRAG, fragment, progress_of
from ivr.sip.session_core import SessionCore
from ivr.sip.session_events import Referred, RequestRefused, SessionOver
from ivr.sip.session_repeat import PATIENCE

EXPIRES = 60  # seconds; told in the NOTIFYs about a transfer we do

OnProgress = Callable[[int, str], None]


@dataclass(slots=True, eq=False)
class _Subscription:
    """A transfer the far side does for us; `final` is the last status it told."""

    number: int
    on_progress: OnProgress | None
    final: asyncio.Future[int]
    status: int = 0


class Transfers:
    """The transfers of one session, both ways."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self._subscriptions: dict[int, _Subscription] = {}
        core.at_end.append(self._ended)

    # -- ours -------------------------------------------------------------------------------------

    async def refer(
        self, refer_to: str, replaces: str | None, on_progress: OnProgress | None
    ) -> int:
        """Ask the far side to call `refer_to`; the last status of that call it told us.

        Below 200: it hung up or fell silent before it knew. Raises RequestRefused, SessionOver.
        """
        core = self._core
        if core.over or core.dialog is None:
            raise SessionOver(f"Call {core.call_id} is not up.")
        loop = asyncio.get_running_loop()
        subscription = _Subscription(core.dialog.local_seq + 1, on_progress, loop.create_future())
        self._subscriptions[subscription.number] = subscription
        target = refer_to if replaces is None else f"{refer_to}?Replaces={quote(replaces, safe='')}"
        us = f"<{stringify_uri(core.local.uri)}>"
        headers = [core.contact(), ("Refer-To", f"<{target}>"), ("Referred-By", us)]
        core.hold(f"refer {subscription.number}")
        core.ask("REFER", partial(self._refer_answered, subscription), headers)
        return await subscription.final

    def _refer_answered(
        self, subscription: _Subscription, response: Response, request: SipRequest
    ) -> None:
        message = response.message
        if message.status_code < 200 or subscription.final.done():
            return
        if message.status_code < 300:
            self._rename(subscription, request.cseq.seq)
            return
        refused = RequestRefused("REFER", message.status_code, message.reason_phrase)
        subscription.final.set_exception(refused)
        self._close(subscription)
        self._core.check_alive(message)

    def _rename(self, subscription: _Subscription, number: int) -> None:
        """Sent again with credentials it has another CSeq, by which NOTIFYs name it."""
        before, subscription.number = subscription.number, number
        if before != number:
            self._subscriptions[number] = self._subscriptions.pop(before)
            self._core.hold(f"refer {number}")
            self._core.release(f"refer {before}")

    def notified(self, transaction: ServerTransaction) -> None:
        """A NOTIFY: how the transfer goes."""
        core, request = self._core, transaction.request
        event = (request.headers.get_first("event") or "").partition(";")
        if event[0].strip().lower() != "refer":
            core.answer(transaction, 489)
            return
        subscription = self._named(event[2])
        if subscription is None:
            core.answer(transaction, 481)
            return
        core.answer(transaction, 200)
        self._tell(subscription, request)

    def _named(self, params: str) -> _Subscription | None:
        number = parse_params(params).get("id") or ""
        if number.isascii() and number.isdigit() and int(number) in self._subscriptions:
            return self._subscriptions[int(number)]
        return next(iter(self._subscriptions.values()), None)

    def _tell(self, subscription: _Subscription, request: SipRequest) -> None:
        progress = progress_of(request)
        if progress is not None:
            subscription.status = progress[0]
            if subscription.on_progress is not None:
                subscription.on_progress(*progress)
        state = (request.headers.get_first("subscription-state") or "").strip().lower()
        if subscription.status >= 200 or state.startswith("terminated"):
            self._close(subscription)

    def _close(self, subscription: _Subscription) -> None:
        if self._subscriptions.pop(subscription.number, None) is None:
            return
        if not subscription.final.done():
            subscription.final.set_result(subscription.status)
        self._core.release(f"refer {subscription.number}")

    def _ended(self) -> None:
        """Many hang up as soon as they took a transfer on, and tell how it went after that."""
        wait = PATIENCE * self._core.around.endpoint.timers.t1
        for subscription in self._subscriptions.values():
            self._core.around.later(wait, partial(self._close, subscription))

    def close(self) -> None:
        """Nothing more will be heard."""
        for subscription in list(self._subscriptions.values()):
            self._close(subscription)

    # -- theirs -----------------------------------------------------------------------------------

    def referred(self, transaction: ServerTransaction) -> None:
        """A REFER: the owner decides."""
        core, request = self._core, transaction.request
        targets = request.headers.get("refer-to")
        try:
            uri = parse_address(targets[0]).uri if len(targets) == 1 else None
        except MalformedMessage:
            uri = None
        if uri is None:
            core.answer(transaction, 400, reason="Refer-To Missing or Malformed")
            return
        taken = _Taken(core, transaction)
        core.tell(
            Referred(
                refer_to=stringify_uri(uri),
                referred_by=request.headers.get_first("referred-by"),
                notify=taken.notify,
                accept=taken.accept,
                reject=taken.reject,
            )
        )


class _Taken:
    """A transfer we are asked for: the implicit subscription of RFC 3515 §2.4."""

    def __init__(self, core: SessionCore, transaction: ServerTransaction) -> None:
        self._core = core
        self._transaction = transaction
        self._open = False

    def accept(self) -> None:
        """202, and the first NOTIFY, which is due at once (§2.4.4)."""
        if not self._transaction.answered:
            self._open = True
            self._core.answer(self._transaction, 202, [self._core.contact()])
            self.notify(100, "Trying")

    def reject(self, status: int) -> None:
        """We will not."""
        self._core.answer(self._transaction, status)

    def notify(self, status: int, reason: str = "") -> None:
        """Tell how the call goes; after a final status nothing more is told."""
        if not self._open:
            return
        self._open = status < 200
        state = f"active;expires={EXPIRES}" if self._open else "terminated;reason=noresource"
        headers = [
            self._core.contact(),
            ("Event", f"refer;id={self._transaction.request.cseq.seq}"),
            ("Subscription-State", state),
        ]
        body = fragment(status, reason or REASONS.get(status, ""))
        self._core.ask("NOTIFY", lambda *_: None, headers, body, SIPFRAG)
