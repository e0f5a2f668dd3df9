"""The trace shows everything but what would let its reader in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ivr.sip.peer import Peer
from ivr.sip.trace import TraceRecord, format_record, mask, record

SECRETS = "s3cr3t"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            'Authorization: Digest username="alice", realm="pbx", nonce="s3cr3t", uri="sip:pbx",'
            ' response="s3cr3t", cnonce="s3cr3t", nc=00000001, qop=auth, opaque="s3cr3t"',
            'Authorization: Digest username="alice", realm="pbx", nonce=***, uri="sip:pbx",'
            " response=***, cnonce=***, nc=00000001, qop=auth, opaque=***",
        ),
        (
            'proxy-authorization : digest username="a",\r\n response = s3cr3t, realm="r"',
            'proxy-authorization : digest username="a",\r\n response = ***, realm="r"',
        ),
        (
            'WWW-Authenticate: Digest realm="pbx", nonce="s3cr3t", algorithm=MD5',
            'WWW-Authenticate: Digest realm="pbx", nonce=***, algorithm=MD5',
        ),
        (
            'Authentication-Info: nextnonce="s3cr3t", rspauth="s3cr3t", qop=auth',
            "Authentication-Info: nextnonce=***, rspauth=***, qop=auth",
        ),
        ("Authorization: Basic s3cr3t", "Authorization: Basic ***"),
        ("Authorization: Bearer s3cr3t and\r\n s3cr3t", "Authorization: Bearer ***"),
        ('Authorization: Digest response="s3cr3t', "Authorization: Digest response=***"),
        ("To: <sip:alice:s3cr3t@example.com>", "To: <sip:alice:***@example.com>"),
        ("INVITE sips:a:s3cr3t@h SIP/2.0", "INVITE sips:a:***@h SIP/2.0"),
        ("Contact: <sip:a@h;password=s3cr3t>", "Contact: <sip:a@h;password=***>"),
        (
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:s3cr3t|2^20|1:32",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***",
        ),
        ("a=key-mgmt:mikey s3cr3t", "a=key-mgmt:***"),
        ("a=ice-pwd:s3cr3t", "a=ice-pwd:***"),
        ("k=base64:s3cr3t", "k=base64:***"),
        ("k=s3cr3t", "k=***"),
    ],
)
def test_secrets_are_masked(line: str, expected: str) -> None:
    masked = mask(f"INVITE sip:b@h SIP/2.0\r\n{line}\r\nCSeq: 1 INVITE\r\n")
    assert masked == f"INVITE sip:b@h SIP/2.0\r\n{expected}\r\nCSeq: 1 INVITE\r\n"
    assert SECRETS not in masked


def test_the_rest_is_left_alone() -> None:
    text = (
        "INVITE sip:bob@192.0.2.1:5060 SIP/2.0\r\n"
        "Contact: <sip:alice@192.0.2.2:5060;transport=tcp>\r\n"
        "Record-Route: <sip:192.0.2.3:5060;lr>, <sip:p@192.0.2.4>\r\n\r\n"
        "o=- 1 1 IN IP4 192.0.2.2\r\na=rtpmap:8 PCMA/8000\r\n"
    )
    assert mask(text) == text


def test_a_record_for_people() -> None:
    made = TraceRecord(
        "in",
        datetime(2026, 1, 2, 3, 4, 5, 678900, UTC),
        Peer("udp", "192.0.2.1", 5060),
        "OPTIONS sip:a@h SIP/2.0\r\nSubject: \x1b[2Jgone\r\n\r\n",
    )
    assert format_record(made) == (
        "2026-01-02T03:04:05.678+00:00 <- udp:192.0.2.1:5060\n"
        "    OPTIONS sip:a@h SIP/2.0\n"
        "    Subject: ·[2Jgone\n"
        "    \n"
    )


def test_bytes_of_any_kind_can_be_recorded() -> None:
    made = record("out", b"SIP/2.0 200 \xff\r\n\r\n", Peer("tcp", "::1", 1))
    assert made.direction == "out"
    assert made.at.tzinfo is UTC
    assert "-> tcp:[::1]:1" in format_record(made)
