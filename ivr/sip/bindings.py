"""Who can be reached where: the bindings a registrar keeps (RFC 3261 §10.3). Pure, in memory.

A binding lives until its time is over; the expired are dropped when their user is next looked
at, so 2,000 phones cost nothing between their refreshes. Only registered users take memory, and
each at most `contacts_per_user` bindings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ivr.sip.message import SipUri, parse_uri

if TYPE_CHECKING:
    from ivr.sip.transport import Peer

CONTACTS_PER_USER = 10
_Key = tuple[str, str | None, str, int | None, str | None]


class OutOfOrder(Exception):
    """An older REGISTER arrived after a newer one of the same client: it changes nothing."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What a REGISTER asks for one contact: `expires` seconds from now, 0 to remove it."""

    uri: str
    expires: int
    q: float = 1.0


@dataclass(frozen=True, slots=True)
class Binding:
    """One place a user is reachable at.

    `uri` is what the phone calls itself; `peer` is where its REGISTER really came from, which
    behind NAT is the only address that leads back to it. `expires_at` is in the caller's clock.
    """

    uri: str
    peer: Peer
    expires_at: float
    call_id: str
    cseq: int
    q: float = 1.0
    user_agent: str = ""


class Bindings:
    """The bindings of every user. `now` must come from one clock that does not step."""

    def __init__(self, *, contacts_per_user: int = CONTACTS_PER_USER) -> None:
        self._contacts_per_user = contacts_per_user
        self._of: dict[str, list[Binding]] = {}  # the latest first

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def users(self) -> list[str]:
        """Return everyone who registered, the lapsed not yet swept included."""
        return list(self._of)

    def of(self, user: str, now: float) -> list[Binding]:
        """Return the bindings of `user` in the order to try them: by q, then the latest first."""
        # A stable sort: among equals the latest stay first.
        return sorted(self._alive(user, now), key=lambda binding: -binding.q)

    def update(
        self,
        user: str,
        contacts: Iterable[Contact],
        *,
        peer: Peer,
        call_id: str,
        cseq: int,
        now: float,
        user_agent: str = "",
    ) -> None:
        """Add, refresh or remove contacts, all or none (§10.3 step 7).

        Beyond the most a user may have, the binding refreshed longest ago gives way: a phone
        that restarts on new ports must not lock itself out. Raises OutOfOrder.
        """
        kept = {_key(binding.uri): binding for binding in self._alive(user, now)}
        fresh: dict[_Key, Binding] = {}
        for contact in contacts:
            key = _key(contact.uri)
            _check_order(kept.pop(key, None), call_id, cseq)
            if contact.expires:
                expires_at = now + contact.expires
                fresh[key] = Binding(
                    contact.uri, peer, expires_at, call_id, cseq, contact.q, user_agent
                )
        self._put(user, [*fresh.values(), *kept.values()][: self._contacts_per_user])

    def clear(self, user: str, *, call_id: str, cseq: int, now: float) -> None:
        """Remove every binding of `user` (`Contact: *`, §10.3 step 6). Raises OutOfOrder."""
        for binding in self._alive(user, now):
            _check_order(binding, call_id, cseq)
        self._put(user, [])

    def _alive(self, user: str, now: float) -> list[Binding]:
        """Return what has not expired, the latest first; the rest is forgotten here."""
        alive = [binding for binding in self._of.get(user, ()) if binding.expires_at > now]
        self._put(user, alive)
        return alive

    def _put(self, user: str, bindings: list[Binding]) -> None:
        if bindings:
            self._of[user] = bindings
        else:
            self._of.pop(user, None)


def _check_order(binding: Binding | None, call_id: str, cseq: int) -> None:
    if binding is not None and binding.call_id == call_id and cseq <= binding.cseq:
        raise OutOfOrder


def _key(uri: str) -> _Key:
    """What makes two contact URIs the same (§19.1.4), of the parts that say where it leads."""
    parsed: SipUri = parse_uri(uri)
    transport = parsed.params.get("transport")
    return (
        parsed.scheme,
        parsed.user,
        parsed.host.lower(),
        parsed.port,
        transport.lower() if transport else None,
    )
