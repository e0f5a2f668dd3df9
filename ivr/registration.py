"""What a trunk makes of the answers to its REGISTERs (RFC 3261 §10.2): pure rules."""

from __future__ import annotations

from ivr.sip.errors import MalformedMessage
from ivr.sip.message import Address, SipResponse, SipUri, parse_address

RETRY_FIRST, RETRY_MOST = 5.0, 600.0  # seconds between failed REGISTERs, doubling
REFRESH_AT = 0.75  # of the registration's life
SOONEST = 1.0  # second between refreshes, whatever little the registrar grants
LONGEST = 86_400  # seconds; a registration granted for longer is refreshed all the same


def back_off(failures: int, chance: float) -> float:
    """Seconds until the next REGISTER after so many failures; `chance` in [0, 1) spreads them.

    Doubling with a random half, as RFC 5626 §4.5 has it, so that a carrier coming back is not
    met by all its customers in one second.
    """
    most = min(RETRY_MOST, RETRY_FIRST * 2.0 ** min(failures - 1, 20))
    return most * (0.5 + chance / 2)


def refresh_after(granted: int) -> float:
    """Seconds from a 200 to the next REGISTER."""
    return max(SOONEST, granted * REFRESH_AT)


def granted_expires(response: SipResponse, ours: SipUri, *, default: int) -> int:
    """The seconds a 200 grants to our Contact; a registrar lists other phones' as well (§10.3).

    Where it wrote our Contact in another way the shortest life it names is believed; where it
    names none, its Expires header, else what we asked for.
    """
    contacts = _contacts(response)
    mine = [one for one in contacts if _same(one.uri, ours)]
    lives = [_seconds(one.params.get("expires")) for one in mine or contacts]
    named = [life for life in lives if life is not None]
    if named:
        return min(named)
    header = _seconds(response.headers.get_first("expires"))
    return default if header is None else header


def longer_expires(response: SipResponse, asked: int) -> int | None:
    """What a 423 wants to be asked for (§10.2.8); None where that makes no sense."""
    least = _seconds(response.headers.get_first("min-expires"))
    return least if response.status_code == 423 and least is not None and least > asked else None


def _contacts(response: SipResponse) -> list[Address]:
    found = []
    for value in response.headers.get("contact"):
        try:
            found.append(parse_address(value))
        except MalformedMessage:
            continue
    return found


def _same(one: SipUri, other: SipUri) -> bool:
    return (one.user, one.host.lower(), one.port) == (other.user, other.host.lower(), other.port)


def _seconds(text: str | None) -> int | None:
    text = (text or "").strip()
    readable = text.isascii() and text.isdigit() and len(text) <= 10
    return min(int(text), LONGEST) if readable else None
