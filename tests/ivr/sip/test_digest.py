"""Answering challenges: the vectors of the RFCs, several realms, nonces counted, stale ones."""

from __future__ import annotations

import hashlib

import pytest

from ivr.sip.digest import MAX_STALE, Credentials, Login
from ivr.sip.message import SipResponse, parse_auth


def challenge(*values: str, status: int = 401) -> SipResponse:
    response = SipResponse(status_code=status)
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    for value in values:
        response.add_header(name, value)
    return response


def login(username: str = "bob", password: str = "zanzibar", cnonce: str = "0a4f113b") -> Login:
    return Login(Credentials(username, password), cnonce=lambda: cnonce)


def params(line: tuple[str, str]) -> dict[str, str]:
    return parse_auth(line[1], credentials=True).params


def test_the_vector_of_rfc_2617() -> None:
    ours = login("Mufasa", "Circle Of Life")
    assert ours.attempt().accept(
        challenge(
            'Digest realm="testrealm@host.com", qop="auth,auth-int", '
            'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
        )
    )
    [line] = ours.headers("GET", "/dir/index.html")
    assert params(line)["response"] == "6629fae49393a05397450978507c4ef1"
    assert params(line)["opaque"] == "5ccc069c403ebaf9f0171e9517f40e41"


def test_the_vector_of_rfc_7616_for_sha_256() -> None:
    ours = login("Mufasa", "Circle of Life", cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    assert ours.attempt().accept(
        challenge(
            'Digest realm="http-auth@example.org", qop="auth", algorithm=SHA-256, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe"'
        )
    )
    [line] = ours.headers("GET", "/dir/index.html")
    assert params(line)["response"] == (
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    )


def test_the_old_form_without_qop() -> None:
    ours = login()
    assert ours.attempt().accept(challenge('Digest realm="r", nonce="n"'))
    [line] = ours.headers("REGISTER", "sip:r")
    ha1, ha2 = (hashlib.md5(text).hexdigest() for text in (b"bob:r:zanzibar", b"REGISTER:sip:r"))
    assert params(line)["response"] == hashlib.md5(f"{ha1}:n:{ha2}".encode()).hexdigest()
    assert "nc" not in params(line)


def test_the_strongest_algorithm_offered_is_answered() -> None:
    ours = login()
    assert ours.attempt().accept(
        challenge(
            'Digest realm="r", nonce="n1", algorithm=MD5, qop="auth"',
            'Digest realm="r", nonce="n2", algorithm=SHA-256, qop="auth"',
            'Digest realm="r", nonce="n3", algorithm=SHA-512-256, qop="auth"',
        )
    )
    [line] = ours.headers("INVITE", "sip:x")
    assert (params(line)["algorithm"], params(line)["nonce"]) == ("SHA-256", "n2")


def test_nonces_are_counted_and_realms_kept_apart() -> None:
    ours = login()
    attempt = ours.attempt()
    assert attempt.accept(challenge('Digest realm="p", nonce="n1", qop="auth"', status=407))
    assert [name for name, _ in ours.headers("INVITE", "sip:x")] == ["Proxy-Authorization"]
    assert attempt.accept(challenge('Digest realm="u", nonce="n2", qop="auth"', status=401))
    lines = dict(ours.headers("INVITE", "sip:x"))
    assert params(("", lines["Proxy-Authorization"]))["nc"] == "00000002"
    assert params(("", lines["Authorization"]))["nc"] == "00000001"


def test_two_proxies_may_challenge_at_once() -> None:
    ours = login()
    both = challenge('Digest realm="a", nonce="1"', 'Digest realm="b", nonce="2"', status=407)
    assert ours.attempt().accept(both)
    assert len(ours.headers("INVITE", "sip:x")) == 2


def test_the_same_realm_again_is_a_wrong_password() -> None:
    attempt = login().attempt()
    assert attempt.accept(challenge('Digest realm="r", nonce="n1", qop="auth"'))
    assert not attempt.accept(challenge('Digest realm="r", nonce="n2", qop="auth"'))


def test_the_same_nonce_again_is_a_wrong_password_whatever_it_says() -> None:
    attempt = login().attempt()
    assert attempt.accept(challenge('Digest realm="r", nonce="n1", qop="auth"'))
    assert not attempt.accept(challenge('Digest realm="r", nonce="n1", stale=true'))


def test_a_stale_nonce_is_another_try_but_not_for_ever() -> None:
    attempt = login().attempt()
    assert attempt.accept(challenge('Digest realm="r", nonce="n", qop="auth"'))
    stale = [f'Digest realm="r", nonce="n{number}", stale=TRUE' for number in range(9)]
    taken = [attempt.accept(challenge(each)) for each in stale]
    assert taken == [True] * MAX_STALE + [False] * (9 - MAX_STALE)


def test_a_later_request_may_be_challenged_anew() -> None:
    ours = login()
    assert ours.attempt().accept(challenge('Digest realm="r", nonce="n1", qop="auth"'))
    assert ours.attempt().accept(challenge('Digest realm="r", nonce="n2", qop="auth"'))
    [line] = ours.headers("BYE", "sip:x")
    assert (params(line)["nonce"], params(line)["nc"]) == ("n2", "00000001")


@pytest.mark.parametrize(
    "value",
    [
        'Basic realm="r"',
        'Digest realm="r"',
        'Digest realm="r", nonce=""',
        'Digest realm="r", nonce="n", algorithm=MD5-sess',
        'Digest realm="r", nonce="n", qop="auth-int"',
        'Digest realm="r", nonce="n", qop="a uth"',
        "",
    ],
)
def test_what_cannot_be_answered(value: str) -> None:
    attempt = login().attempt()
    assert not attempt.accept(challenge(value))
    assert not attempt.accept(challenge())
    assert login().headers("INVITE", "sip:x") == []


def test_names_in_any_case_and_an_empty_qop() -> None:
    ours = login()
    assert ours.attempt().accept(challenge('DIGEST Realm="r", NONCE="n", Qop="", ALGORITHM=md5'))
    [line] = ours.headers("INVITE", "sip:x")
    assert params(line)["algorithm"].upper() == "MD5"


def test_a_user_name_cannot_break_out_of_its_quotes() -> None:
    ours = login('bo"b\\')
    assert ours.attempt().accept(challenge('Digest realm="r", nonce="n"'))
    [(_, value)] = ours.headers("INVITE", "sip:x")
    assert 'username="bo\\"b\\\\"' in value


def test_a_password_is_never_shown() -> None:
    assert "zanzibar" not in repr(login())
