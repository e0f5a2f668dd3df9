"""The registrar: takes REGISTERs of users who prove themselves, and knows where they are (§10.3).

Section numbers are RFC 3261's. Reading the request and the order of the checks is here; whether
the user is who he says is `ivr.sip.authenticator`'s, what a binding is `ivr.sip.bindings`'.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ivr.sip.authenticator import Authenticator, Challenged, Granted, Secret
from ivr.sip.bindings import Binding, Bindings, Contact, OutOfOrder
from ivr.sip.endpoint import ACCEPT, DROP, Screening
from ivr.sip.errors import MalformedMessage
from ivr.sip.message import (
    Address,
    SipRequest,
    SipResponse,
    make_response,
    parse_address,
    stringify_uri,
)

if TYPE_CHECKING:
    from ivr.sip.endpoint import ServerTransaction
    from ivr.sip.transport import Peer

MIN_EXPIRES = 30  # seconds; refreshing more often than this is refused with 423
MAX_EXPIRES = 3600
DEFAULT_EXPIRES = 3600  # §10.2: when the phone names none, or none that can be read

Headers = tuple[tuple[str, str], ...]


class _Refused(Exception):
    def __init__(self, status: int, reason: str | None = None, headers: Headers = ()) -> None:
        super().__init__(status)
        self.status = status
        self.reason = reason
        self.headers = headers


class Registrar:
    """Answers REGISTER and finds the users' phones.

    `users` finds the secret of a user for `realm`; it is called on the event loop and must not
    block. Give `authenticator` to share nonces and lock-outs with INVITEs. Expiries are clamped
    to `max_expires` and refused below `min_expires`, both in seconds. Path (RFC 3327) is not
    supported: a request that requires it is refused, one that merely carries it is taken, since
    the binding leads back to the source of the request anyway.
    """

    def __init__(
        self,
        users: Callable[[str], Secret | None],
        realm: str,
        *,
        authenticator: Authenticator | None = None,
        min_expires: int = MIN_EXPIRES,
        max_expires: int = MAX_EXPIRES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.authenticator = authenticator or Authenticator(users, realm)
        self.bindings = Bindings()
        self._min_expires = min_expires
        self._max_expires = max_expires
        self.clock = clock

    def handle(self, transaction: ServerTransaction) -> None:
        """Answer a REGISTER."""
        transaction.respond(self.answer(transaction.request, transaction.source))

    def screen(self, request: SipRequest, source: Peer) -> Screening:
        """Say what becomes of a new request before there is a transaction: an endpoint's `screen`.

        A REGISTER without credentials is challenged statelessly (§22.1), and what a locked-out
        address sends is dropped in silence: a scanner costs no memory, and learns nothing.
        """
        now = self.clock()
        if self.authenticator.lockout.ignores(source.host, now):
            return DROP
        if request.method != "REGISTER" or request.headers.get("authorization"):
            return ACCEPT
        verdict = self._check(request, source, now)
        return Screening(401, verdict.headers) if isinstance(verdict, Challenged) else ACCEPT

    def lookup(self, user: str) -> list[Binding]:
        """Return where `user` can be called now, in the order to try; empty if nowhere.

        A contact that is no SIP address (RFC 3665 §2.2 registers a mailto) is kept, not called.
        """
        bindings = self.bindings.of(user, self.clock())
        return [binding for binding in bindings if binding.uri.startswith(("sip:", "sips:"))]

    def answer(self, request: SipRequest, source: Peer) -> SipResponse:
        """Decide on a REGISTER that came from `source`, and change the bindings accordingly."""
        now = self.clock()
        try:
            user = self._authorise(request, source, now)
            self._register(user, request, source, now)
        except _Refused as refused:
            return make_response(request, refused.status, refused.reason, headers=refused.headers)
        return make_response(request, 200, headers=self._current(user, now))

    def _authorise(self, request: SipRequest, source: Peer, now: float) -> str:
        """Steps 3 and 4: who is it, and may he change what To names."""
        verdict = self._check(request, source, now)
        if isinstance(verdict, Challenged):
            raise _Refused(401, headers=verdict.headers)
        if unquote(request.to_addr.uri.user or "") != verdict.user:
            raise _Refused(403)
        return verdict.user

    def _check(self, request: SipRequest, source: Peer, now: float) -> Granted | Challenged:
        return self.authenticator.check(
            request.method,
            request.uri,
            request.headers.get("authorization"),
            source=source.host,
            now=now,
        )

    def _register(self, user: str, request: SipRequest, source: Peer, now: float) -> None:
        """Steps 2, 6 and 7. A REGISTER without a Contact only asks (§10.2.3)."""
        if required := request.headers.get("require"):
            raise _Refused(420, headers=(("Unsupported", ", ".join(required)),))
        call_id, cseq = request.call_id, request.cseq.seq
        values = request.headers.get("contact")
        try:
            if "*" in values:
                _check_star(values, request)
                self.bindings.clear(user, call_id=call_id, cseq=cseq, now=now)
            else:
                self.bindings.update(
                    user,
                    self._contacts(values, request),
                    peer=source,
                    call_id=call_id,
                    cseq=cseq,
                    now=now,
                    user_agent=request.headers.get_first("user-agent") or "",
                )
        except OutOfOrder:
            raise _Refused(500, "CSeq Out Of Order") from None

    def _contacts(self, values: Iterable[str], request: SipRequest) -> list[Contact]:
        default = _seconds(request.headers.get_first("expires"), DEFAULT_EXPIRES)
        return [self._contact(value, default) for value in values]

    def _contact(self, value: str, default: int) -> Contact:
        try:
            address = parse_address(value)
        except MalformedMessage as error:
            raise _Refused(400, "Malformed Contact") from error
        expires = _seconds(address.params.get("expires"), default)
        if 0 < expires < self._min_expires:
            raise _Refused(423, headers=(("Min-Expires", str(self._min_expires)),))
        return Contact(stringify_uri(address.uri), min(expires, self._max_expires), _q(address))

    def _current(self, user: str, now: float) -> Headers:
        """Step 8: every binding there is, with the time it has left."""
        contacts = (
            ("Contact", f"<{binding.uri}>;expires={math.ceil(binding.expires_at - now)}")
            for binding in self.bindings.of(user, now)
        )
        return (*contacts, ("Date", formatdate(usegmt=True)))


def _check_star(values: list[str], request: SipRequest) -> None:
    """`*` must stand alone, and only to remove (§10.2.2)."""
    if len(values) > 1 or _seconds(request.headers.get_first("expires"), -1) != 0:
        raise _Refused(400, "Contact * Needs Expires: 0 And No Other Contact")


def _seconds(text: str | None, default: int) -> int:
    """Read delta-seconds; what cannot be read counts as absent (§10.2.1.1)."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else default


def _q(address: Address) -> float:
    """Read the preference, 0 to 1 (§20.10); nonsense counts as none given."""
    try:
        return min(1.0, max(0.0, float(address.params.get("q") or 1.0)))
    except ValueError:
        return 1.0
