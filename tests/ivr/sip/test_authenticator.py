"""Server-side digest: who gets in, who does not, and what a refusal gives away (nothing)."""

from __future__ import annotations

import hashlib
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip.authenticator import (
    LONGEST_USER,
    Answer,
    Authenticator,
    Challenged,
    Granted,
    Nonces,
    Secret,
    digest,
    read_answer,
    same_resource,
)
from ivr.sip.lockout import FAILURES_ALLOWED, FIRST_LOCK, Lockout

REALM = "tongdai.example"
URI = "sip:tongdai.example"
LAN = "10.0.0.7"


def authenticator(**options: object) -> Authenticator:
    secrets = {"lan": Secret.of("lan", REALM, "bí mật"), "hoa": Secret.of("hoa", REALM, "khác")}
    counter = itertools.count()
    options.setdefault("random", lambda n: next(counter).to_bytes(n, "big"))
    return Authenticator(secrets.get, REALM, **options)  # type: ignore[arg-type]


def challenge(auth: Authenticator, now: float = 0.0) -> dict[str, str]:
    """The parameters of the first challenge, as a phone reads them."""
    verdict = auth.check("REGISTER", URI, [], source=LAN, now=now)
    assert isinstance(verdict, Challenged)
    return params(verdict)


def params(verdict: Challenged) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="?([^",]+)"?', verdict.headers[0][1]))


def reply(
    nonce: str,
    *,
    user: str = "lan",
    password: str = "bí mật",
    method: str = "REGISTER",
    uri: str = URI,
    algorithm: str = "SHA-256",
    nc: str | None = "00000001",
    realm: str = REALM,
) -> str:
    """A phone's Authorization, with the arithmetic written out again."""

    def h(text: str) -> str:
        return hashlib.new(algorithm.replace("-", "").lower(), text.encode()).hexdigest()

    middle = f"{nonce}:{nc}:c0ffee:auth" if nc else nonce
    response = h(f"{h(f'{user}:{realm}:{password}')}:{middle}:{h(f'{method}:{uri}')}")
    tail = f', qop=auth, nc={nc}, cnonce="c0ffee"' if nc else ""
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
        f'response="{response}", algorithm={algorithm}{tail}'
    )


def check(auth: Authenticator, value: str, *, now: float = 0.0, source: str = LAN) -> object:
    return auth.check("REGISTER", URI, [value], source=source, now=now)


def test_both_challenges_are_offered_over_one_nonce_the_stronger_first() -> None:
    verdict = authenticator().check("REGISTER", URI, [], source=LAN, now=0.0)
    assert isinstance(verdict, Challenged)
    names, values = zip(*verdict.headers, strict=True)
    assert names == ("WWW-Authenticate",) * 2
    assert "algorithm=SHA-256" in values[0]
    assert values[1] == values[0].replace("SHA-256", "MD5")
    assert all('qop="auth"' in value and "stale" not in value for value in values)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_digest_is_that_of_rfc_7616_3_9_1(algorithm: str, response: str) -> None:
    answer = Answer(
        user="Mufasa",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        uri="/dir/index.html",
        response="",
        algorithm=algorithm,
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        nc=1,
    )
    secret = Secret.of("Mufasa", "http-auth@example.org", "Circle of Life")
    assert digest(answer, "GET", secret.a1(algorithm)) == response


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_the_right_password_gets_in(algorithm: str) -> None:
    auth = authenticator()
    nonce = challenge(auth)["nonce"]
    assert check(auth, reply(nonce, algorithm=algorithm)) == Granted("lan")


def test_a_nonce_serves_until_it_expires_while_its_count_grows() -> None:
    auth = authenticator(nonce_lifetime=300)
    nonce = challenge(auth)["nonce"]
    for count, now in enumerate((0, 60, 120, 180, 240, 300), start=1):
        assert check(auth, reply(nonce, nc=f"{count:08x}"), now=now) == Granted("lan")
    late = check(auth, reply(nonce, nc="00000007"), now=301)
    assert isinstance(late, Challenged)
    assert params(late)["stale"] == "true"
    assert check(auth, reply(params(late)["nonce"]), now=301) == Granted("lan")


@pytest.mark.parametrize("again", ["00000005", "00000004", "00000001"])
def test_a_replayed_answer_is_refused(again: str) -> None:
    auth = authenticator()
    nonce = challenge(auth)["nonce"]
    assert check(auth, reply(nonce, nc="00000005")) == Granted("lan")
    assert isinstance(check(auth, reply(nonce, nc=again)), Challenged)
    assert check(auth, reply(nonce, nc="00000006")) == Granted("lan")


def test_after_a_restart_a_right_answer_to_an_old_nonce_is_only_stale() -> None:
    before, after = authenticator(random=lambda n: b"a" * n), authenticator()
    verdict = check(after, reply(challenge(before)["nonce"]))
    assert isinstance(verdict, Challenged)
    assert params(verdict)["stale"] == "true"
    assert len(after.lockout) == 0


WRONG = {
    "wrong password": {"password": "guess"},
    "unknown user": {"user": "root"},
    "unknown user without a name in common": {"user": "100", "password": "100"},
    "another method's answer": {"method": "INVITE"},
    "another host": {"uri": "sip:elsewhere.example"},
    "no uri at all": {"uri": "nonsense"},
    "no qop where it is required": {"nc": None},
    "nc of no hex": {"nc": "0000000g"},
    "nc zero": {"nc": "00000000"},
    "nc too short": {"nc": "1"},
    "another realm": {"realm": "asterisk"},
    "a name to fill memory with": {"user": "x" * 1000},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_every_wrong_answer_gets_the_same_challenge(wrong: dict[str, str]) -> None:
    auth = authenticator()
    fresh = challenge(auth)
    verdict = check(auth, reply(fresh["nonce"], **wrong))
    assert isinstance(verdict, Challenged)
    again = params(verdict)
    assert again.pop("nonce") != fresh.pop("nonce")
    assert again == fresh
    assert len(auth.lockout) > 0


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        "Basic bGFuOmLDrSBt4bqtdA==",
        "Bearer x",
        'Digest username="lan"',
        f'Digest realm="{REALM}"',
        f'Digest username="lan", realm="{REALM}", nonce="n", uri="{URI}", response="r", qop=auth',
        f'Digest username="lan", realm="{REALM}", nonce="n", uri="{URI}", response="r", '
        "algorithm=SHA-512-256",
        f'Digest username="lan", realm="{REALM}", nonce="n", uri="{URI}", response="r", '
        'qop=auth-int, nc=00000001, cnonce="c"',
    ],
)
def test_what_is_no_digest_answer_is_none(value: str) -> None:
    assert read_answer(value, REALM) is None


@given(st.text(max_size=200))
def test_no_authorization_raises(value: str) -> None:
    assert isinstance(check(authenticator(), value), Challenged)


@given(st.text(alphabet='Digest username=",realm=nonce:0123456789abcdefqop', max_size=300))
def test_no_near_authorization_raises(value: str) -> None:
    assert isinstance(check(authenticator(), "Digest " + value), Challenged)


def test_an_old_phone_without_qop_gets_in_where_allowed_and_once_per_nonce() -> None:
    auth = authenticator(legacy=True)
    nonce = challenge(auth)["nonce"]
    value = reply(nonce, algorithm="MD5", nc=None, uri=f"{URI};transport=UDP")
    assert check(auth, value) == Granted("lan")
    assert isinstance(check(auth, value), Challenged)
    assert isinstance(check(auth, reply(nonce, nc="00000002")), Challenged)


def test_credentials_for_another_realm_may_stand_beside_ours() -> None:
    auth = authenticator()
    ours = reply(challenge(auth)["nonce"])
    verdict = auth.check("REGISTER", URI, [reply("x", realm="pbx"), ours], source=LAN, now=0.0)
    assert verdict == Granted("lan")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:a.example", "sip:A.EXAMPLE", True),
        ("sip:a.example;transport=UDP", "sip:a.example:5070", True),
        ("sip:lan@a.example", "sip:lan@a.example", True),
        ("sip:lan@a.example", "sip:hoa@a.example", False),
        ("sip:a.example", "sip:b.example", False),
        ("*", "sip:b.example", False),
    ],
)
def test_same_resource(one: str, other: str, same: bool) -> None:
    assert same_resource(one, other) is same


def test_secrets_do_not_show_themselves() -> None:
    assert repr(Secret.of("lan", REALM, "bí mật")) == "Secret()"


class TestNonces:
    def test_memory_is_bounded_and_what_was_forgotten_is_no_longer_good(self) -> None:
        nonces = Nonces(b"key", lifetime=300, remembered=3)
        made = [nonces.issue(bytes([i]) * 8, now=float(i)) for i in range(5)]
        assert all(nonces.spend(nonce, 1, now=5.0) for nonce in made)
        assert len(nonces) == 3
        assert not any(nonces.spend(nonce, 1, now=5.0) for nonce in made)
        assert not nonces.spend(made[0], 2, now=5.0)
        assert nonces.spend(made[4], 2, now=5.0)

    def test_expired_ones_make_room(self) -> None:
        nonces = Nonces(b"key", lifetime=10, remembered=1000)
        for i in range(100):
            assert nonces.spend(nonces.issue(i.to_bytes(8, "big"), now=i), 1, now=i)
        assert len(nonces) <= 12

    @given(st.data())
    def test_only_an_untouched_nonce_is_good(self, data: st.DataObject) -> None:
        nonces = Nonces(b"key", lifetime=300, remembered=10)
        nonce = nonces.issue(b"12345678", now=1.0)
        index = data.draw(st.integers(0, len(nonce) - 1))
        char = data.draw(st.sampled_from("ABCabc019-_=é"))
        forged = nonce[:index] + char + nonce[index + 1 :]
        # The last character carries two bits that mean nothing.
        if forged[:-1] != nonce[:-1]:
            assert not nonces.spend(forged, 1, now=1.0)

    @given(st.text(max_size=60))
    def test_foreign_nonces_never_raise(self, nonce: str) -> None:
        assert not Nonces(b"key", lifetime=300, remembered=10).spend(nonce, 1, now=1.0)

    @given(st.lists(st.integers(1, 20), min_size=1, max_size=30))
    def test_counts_pass_exactly_when_they_grow(self, counts: list[int]) -> None:
        nonces = Nonces(b"key", lifetime=300, remembered=10)
        nonce = nonces.issue(b"12345678", now=1.0)
        highest = 0
        for count in counts:
            assert nonces.spend(nonce, count, now=1.0) is (count > highest)
            highest = max(highest, count)


class TestLockout:
    def test_guessing_is_locked_out_and_the_lock_doubles(self) -> None:
        auth = authenticator()
        now = 0.0
        for _ in range(FAILURES_ALLOWED["pair"]):
            check(auth, reply(challenge(auth, now)["nonce"], password="guess"), now=now)
        assert auth.lockout.locked("lan", LAN, now)
        right = check(auth, reply(challenge(auth, now)["nonce"]), now=now)
        assert isinstance(right, Challenged), "locked out, even the right password is not looked at"
        now += FIRST_LOCK
        check(auth, reply(challenge(auth, now)["nonce"], password="guess"), now=now)
        now += FIRST_LOCK
        assert auth.lockout.locked("lan", LAN, now)
        now += FIRST_LOCK
        assert check(auth, reply(challenge(auth, now)["nonce"]), now=now) == Granted("lan")

    def test_the_lock_has_an_end(self) -> None:
        lockout = Lockout()
        for i in range(10_000):
            lockout.failed("lan", LAN, float(i))
        assert lockout.locked("lan", LAN, 10_000.0)
        assert not lockout.locked("lan", LAN, 14_000.0)
        lockout.failed("lan", LAN, 30_000.0)
        assert not lockout.locked("lan", LAN, 30_000.0), "forgiven after quiet time"

    def test_a_scanner_cannot_lock_out_a_phone_that_has_registered(self) -> None:
        lockout = Lockout()
        lockout.passed("lan", LAN, 0.0)
        for _ in range(100):
            lockout.failed("lan", "203.0.113.9", 1.0)  # the same name, guessed at from elsewhere
            lockout.failed("100", LAN, 1.0)  # a broken phone behind the same address
        assert not lockout.locked("lan", LAN, 1.0)
        assert lockout.locked("lan", "198.51.100.1", 1.0), "a stranger claiming the name"
        assert lockout.locked("hoa", LAN, 1.0), "a name never seen from that address"
        assert lockout.ignores("203.0.113.9", 1.0)
        assert not lockout.ignores(LAN, 1.0), "a good phone lives there"

    def test_its_own_failures_count_against_a_good_phone(self) -> None:
        lockout = Lockout()
        lockout.passed("lan", LAN, 0.0)
        for _ in range(FAILURES_ALLOWED["pair"]):
            lockout.failed("lan", LAN, 1.0)
        assert lockout.locked("lan", LAN, 1.0)

    def test_getting_in_wipes_the_slate_of_the_phone(self) -> None:
        lockout = Lockout()
        for _ in range(3):
            for _ in range(FAILURES_ALLOWED["pair"] - 1):
                lockout.failed("lan", LAN, 1.0)
            assert not lockout.locked("lan", LAN, 1.0)
            lockout.passed("lan", LAN, 1.0)

    def test_names_of_any_length_take_no_memory(self) -> None:
        auth = authenticator()
        check(auth, reply(challenge(auth)["nonce"], user="x" * (LONGEST_USER + 1)))
        assert not any("x" in user for _, user, _ in auth.lockout._failures)

    def test_memory_is_bounded(self) -> None:
        lockout = Lockout(remembered=100)
        for i in range(10_000):
            lockout.failed(f"user{i}", f"address{i}", 0.0)
            lockout.passed(f"user{i}", f"address{i}", 0.0)
        assert len(lockout) <= 100
        assert len(lockout._good) == len(lockout._good_addresses) == 100
