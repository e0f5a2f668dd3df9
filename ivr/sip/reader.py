"""Reading messages: strict where RFC 4475 needs it, and one exception for all that is wrong."""

from __future__ import annotations

import re

from aiosipua.headers import (
    COMPACT_HEADERS,
    MULTI_INSTANCE_HEADERS,
    CaseInsensitiveDict,
    prettify_header_name,
)

from ivr.sip.errors import MalformedMessage
from ivr.sip.model import SipRequest, SipResponse
from ivr.sip.syntax import TOKEN, parse_address, parse_uri, split_values

MAX_HEADERS = 256
MAX_HEADER_LENGTH = 8192  # characters of one header line
MAX_CALL_ID_LENGTH = 512
MAX_BODY = 65535
REQUIRED = ("via", "from", "to", "call-id", "cseq")  # Max-Forwards: phones omit it, nobody minds
_SINGLE = ("from", "to", "call-id", "cseq", "content-length", "max-forwards")
# aiosipua knows the short names of RFC 3261; these were registered later.
_COMPACT = COMPACT_HEADERS | {
    "b": "referred-by",
    "o": "event",
    "r": "refer-to",
    "u": "allow-events",
    "x": "session-expires",
}
# The names as nearly everyone writes them, so that few have to be looked at closely.
_KNOWN = {prettify_header_name(name): name for name in (*MULTI_INSTANCE_HEADERS, *_SINGLE)} | {
    name: name.lower()
    for name in ("User-Agent", "Server", "Content-Type", "Expires", "Session-Expires", "Min-SE")
}
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"[ \t]*\n[ \t]+")
_NUMBER = re.compile(r"\d{1,10}")
_REQUEST_LINE = re.compile(rf"({TOKEN.pattern}) ([^\s<>]+) SIP/(\d+\.\d+)", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?", re.IGNORECASE)


def parse_message(data: bytes) -> SipRequest | SipResponse:
    """Read one message as it came from the wire.

    Folded lines are joined, short header names spelt out, lists split into values, the body cut
    to Content-Length (§18.3). Raises MalformedMessage, and nothing else, with the status to
    answer (400; 505 for a version other than 2.0) and the request as far as it was read.
    """
    if data[:1] in (b"\r", b"\n"):
        data = data.lstrip(b"\r\n")  # §7.5
    end = _HEAD_END.search(data)
    head = (data[: end.start()] if end else data).decode("utf-8", "replace")
    start_line, *lines = _unfold(head)
    headers = CaseInsensitiveDict()
    message: SipRequest | SipResponse
    message = (SipResponse if start_line[:4].upper() == "SIP/" else SipRequest)(headers=headers)
    try:
        if end is None:
            raise MalformedMessage("The message ends before the empty line after its headers.")
        _read_headers(lines, headers)
        if isinstance(message, SipRequest):
            _read_request_line(start_line, message)
        else:
            _read_status_line(start_line, message)
        _check_headers(message)
        message.body = _cut_body(data[end.end() :], headers)
    except MalformedMessage as error:
        request = message if isinstance(message, SipRequest) else None
        raise MalformedMessage(error.reason, request, status=error.status) from None
    return message


def _unfold(head: str) -> list[str]:
    """Lines without their ends; a line that starts with white space continues the one before."""
    head = head.replace("\r\n", "\n")
    if "\n " in head or "\n\t" in head:
        head = _FOLD.sub(" ", head)
    return head.split("\n")


def _read_headers(lines: list[str], headers: CaseInsensitiveDict) -> None:
    """Fill `headers`; what is wrong with one line is raised only after all have been read."""
    problem = ""
    if len(lines) > MAX_HEADERS:
        problem = f"The message has more than {MAX_HEADERS} header lines."
    for line in lines[:MAX_HEADERS]:
        name, colon, value = line.partition(":")
        key = _KNOWN.get(name) or _header_key(name)
        if not colon or not key or "\r" in line or len(line) > MAX_HEADER_LENGTH:
            problem = problem or f"The header line {line[:80]!r} is malformed or too long."
            continue
        try:
            values = split_values(value) if key in MULTI_INSTANCE_HEADERS else (value.strip(),)
        except MalformedMessage as error:
            problem = problem or error.reason
            continue
        for each in values:
            headers.append(key, each)
    if problem:
        raise MalformedMessage(problem)


def _header_key(name: str) -> str:
    """The header's full name in lower case; empty when it is no name (§25.1 token)."""
    name = name.rstrip().lower()
    return _COMPACT.get(name, name) if TOKEN.fullmatch(name) else ""


def _read_request_line(line: str, request: SipRequest) -> None:
    matched = _REQUEST_LINE.fullmatch(line)
    if matched is None:
        request.method = line.partition(" ")[0][:32]
        raise MalformedMessage(f"The request line {line[:80]!r} is not METHOD URI SIP/2.0.")
    request.method, request.uri = matched[1], matched[2]
    if matched[3] != "2.0":
        raise MalformedMessage(f"The SIP version {matched[3]} is not 2.0.", status=505)
    if parse_uri(request.uri).headers:
        raise MalformedMessage(f"The request URI {request.uri[:80]!r} has headers (§19.1.1).")


def _read_status_line(line: str, response: SipResponse) -> None:
    matched = _STATUS_LINE.fullmatch(line)
    if matched is None:
        raise MalformedMessage(f"The status line {line[:80]!r} is not SIP/2.0 STATUS REASON.")
    response.status_code, response.reason_phrase = int(matched[1]), matched[2] or ""


def _check_headers(message: SipRequest | SipResponse) -> None:
    """Raise on what no transaction can be built from (RFC 3261 §8.1.1, RFC 4475 §3)."""
    get = message.headers.get
    for name in REQUIRED:
        if not get(name):
            raise MalformedMessage(f"The message has no {name} header.")
    for name in _SINGLE:
        if len(get(name)) > 1:
            raise MalformedMessage(f"The message has more than one {name} header.")
    method = message.cseq.method
    if isinstance(message, SipRequest) and method != message.method:
        raise MalformedMessage(f"The CSeq method {method[:32]!r} is not {message.method[:32]!r}.")
    top_via, *_ = message.via
    if top_via.protocol.upper() != "SIP/2.0":
        raise MalformedMessage("The topmost Via is not of SIP/2.0.", status=505)
    if not message.call_id or len(message.call_id) > MAX_CALL_ID_LENGTH:
        raise MalformedMessage(f"The Call-ID is empty or over {MAX_CALL_ID_LENGTH} characters.")
    parse_address(get("from")[0])
    parse_address(get("to")[0])
    _bounded_number(message.headers, "max-forwards", 255)


def _bounded_number(headers: CaseInsensitiveDict, name: str, limit: int) -> int | None:
    value = headers.get_first(name)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value) or int(value) > limit:
        raise MalformedMessage(f"The {name} {value[:80]!r} is not a number from 0 to {limit}.")
    return int(value)


def _cut_body(body: bytes, headers: CaseInsensitiveDict) -> bytes:
    """The body as far as Content-Length says; without one, all of it (§18.3)."""
    length = _bounded_number(headers, "content-length", MAX_BODY)
    if length is None:
        return body
    if length > len(body):
        raise MalformedMessage(f"Content-Length is {length}, but {len(body)} bytes of body came.")
    return body[:length]
