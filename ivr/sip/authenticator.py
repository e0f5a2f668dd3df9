"""Server-side digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), without any I/O.

Three things decide whether a request may pass:

1. The *digest*: the answer to a challenge of ours, computed from the user's secret. Users we do
   not know are checked against a secret nobody has, so that they take the same path, and the same
   time, as a wrong password.
2. The *nonce*: it carries its own time and a MAC, so that challenging costs no memory. Only the
   nonces that authenticated something are remembered, with their highest count, so that no answer
   is good twice (RFC 7616 §3.4.6).
3. The *lock-out*: see `ivr.sip.lockout`. While it lasts every answer is a plain challenge.

Whatever is wrong, the answer is the same challenge; only a right digest over a nonce that has had
its day is told so (`stale=true`), and that only a holder of the secret can produce.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ivr.sip.errors import MalformedMessage
from ivr.sip.lockout import Lockout
from ivr.sip.message import parse_auth, parse_uri

ALGORITHMS = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}  # in our order of preference
NONCE_LIFETIME = 300.0  # seconds; a phone refreshing every minute reuses it four times
NONCES_REMEMBERED = 20_000
LONGEST_USER = 128  # characters; more is an attack on memory
_NC = re.compile(r"[0-9a-fA-F]{8}")
_MAC_BYTES = 16
_NONCE_BYTES = 8 + 8 + _MAC_BYTES  # issued at (µs), random, MAC


@dataclass(frozen=True, slots=True)
class Secret:
    """What proves a user: the digests of `user:realm:password` (A1), never the password itself."""

    sha256: str = field(repr=False)
    md5: str = field(repr=False)

    @classmethod
    def of(cls, user: str, realm: str, password: str) -> Secret:
        """Compute the secret of `user` in `realm`."""
        a1 = f"{user}:{realm}:{password}"
        return cls(_hash("SHA-256", a1), _hash("MD5", a1))

    def a1(self, algorithm: str) -> str:
        """Return H(A1) under `algorithm`, one of ALGORITHMS."""
        return self.sha256 if algorithm == "SHA-256" else self.md5


@dataclass(frozen=True, slots=True)
class Granted:
    """The request comes from `user`."""

    user: str


@dataclass(frozen=True, slots=True)
class Challenged:
    """The request must be answered 401 with these headers."""

    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The parameters of an Authorization header, as far as they are needed."""

    user: str
    nonce: str
    uri: str
    response: str
    algorithm: str
    cnonce: str
    nc: int  # 0: answered without qop, as before RFC 2617


class Authenticator:
    """Decides which requests come from a user, and challenges the others.

    `secrets_of` finds a user's secret for `realm`. `legacy` admits answers without `qop` (RFC 2069:
    old phones); a nonce so answered is good once only, so that replay stays impossible. Times are
    seconds of any clock that does not step, the same one in every call.
    """

    def __init__(
        self,
        secrets_of: Callable[[str], Secret | None],
        realm: str,
        *,
        legacy: bool = False,
        nonce_lifetime: float = NONCE_LIFETIME,
        nonces_remembered: int = NONCES_REMEMBERED,
        lockout: Lockout | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.realm = realm
        self.lockout = lockout if lockout is not None else Lockout()
        self._secrets_of = secrets_of
        self._legacy = legacy
        self._random = random
        self._nonces = Nonces(random(32), nonce_lifetime, nonces_remembered)
        self._nobody = Secret.of("", realm, random(32).hex())

    def check(
        self, method: str, uri: str, authorization: Iterable[str], *, source: str, now: float
    ) -> Granted | Challenged:
        """Decide on a request `method uri` from the host `source` with these Authorization values.

        >>> Authenticator({}.get, "example.net").check("REGISTER", "sip:x", [], source="", now=0)
        ... # doctest: +ELLIPSIS
        Challenged(headers=(('WWW-Authenticate', 'Digest realm="example.net", nonce=...
        """
        values = list(authorization)
        if not values:
            return self._challenge(now)
        answer = next(filter(None, (read_answer(v, self.realm) for v in values)), None)
        if answer is None:  # credentials for another realm, or no credentials at all
            self.lockout.failed("", source, now)
            return self._challenge(now)
        if self.lockout.locked(answer.user, source, now):
            return self._challenge(now)
        if not self._proves(answer, method, uri):
            self.lockout.failed(answer.user, source, now)
            return self._challenge(now)
        if not self._nonces.spend(answer.nonce, answer.nc, now):
            return self._challenge(now, stale=True)
        self.lockout.passed(answer.user, source, now)
        return Granted(answer.user)

    def _proves(self, answer: Answer, method: str, uri: str) -> bool:
        """Whether the digest is right (RFC 7616 §3.4.1). Takes as long for users nobody knows."""
        secret = self._secrets_of(answer.user)
        expected = digest(answer, method, (secret or self._nobody).a1(answer.algorithm))
        right = hmac.compare_digest(expected.encode(), answer.response.encode())
        allowed = (answer.nc > 0 or self._legacy) and same_resource(answer.uri, uri)
        return right and allowed and secret is not None

    def _challenge(self, now: float, *, stale: bool = False) -> Challenged:
        """Offer SHA-256, then MD5 (RFC 8760 §2.3), over one nonce."""
        nonce = self._nonces.issue(self._random(8), now)
        tail = ", stale=true" if stale else ""
        return Challenged(
            tuple(
                (
                    "WWW-Authenticate",
                    f'Digest realm="{self.realm}", nonce="{nonce}", algorithm={algorithm}, '
                    f'qop="auth"{tail}',
                )
                for algorithm in ALGORITHMS
            )
        )


class Nonces:
    """Nonces that prove their own age, and the memory of those already used.

    At most `remembered` used ones are kept. When more are in use the oldest is forgotten, and every
    nonce not younger than it stops being good: forgetting may cost a phone one more challenge, and
    never lets an answer pass twice.
    """

    def __init__(self, key: bytes, lifetime: float, remembered: int) -> None:
        self._key = key
        self._lifetime = lifetime
        self._remembered = remembered
        self._highest: dict[str, int] = {}  # nonce -> highest count seen, in order of first use
        self._forgotten = float("-inf")  # the issue time of the youngest nonce forgotten

    def __len__(self) -> int:
        return len(self._highest)

    def issue(self, random: bytes, now: float) -> str:
        """Make a nonce from 8 random bytes."""
        stamped = int(now * 1e6).to_bytes(8, "big", signed=True) + random
        return urlsafe_b64encode(stamped + self._mac(stamped)).decode().rstrip("=")

    def spend(self, nonce: str, nc: int, now: float) -> bool:
        """Use a nonce with this count; False if it is foreign, too old, or the count is not new.

        A count of 0 (an answer without qop) uses the nonce up.
        """
        issued = self._issued(nonce)
        if issued is None or not 0 <= now - issued <= self._lifetime:
            return False
        highest = self._highest.get(nonce)
        if highest is None:
            if issued <= self._forgotten:
                return False
            self._make_room(now)
        elif nc <= highest:
            return False
        self._highest[nonce] = nc or 0xFFFFFFFF
        return True

    def _make_room(self, now: float) -> None:
        """Forget the oldest until one more fits; expired ones at the head go in any case."""
        while self._highest:
            oldest = next(iter(self._highest))
            issued = self._issued(oldest)
            assert issued is not None
            full = len(self._highest) >= self._remembered
            if not full and now - issued <= self._lifetime:
                return
            del self._highest[oldest]
            self._forgotten = max(self._forgotten, issued)

    def _issued(self, nonce: str) -> float | None:
        """Return when this nonce was issued, None if it is none of ours."""
        try:
            raw = urlsafe_b64decode(nonce.encode("ascii") + b"=" * (-len(nonce) % 4))
        except ValueError:
            return None
        stamped, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(raw) != _NONCE_BYTES or not hmac.compare_digest(mac, self._mac(stamped)):
            return None
        return int.from_bytes(stamped[:8], "big", signed=True) / 1e6

    def _mac(self, stamped: bytes) -> bytes:
        return hmac.digest(self._key, stamped, "sha256")[:_MAC_BYTES]


def read_answer(value: str, realm: str) -> Answer | None:
    """Read an Authorization value; None where it is no digest answer for this realm."""
    credentials = parse_auth(value, credentials=True)
    params = {name.lower(): text for name, text in credentials.params.items()}
    if credentials.scheme.lower() != "digest" or params.get("realm") != realm:
        return None
    algorithm = params.get("algorithm", "MD5").upper()  # absent: MD5 (RFC 7616 §3.4)
    needed = all(params.get(name) for name in ("username", "nonce", "uri", "response"))
    count = _count(params)
    if algorithm not in ALGORITHMS or not needed or count is None:
        return None
    if len(params["username"]) > LONGEST_USER:
        return None
    return Answer(
        user=params["username"],
        nonce=params["nonce"],
        uri=params["uri"],
        response=params["response"].lower(),
        algorithm=algorithm,
        cnonce=params.get("cnonce", ""),
        nc=count,
    )


def _count(params: Mapping[str, str]) -> int | None:
    """Return the nonce count: 0 without qop, None where qop, nc and cnonce do not fit together."""
    qop, nc, cnonce = params.get("qop"), params.get("nc"), params.get("cnonce")
    if qop is None:
        return 0
    if qop.lower() != "auth" or nc is None or not cnonce or not _NC.fullmatch(nc):
        return None
    return int(nc, 16) or None


def digest(answer: Answer, method: str, a1: str) -> str:
    """Compute the right response to a challenge (RFC 7616 §3.4.1) from H(A1)."""
    count = f"{answer.nc:08x}:{answer.cnonce}:auth:" if answer.nc else ""
    a2 = _hash(answer.algorithm, f"{method}:{answer.uri}")
    return _hash(answer.algorithm, f"{a1}:{answer.nonce}:{count}{a2}")


def same_resource(digest_uri: str, request_uri: str) -> bool:
    """Whether both URIs name one user at one host.

    RFC 3261 §22.4 asks for equivalence, but phones add a transport to the one, or leave the port
    out of the other; neither changes who is asked for.
    """
    try:
        one, other = parse_uri(digest_uri), parse_uri(request_uri)
    except MalformedMessage:
        return False
    return (one.user, one.host.lower()) == (other.user, other.host.lower())


def _hash(algorithm: str, text: str) -> str:
    return ALGORITHMS[algorithm](text.encode()).hexdigest()
