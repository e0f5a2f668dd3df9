"""Session timers: the arithmetic and the headers of RFC 4028. Pure.

A session that is not refreshed in time is dead: this is how a server learns that the far side
has gone without a BYE. In the headers the refresher is named by its role in the transaction at
hand (uac or uas); here it is `ours`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ivr.sip.message import SipMessage

ABSOLUTE_MIN_SE = 90  # seconds; §4: no Min-SE is below this
LONGEST = 2**31 - 1

Headers = list[tuple[str, str]]


class IntervalTooSmall(Exception):
    """The peer asks for refreshes more often than we allow: answer 422 with Min-SE (§9)."""


@dataclass(frozen=True, slots=True)
class SessionTimer:
    """What was agreed: the interval in seconds, and who refreshes."""

    interval: int
    ours: bool

    @property
    def refresh_after(self) -> float:
        """When to refresh, in seconds from the last 2xx (§7.2: half the interval)."""
        return self.interval / 2

    @property
    def expire_after(self) -> float:
        """When to hang up for want of a refresh (§10): a little before the interval is over."""
        return self.interval - min(32.0, self.interval / 3)


@dataclass(frozen=True, slots=True)
class TimerPolicy:
    """What we ask for and the least we accept, in seconds. `interval` 0: no session timers."""

    interval: int = 1800
    min_se: int = ABSOLUTE_MIN_SE

    def request_headers(self, refresher: bool | None = None) -> Headers:
        """For an INVITE or UPDATE of ours. `refresher`: we, they, or (None) whoever they choose."""
        if not self.interval:
            return []
        role = "" if refresher is None else f";refresher={'uac' if refresher else 'uas'}"
        headers = [("Session-Expires", f"{self.interval}{role}")]
        if self.min_se > ABSOLUTE_MIN_SE:
            headers.append(("Min-SE", str(self.min_se)))
        return headers

    def raised(self, response: SipMessage) -> TimerPolicy | None:
        """The policy to try again with after a 422, or None where its Min-SE makes no sense."""
        least = _seconds(response.headers.get_first("min-se"))
        if least is None or least <= self.interval or not self.interval:
            return None
        return TimerPolicy(interval=least, min_se=max(self.min_se, least))

    def agreed_as_client(self, response: SipMessage) -> SessionTimer | None:
        """What a 2xx to our request settles (§7.2); None: no timer runs."""
        interval, role = _session_expires(response)
        if interval is None or not self.interval:
            return None
        return SessionTimer(max(interval, ABSOLUTE_MIN_SE), ours=role != "uas")

    def agreed_as_server(self, request: SipMessage) -> SessionTimer | None:
        """What our 2xx to their request will settle (§9); None: no timer runs.

        We run one only with a peer that knows timers: a phone that does not could take our
        refresh for a change of the call. Where the peer leaves the choice, it refreshes.
        Raises IntervalTooSmall, to be answered 422 with `refusal_headers`.
        """
        if not self.interval or not supports(request, "timer"):
            return None
        interval, role = _session_expires(request)
        if interval is not None and interval < self.min_se:
            raise IntervalTooSmall
        floor = max(self.min_se, _seconds(request.headers.get_first("min-se")) or 0)
        chosen = self.interval if interval is None else min(interval, self.interval)
        return SessionTimer(max(chosen, floor), ours=role == "uas")

    def refusal_headers(self) -> Headers:
        """For a 422."""
        return [("Min-SE", str(self.min_se))]


def answer_headers(timer: SessionTimer | None) -> Headers:
    """For a 2xx of ours. `Require: timer` where the far side has to do something (§9)."""
    if timer is None:
        return []
    role = "uas" if timer.ours else "uac"
    headers = [("Session-Expires", f"{timer.interval};refresher={role}")]
    return headers if timer.ours else [*headers, ("Require", "timer")]


def supports(message: SipMessage, option: str) -> bool:
    """Whether the sender understands an extension: named in Supported or in Require."""
    named = message.headers.get("supported") + message.headers.get("require")
    return any(option in _tokens(value) for value in named)


def requires(message: SipMessage, option: str) -> bool:
    """Whether the message names an extension in Require."""
    return any(option in _tokens(value) for value in message.headers.get("require"))


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",")]


def _session_expires(message: SipMessage) -> tuple[int | None, str]:
    value = message.headers.get_first("session-expires")
    role = ""
    for param in (value or "").lower().split(";")[1:]:
        name, _, text = param.partition("=")
        if name.strip() == "refresher":
            role = text.strip()
    return _seconds(value), role


def _seconds(value: str | None) -> int | None:
    """The leading number of a header value; a value that is no number counts as absent."""
    text = (value or "").partition(";")[0].strip()
    return min(int(text), LONGEST) if text.isascii() and text.isdigit() else None
