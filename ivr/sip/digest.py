"""Digest authentication, the client's side: challenge in, credentials out (RFC 3261 §22, 8760).

Pure. The arithmetic is aiosipua's; what is decided here is which challenge to answer, when an
answer is worth another try, and how nonces are counted. One `Login` is kept for as long as a
call (or a registration) lives, so that later requests carry credentials from the start; one
`Attempt` is one request with its retries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from aiosipua.auth import SipDigestAuth, build_credentials

from ivr.sip.message import AuthChallenge, SipResponse, new_tag, parse_auth, stringify_auth

STRENGTH = {"MD5": 1, "SHA-256": 2}  # what we can answer; the strongest offered is taken
MAX_STALE = 3  # a server that calls every nonce stale is broken, and not asked for ever

# Where the challenge comes in, and where its answer goes.
_FIELDS = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and its password; the password is never shown."""

    username: str
    password: str = field(repr=False)


@dataclass(slots=True)
class _Standing:
    """The challenge now in force for one realm, and how often its nonce was used."""

    challenge: AuthChallenge
    count: int = 0

    @property
    def nonce(self) -> str:
        return self.challenge.params["nonce"]


@dataclass(slots=True)
class Login:
    """What one client knows of the realms it has met: nonces and their counts."""

    credentials: Credentials
    cnonce: Callable[[], str] = new_tag
    _standing: dict[tuple[str, str], _Standing] = field(default_factory=dict)

    def attempt(self) -> Attempt:
        """Begin one request; its retries share the returned object."""
        return Attempt(self)

    def headers(self, method: str, uri: str) -> list[tuple[str, str]]:
        """The Authorization and Proxy-Authorization lines for a request, nonces counted up."""
        lines = []
        for (name, _realm), standing in self._standing.items():
            standing.count += 1
            lines.append((name, self._answer(standing, method, uri)))
        return lines

    def _answer(self, standing: _Standing, method: str, uri: str) -> str:
        auth = SipDigestAuth(self.credentials.username, self.credentials.password)
        built = build_credentials(
            auth,
            standing.challenge,
            method,
            uri,
            nonce_count=standing.count,
            cnonce=self.cnonce(),
        )
        assert built is not None, "only challenges that can be answered are kept"
        built.params["username"] = _escape(built.params["username"])
        return stringify_auth(built)


@dataclass(slots=True)
class Attempt:
    """One request and its retries: says whether a challenge deserves another try."""

    login: Login
    _answered: set[tuple[str, str]] = field(default_factory=set)
    _stale: int = 0

    def accept(self, response: SipResponse) -> bool:
        """Take the challenges of a 401 or 407; True if the request should be sent again.

        A realm is answered once per request: refused again, the password is wrong. A nonce
        called stale was the right password too late, and gets another (bounded) try.
        """
        challenge_field, answer_field = _FIELDS[response.status_code]
        offered = _strongest(response.headers.get(challenge_field))
        worth = [
            self._take((answer_field, realm), challenge) for realm, challenge in offered.items()
        ]
        return bool(worth) and all(worth)

    def _take(self, key: tuple[str, str], challenge: AuthChallenge) -> bool:
        known = self.login._standing.get(key)
        stale = challenge.params.get("stale", "").lower() == "true"
        if known is not None and known.nonce == challenge.params["nonce"]:
            return False  # this very nonce was answered, and the answer refused
        if key in self._answered:
            self._stale += 1
            if not stale or self._stale > MAX_STALE:
                return False
        self._answered.add(key)
        self.login._standing[key] = _Standing(challenge)
        return True


def _strongest(values: list[str]) -> dict[str, AuthChallenge]:
    """For each realm the challenge we answer; realms we cannot answer at all are left out."""
    best: dict[str, AuthChallenge] = {}
    for value in values:
        challenge = _parse(value)
        if not _answerable(challenge):
            continue
        realm = challenge.params.get("realm", "")
        if realm not in best or _strength(challenge) > _strength(best[realm]):
            best[realm] = challenge
    return best


def _parse(value: str) -> AuthChallenge:
    challenge = parse_auth(value)
    params = {name.lower(): text for name, text in challenge.params.items()}
    return replace(challenge, params=params)


def _strength(challenge: AuthChallenge) -> int:
    return STRENGTH.get(challenge.params.get("algorithm", "MD5").upper(), 0)


def _answerable(challenge: AuthChallenge) -> bool:
    offered_qop = [one.strip() for one in challenge.params.get("qop", "auth").lower().split(",")]
    return (
        challenge.scheme.lower() == "digest"
        and bool(challenge.params.get("nonce"))
        and _strength(challenge) > 0
        and ("auth" in offered_qop or offered_qop == [""])
    )


def _escape(text: str) -> str:
    """As the inside of a quoted string (RFC 3261 §25.1)."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
