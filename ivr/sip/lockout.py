"""Back-off after wrong passwords: who may not even try for a while. Pure; the clock is a parameter.

Failures are counted for the *user* (from anywhere), for the *address* (as anyone) and for the
*pair* of both. Too many of one kind lock it, for longer each time. A pair that has authenticated
is judged by its own failures alone, so that neither a scanner guessing at an agent's name nor one
forgotten phone behind the office's address can lock everyone else out.

Memory is bounded: the least recently failing are forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

FAILURES_ALLOWED = {"pair": 5, "user": 20, "address": 20}  # before the first lock
FIRST_LOCK = 10.0  # seconds, doubled by every further failure
LONGEST_LOCK = 3600.0
FORGIVEN_AFTER = 3600.0  # seconds without a failure, beyond the lock
REMEMBERED = 10_000  # entries of each table

Key = tuple[str, str, str]  # kind, user, address


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0
    locked_until: float = float("-inf")


class Lockout:
    """Counts failures and says who is locked out."""

    def __init__(self, *, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._failures: OrderedDict[Key, _Failures] = OrderedDict()
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._good_addresses: dict[str, int] = {}  # address -> good pairs there

    def __len__(self) -> int:
        return len(self._failures)

    def locked(self, user: str, address: str, now: float) -> bool:
        """Whether an answer of `user` from `address` is not even to be looked at."""
        return any(self._is_locked(key, now) for key in self._judged(user, address))

    def ignores(self, address: str, now: float) -> bool:
        """Whether whatever comes from `address` is best dropped in silence: a scanner's."""
        return address not in self._good_addresses and self._is_locked(
            ("address", "", address), now
        )

    def failed(self, user: str, address: str, now: float) -> None:
        """Count a wrong answer."""
        for key in _keys(user, address):
            entry = self._failures.setdefault(key, _Failures())
            self._failures.move_to_end(key)
            if now - max(entry.last, entry.locked_until) > FORGIVEN_AFTER:
                entry.count = 0
            entry.count += 1
            entry.last = now
            over = entry.count - FAILURES_ALLOWED[key[0]]
            if over >= 0:
                entry.locked_until = now + min(LONGEST_LOCK, FIRST_LOCK * 2.0 ** min(over, 16))
        while len(self._failures) > self._remembered:
            self._failures.popitem(last=False)

    def passed(self, user: str, address: str, now: float) -> None:  # noqa: ARG002  the same shape as failed()
        """Note that `user` authenticated from `address`: the pair starts afresh."""
        self._failures.pop(("pair", user, address), None)
        pair = (user, address)
        if pair not in self._good:
            self._good_addresses[address] = self._good_addresses.get(address, 0) + 1
        self._good[pair] = None
        self._good.move_to_end(pair)
        while len(self._good) > self._remembered:
            self._forget(self._good.popitem(last=False)[0][1])

    def _forget(self, address: str) -> None:
        self._good_addresses[address] -= 1
        if not self._good_addresses[address]:
            del self._good_addresses[address]

    def _judged(self, user: str, address: str) -> tuple[Key, ...]:
        keys = _keys(user, address)
        return keys[:1] if (user, address) in self._good else keys

    def _is_locked(self, key: Key, now: float) -> bool:
        entry = self._failures.get(key)
        return entry is not None and now < entry.locked_until


def _keys(user: str, address: str) -> tuple[Key, ...]:
    return ("pair", user, address), ("user", user, ""), ("address", "", address)
