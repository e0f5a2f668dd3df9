"""What a trunk is, and the pure rules about it: numbers, caller IDs, rate."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

import phonenumbers

NumberFormat = Literal["plus", "e164", "national"]


@dataclass(frozen=True, slots=True)
class TrunkConfig:
    """One `[[trunk]]` of the configuration.

    `number_format` is how this carrier wants numbers: `plus` +84912…, `e164` 84912…,
    `national` 0912…; `prefix` goes in front of that (a carrier's technical prefix).
    `allow` lists addresses, besides its own, from which its calls may come. Times in seconds.
    """

    name: str
    host: str
    port: int = 5060
    transport: Literal["udp", "tcp"] = "udp"
    caller_ids: tuple[str, ...] = ()
    max_calls: int = 100
    calls_per_second: float = 10.0
    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    username: str = ""
    password: str = field(default="", repr=False)
    register: bool = False
    register_expires: int = 300
    qualify: float = 30.0  # OPTIONS every so often; 0: never, the trunk counts as up
    number_format: NumberFormat = "plus"
    prefix: str = ""
    region: str = "VN"
    failover: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()


def to_carrier(number: str, config: TrunkConfig) -> str:
    """An E.164 number as this carrier wants it; a short code or an extension as it stands."""
    if not number.startswith("+"):
        return config.prefix + number
    if config.number_format == "plus":
        return config.prefix + number
    if config.number_format == "e164":
        return config.prefix + number[1:]
    return config.prefix + _national(number, config.region)


def _national(number: str, region: str) -> str:
    """0912345678 at home; with the exit code 00 in front for any other country."""
    parsed = phonenumbers.parse(number)
    if parsed.country_code != phonenumbers.country_code_for_region(region):
        return "00" + number[1:]
    text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(filter(str.isdigit, text))


def as_user(text: str) -> str:
    """Text as the user part of a SIP URI: what has no place there is escaped (RFC 3261 §25.1).

    Whatever a number or an account is called, it cannot end the URI it stands in.

    >>> as_user("+84912345678"), as_user("me@home"), as_user(">;tag=1")
    ('+84912345678', 'me%40home', '%3E%3Btag=1')
    """
    return quote(text, safe="-_.!~*'()&=+$")


def from_carrier(user: str, config: TrunkConfig) -> str:
    """The E.164 form of a number a carrier sent; what is no number comes back as it was."""
    text = user.removeprefix(config.prefix) if config.prefix else user
    if config.number_format == "e164" and text.isdigit() and not text.startswith("0"):
        text = f"+{text}"
    try:
        parsed = phonenumbers.parse(text, config.region)
    except phonenumbers.NumberParseException:
        return user
    if not phonenumbers.is_valid_number(parsed):
        return user
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def pick_caller_id(pool: Sequence[str], key: str) -> str:
    """The caller ID of a pool that `key` (a lead, a contact) always gets.

    Rendezvous hashing: when a number joins or leaves the pool, only the leads that it wins or
    loses are shown another one. An empty pool gives "" (the carrier's own number).
    """
    return max(pool, key=lambda number: _weight(number, key), default="")


def _weight(number: str, key: str) -> bytes:
    return hashlib.blake2b(f"{number}\0{key}".encode(), digest_size=8).digest()


@dataclass(slots=True)
class TokenBucket:
    """Calls per second: `rate` tokens a second, at most `burst` saved up; begins full.

    Pure: `now` is any monotonic clock in seconds; a step back of it adds no tokens.
    """

    rate: float
    burst: float
    _tokens: float = field(init=False)
    _at: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def take(self, now: float) -> float:
        """Take one token and return 0.0, or return the seconds until there is one."""
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._tokens = min(self.burst, self._tokens + passed * self.rate)
        self._at = now
        # A hair less than one: 0.1 s of 10 a second must be a whole token in floating point.
        if self._tokens >= 1.0 - 1e-9:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self.rate
