"""What becomes of a request from outside, decided before anything is kept of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Screening:
    """A verdict on a new request: `ACCEPT`, `DROP`, or `refuse(status)`."""

    status: int | None
    """None: let it in; 0: drop it without a word; else the status it is answered, statelessly."""
    headers: tuple[tuple[str, str], ...] = ()


ACCEPT = Screening(None)
DROP = Screening(0)


def refuse(status: int, *, retry_after: int | None = None) -> Screening:
    """Answer `status` without a transaction; `retry_after` seconds become Retry-After."""
    return Screening(status, () if retry_after is None else (("Retry-After", str(retry_after)),))
