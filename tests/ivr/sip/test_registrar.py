"""The registrar: the registrations of RFC 3665 §2, the order of things, and scanners."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip.authenticator import Secret
from ivr.sip.bindings import Bindings, Contact, OutOfOrder
from ivr.sip.digest import Credentials, Login
from ivr.sip.endpoint import ACCEPT, DROP
from ivr.sip.message import SipRequest, SipResponse, parse_message
from ivr.sip.registrar import MAX_EXPIRES, MIN_EXPIRES, Registrar
from ivr.sip.transport import Peer

REALM = "atlanta.example.com"
PHONE = Peer("udp", "192.0.2.201", 5060)
NATTED = Peer("udp", "203.0.113.5", 41234)
BOB = "sip:bob@client.biloxi.example.com"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def registrar(clock: Clock | None = None) -> Registrar:
    users = {name: Secret.of(name, REALM, f"{name}-zanzibar") for name in ("bob", "lan")}
    return Registrar(users.get, REALM, clock=clock or Clock())


class Phone:
    """Sends REGISTERs as RFC 3665 §2.1 F1 writes them, and answers challenges."""

    def __init__(self, to: Registrar, user: str = "bob", peer: Peer = PHONE) -> None:
        self.registrar = to
        self.user = user
        self.peer = peer
        self.cseq = 0
        self.call_id = "1j9FpLxk3uxtm8tn@biloxi.example.com"
        self.login = Login(Credentials(user, f"{user}-zanzibar"))
        self.challenges = 0

    def send(self, *lines: str, to: str | None = None) -> SipResponse:
        self.cseq += 1
        uri = "sip:ss2.biloxi.example.com"
        headers = [f"{name}: {value}" for name, value in self.login.headers("REGISTER", uri)]
        request = parse_message(
            "\r\n".join(
                [
                    f"REGISTER {uri} SIP/2.0",
                    "Via: SIP/2.0/UDP client.biloxi.example.com;branch=z9hG4bKnashds7",
                    "Max-Forwards: 70",
                    f"From: {self.user} <sip:{self.user}@biloxi.example.com>;tag=a73kszlfl",
                    f"To: <sip:{to or self.user}@biloxi.example.com>",
                    f"Call-ID: {self.call_id}",
                    f"CSeq: {self.cseq} REGISTER",
                    *headers,
                    *lines,
                    "Content-Length: 0",
                    "\r\n",
                ]
            ).encode()
        )
        assert isinstance(request, SipRequest)
        return self.registrar.answer(request, self.peer)

    def register(self, *lines: str, to: str | None = None) -> SipResponse:
        response = self.send(*lines, to=to)
        if response.status_code == 401 and self.login.attempt().accept(response):
            self.challenges += 1
            response = self.send(*lines, to=to)
        return response


def contacts(response: SipResponse) -> dict[str, int]:
    found = (
        re.fullmatch(r"<(.*)>;expires=(\d+)", value) for value in response.headers.get("contact")
    )
    return {match[1]: int(match[2]) for match in found if match}


def uris(where: Registrar, user: str = "bob") -> list[str]:
    return [binding.uri for binding in where.lookup(user)]


class TestRfc3665Section2:
    def test_2_1_a_successful_new_registration(self) -> None:
        phone = Phone(registrar())
        first = phone.send(f"Contact: <{BOB}>")
        assert (first.status_code, first.reason_phrase) == (401, "Unauthorized")
        assert first.to_addr.tag
        assert len(first.headers.get("www-authenticate")) == 2
        assert phone.login.attempt().accept(first)
        second = phone.send(f"Contact: <{BOB}>")
        assert second.status_code == 200
        assert contacts(second) == {BOB: 3600}
        assert second.headers.get_first("date", "").endswith("GMT")
        assert [str(via) for via in second.headers.get("via")] == first.headers.get("via")

    def test_2_2_an_update_of_the_contact_list(self) -> None:
        phone = Phone(registrar())
        phone.register(f"Contact: <{BOB}>")
        response = phone.register("Contact: mailto:bob@biloxi.example.com")
        assert set(contacts(response)) == {BOB, "mailto:bob@biloxi.example.com"}
        assert uris(phone.registrar) == [BOB], "a mailbox is kept, and not called"
        phone.register("Contact: <sip:+1@gw.biloxi.example.com>;q=0.1")
        assert uris(phone.registrar) == [BOB, "sip:+1@gw.biloxi.example.com"]
        assert phone.challenges == 1, "the nonce serves on"

    def test_2_3_a_request_for_the_contact_list(self) -> None:
        phone = Phone(registrar())
        phone.register(f"Contact: <{BOB}>")
        assert contacts(phone.register()) == {BOB: 3600}

    def test_2_4_cancellation_of_the_registration(self) -> None:
        phone = Phone(registrar())
        phone.register(f"Contact: <{BOB}>", "Contact: <sip:bob@mobile.example>")
        response = phone.register("Contact: *", "Expires: 0")
        assert response.status_code == 200
        assert contacts(response) == {}
        assert uris(phone.registrar) == []

    def test_2_5_an_unsuccessful_registration(self) -> None:
        phone = Phone(registrar())
        phone.login = Login(Credentials("bob", "wrong"))
        response = phone.register(f"Contact: <{BOB}>")
        assert response.status_code == 401
        assert not phone.login.attempt().accept(response) or "stale" not in str(response.headers)
        assert uris(phone.registrar) == []


@pytest.mark.parametrize(
    ("lines", "expires"),
    [
        ([f"Contact: <{BOB}>;expires=60", "Expires: 1800"], 60),
        ([f"Contact: <{BOB}>", "Expires: 1800"], 1800),
        ([f"Contact: <{BOB}>"], 3600),
        ([f"Contact: <{BOB}>;expires=4294967295"], MAX_EXPIRES),
        ([f"Contact: <{BOB}>;expires=soon"], 3600),
        ([f"Contact: <{BOB}>;expires={MIN_EXPIRES}"], MIN_EXPIRES),
    ],
)
def test_how_long_a_binding_lives(lines: list[str], expires: int) -> None:
    clock = Clock()
    phone = Phone(registrar(clock))
    assert contacts(phone.register(*lines)) == {BOB: expires}
    clock.now += expires - 0.5
    assert uris(phone.registrar) == [BOB]
    clock.now += 0.5
    assert uris(phone.registrar) == []
    assert len(phone.registrar.bindings) == 0


REFUSED = {
    "too brief": (["Contact: <sip:a@b>;expires=5"], 423, "Min-Expires", str(MIN_EXPIRES)),
    "too brief, in all": (["Contact: <sip:a@b>", "Expires: 29"], 423, "Min-Expires", "30"),
    "an extension": (["Contact: <sip:a@b>", "Require: gruu"], 420, "Unsupported", "gruu"),
    "path required": (["Require: path", "Path: <sip:p;lr>"], 420, "Unsupported", "path"),
    "star alone": (["Contact: *"], 400, None, None),
    "star that keeps": (["Contact: *", "Expires: 60"], 400, None, None),
    "star in company": (["Contact: *, <sip:a@b>", "Expires: 0"], 400, None, None),
    "nonsense": (["Contact: <sip:a b>"], 400, None, None),
}


@pytest.mark.parametrize(("lines", "status", "name", "value"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_changes_nothing(
    lines: list[str], status: int, name: str | None, value: str | None
) -> None:
    phone = Phone(registrar())
    phone.register(f"Contact: <{BOB}>")
    response = phone.register(*lines)
    assert response.status_code == status
    if name:
        assert response.headers.get(name) == [value]
    assert uris(phone.registrar) == [BOB]


def test_a_path_nobody_requires_is_ignored() -> None:
    phone = Phone(registrar())
    assert phone.register(f"Contact: <{BOB}>", "Path: <sip:p.example;lr>").status_code == 200


def test_a_user_cannot_register_for_another() -> None:
    phone = Phone(registrar())
    assert phone.register(f"Contact: <{BOB}>", to="lan").status_code == 403
    assert uris(phone.registrar, "lan") == []


def test_an_older_register_of_the_same_client_changes_nothing() -> None:
    phone = Phone(registrar())
    phone.register(f"Contact: <{BOB}>;expires=600")
    phone.cseq -= 2
    response = phone.register("Contact: *", "Expires: 0")
    assert (response.status_code, response.reason_phrase) == (500, "CSeq Out Of Order")
    assert phone.register(f"Contact: <{BOB}>;expires=0").status_code == 500
    assert uris(phone.registrar) == [BOB]
    phone.call_id = "another@client"
    phone.cseq = 0
    assert phone.register(f"Contact: <{BOB}>;expires=0").status_code == 200
    assert uris(phone.registrar) == []


def test_the_binding_leads_back_to_where_the_phone_really_is() -> None:
    phone = Phone(registrar(), peer=NATTED)
    phone.register("Contact: <sip:bob@192.168.1.9:5060;transport=udp>", "User-Agent: Softphone 3")
    (binding,) = phone.registrar.lookup("bob")
    assert (binding.uri, binding.peer) == ("sip:bob@192.168.1.9:5060;transport=udp", NATTED)
    assert binding.user_agent == "Softphone 3"


def test_an_instance_id_in_a_contact_is_no_obstacle() -> None:
    phone = Phone(registrar())
    instance = '+sip.instance="<urn:uuid:0C67446E-F1A1-11D9-94D3-000A95A0E128>"'
    phone.register(f"Contact: <{BOB};transport=UDP>;{instance}")
    assert uris(phone.registrar) == [f"{BOB};transport=UDP"]


def test_a_phone_that_restarts_for_ever_stays_within_its_bounds() -> None:
    phone = Phone(registrar())
    for port in range(1000, 1050):
        phone.call_id = f"{port}@client"
        phone.register(f"Contact: <sip:bob@192.0.2.201:{port}>")
    assert uris(phone.registrar) == [f"sip:bob@192.0.2.201:{p}" for p in range(1049, 1039, -1)]


class TestScanners:
    def probe(self, number: int, user: str, authorization: str | None) -> SipRequest:
        lines = [
            "REGISTER sip:198.51.100.7 SIP/2.0",
            f"Via: SIP/2.0/UDP 203.0.113.66:5060;branch=z9hG4bK{number}",
            f"From: <sip:{user}@198.51.100.7>;tag={number}",
            f"To: <sip:{user}@198.51.100.7>",
            f"Call-ID: {number}",
            f"CSeq: {number} REGISTER",
            f"Contact: <sip:{user}@203.0.113.66>",
            "User-Agent: friendly-scanner",
        ]
        if authorization:
            lines.append(f"Authorization: {authorization}")
        request = parse_message("\r\n".join([*lines, "", ""]).encode())
        assert isinstance(request, SipRequest)
        return request

    def guess(self, number: int) -> str:
        return (
            f'Digest username="{number}", realm="{REALM}", nonce="n{number}", '
            f'uri="sip:198.51.100.7", response="{number:032x}", algorithm=MD5'
        )

    def test_ten_thousand_of_them_cost_no_memory_and_are_soon_dropped(self) -> None:
        where = registrar()
        scanner = Peer("udp", "203.0.113.66", 5060)
        tracemalloc.start()
        try:
            verdicts = []
            for number in range(10_000):
                request = self.probe(number, str(number), self.guess(number))
                verdicts.append(where.screen(request, scanner))
                if verdicts[-1] is ACCEPT:
                    assert where.answer(request, scanner).status_code == 401
            grown = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert verdicts.count(ACCEPT) < 30
        assert verdicts[-1] is DROP
        assert grown < 1_000_000
        assert len(where.bindings) == 0

    def test_ten_thousand_addresses_are_bounded_too(self) -> None:
        where = registrar()
        for number in range(10_000):
            peer = Peer("udp", f"203.0.{number // 250}.{number % 250}", 5060)
            where.answer(self.probe(number, str(number), self.guess(number)), peer)
        assert len(where.authenticator.lockout) <= 10_000
        assert len(where.bindings) == 0

    def test_who_only_asks_is_challenged_without_a_transaction(self) -> None:
        where = registrar()
        verdict = where.screen(self.probe(1, "100", None), PHONE)
        assert verdict.status == 401
        assert {name for name, _ in verdict.headers} == {"WWW-Authenticate"}
        assert len(where.authenticator.lockout) == 0

    def test_a_user_that_exists_is_refused_in_the_same_words(self) -> None:
        where = registrar()
        answers = []
        for user in ("bob", "nobody"):
            value = self.guess(1).replace('username="1"', f'username="{user}"')
            answer = where.answer(self.probe(1, user, value), PHONE)
            text = bytes(answer).decode().replace(user, "X")
            answers.append(re.sub(r'nonce="[^"]+"|tag=\w+', "", text))
        assert answers[0] == answers[1]


class TestBindings:
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "b"]),
                st.sampled_from(["c1", "c2"]),
                st.integers(1, 6),
                st.integers(0, 4),
                st.integers(0, 100),
            ),
            max_size=30,
        )
    )
    def test_agree_with_a_plain_table(self, steps: list[tuple[str, str, int, int, int]]) -> None:
        """Against a model: one dict from contact to (expiry, Call-ID, CSeq)."""
        bindings, model, now = Bindings(), dict[str, tuple[float, str, int]](), 0.0
        for name, call_id, cseq, wait, expires in steps:
            now += wait * 10
            model = {uri: entry for uri, entry in model.items() if entry[0] > now}
            uri = f"sip:bob@{name}"
            known = model.get(uri)
            stale = known is not None and known[1] == call_id and cseq <= known[2]
            try:
                bindings.update(
                    "bob", [Contact(uri, expires)], peer=PHONE, call_id=call_id, cseq=cseq, now=now
                )
            except OutOfOrder:
                assert stale
            else:
                assert not stale
                model.pop(uri, None)
                if expires:
                    model[uri] = (now + expires, call_id, cseq)
            seen = {b.uri: (b.expires_at, b.call_id, b.cseq) for b in bindings.of("bob", now)}
            assert seen == model

    def test_an_update_is_all_or_nothing(self) -> None:
        bindings = Bindings()
        one, two = Contact("sip:bob@one", 60), Contact("sip:bob@two", 60)
        bindings.update("bob", [two], peer=PHONE, call_id="c", cseq=5, now=0.0)
        with pytest.raises(OutOfOrder):
            bindings.update("bob", [one, two], peer=PHONE, call_id="c", cseq=5, now=1.0)
        assert [binding.uri for binding in bindings.of("bob", 1.0)] == ["sip:bob@two"]

    @pytest.mark.parametrize(
        ("again", "same"),
        [
            ("sip:bob@HOST:5060;transport=UDP", True),
            ("sip:bob@host:5060;transport=udp;x=1", True),
            ("sip:bob@host:5061;transport=udp", False),
            ("sip:bob@host:5060;transport=tcp", False),
            ("sip:Bob@host:5060;transport=udp", False),
            ("sip:bob@host;transport=udp", False),
        ],
    )
    def test_which_contacts_are_the_same(self, again: str, same: bool) -> None:
        bindings = Bindings()
        for cseq, uri in enumerate(("sip:bob@host:5060;transport=udp", again), start=1):
            contact = [Contact(uri, 60)]
            bindings.update("bob", contact, peer=PHONE, call_id="c", cseq=cseq, now=0.0)
        assert len(bindings) == (1 if same else 2)
        assert bindings.users() == ["bob"]
