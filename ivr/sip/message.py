"""SIP messages: what the rest of the signalling package reads, writes and builds.

A façade over aiosipua's message classes with a stricter reader: whatever arrives, the only
exception is `MalformedMessage`, and it says what a well-behaved element answers (RFC 4475).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

import aiosipua.message
from aiosipua.headers import (
    COMPACT_HEADERS,
    MULTI_INSTANCE_HEADERS,
    Address,
    AuthChallenge,
    AuthCredentials,
    CaseInsensitiveDict,
    CSeq,
    SipUri,
    Via,
    parse_auth,
    prettify_header_name,
    stringify_auth,
)

from ivr.sip.errors import MalformedMessage
from ivr.sip.reasons import REASONS
from ivr.sip.syntax import (
    TOKEN,
    format_hostport,
    parse_address,
    parse_cseq,
    parse_params,
    parse_uri,
    parse_via,
    split_values,
    stringify_address,
    stringify_cseq,
    stringify_params,
    stringify_uri,
    stringify_via,
)

__all__ = [
    "REASONS",
    "Address",
    "AuthChallenge",
    "AuthCredentials",
    "CSeq",
    "CaseInsensitiveDict",
    "MalformedMessage",
    "SipMessage",
    "SipRequest",
    "SipResponse",
    "SipUri",
    "Via",
    "format_hostport",
    "make_response",
    "new_branch",
    "new_call_id",
    "new_tag",
    "parse_address",
    "parse_auth",
    "parse_cseq",
    "parse_message",
    "parse_params",
    "parse_uri",
    "parse_via",
    "split_values",
    "stringify_address",
    "stringify_auth",
    "stringify_cseq",
    "stringify_params",
    "stringify_uri",
    "stringify_via",
]

MAGIC_COOKIE = "z9hG4bK"  # RFC 3261 §8.1.1.7
MAX_HEADERS = 256
MAX_HEADER_LENGTH = 8192  # characters of one header line
MAX_CALL_ID_LENGTH = 512
MAX_BODY = 65535
REQUIRED = ("via", "from", "to", "call-id", "cseq")  # Max-Forwards: phones omit it, nobody minds
_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")
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


class SipMessage(aiosipua.message.SipMessage):
    """A request or a response: `headers` (case-insensitive, ordered values) and `body` bytes.

    The accessors read the header each time: changing what they return changes nothing, assign
    it back instead. They raise MalformedMessage when the header is missing or cannot be read;
    on what `parse_message` returned, Via, From, To, Call-ID and CSeq never do, and a request URI
    can be parsed.
    """

    def _required(self, name: str) -> str:
        value = self.headers.get_first(name)
        if value is None:
            raise MalformedMessage(f"The message has no {name} header.")
        return value

    @property
    def top_via(self) -> Via:
        """The first Via: who sent this request, or whom this response answers."""
        return parse_via(self._required("via"))

    @property
    def via(self) -> list[Via]:
        """Every Via, the latest hop first."""
        return [parse_via(value) for value in self.headers.get("via")]

    @via.setter
    def via(self, vias: list[Via]) -> None:
        self.set_headers("Via", map(stringify_via, vias))

    @property
    def from_addr(self) -> Address:
        """The From header."""
        return parse_address(self._required("from"))

    @from_addr.setter
    def from_addr(self, address: Address) -> None:
        self.headers.set_single("From", stringify_address(address))

    @property
    def to_addr(self) -> Address:
        """The To header."""
        return parse_address(self._required("to"))

    @to_addr.setter
    def to_addr(self, address: Address) -> None:
        self.headers.set_single("To", stringify_address(address))

    @property
    def cseq(self) -> CSeq:
        """The CSeq header."""
        return parse_cseq(self._required("cseq"))

    @cseq.setter
    def cseq(self, cseq: CSeq) -> None:
        self.headers.set_single("CSeq", stringify_cseq(cseq))

    @property
    def call_id(self) -> str:
        """The Call-ID header."""
        return self._required("call-id")

    @call_id.setter
    def call_id(self, value: str) -> None:
        self.headers.set_single("Call-ID", value)

    @property
    def contact(self) -> list[Address]:
        """Every Contact; a lone `*` (RFC 3261 §10.2.2) is not an address and must be looked for."""
        return [parse_address(value) for value in self.headers.get("contact")]

    @contact.setter
    def contact(self, addresses: list[Address]) -> None:
        self.set_headers("Contact", map(stringify_address, addresses))

    def set_headers(self, name: str, values: Iterable[str]) -> None:
        """Replace every value of a header."""
        self.headers.remove(name)
        for value in values:
            self.headers.append(name, value)


class SipRequest(SipMessage, aiosipua.message.SipRequest):
    """A request: `method`, `uri` (as text), headers and body."""


class SipResponse(SipMessage, aiosipua.message.SipResponse):
    """A response: `status_code`, `reason_phrase`, headers and body."""


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


def make_response(
    request: SipRequest,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> SipResponse:
    """Answer `request` as RFC 3261 §8.2.6 says.

    Via, From, To, Call-ID and CSeq are copied; Record-Route into 101–299 (§12.1.1), Timestamp
    into 100. A To without a tag gets `to_tag`, or a new tag for every status but 100.
    `reason` defaults to the registered phrase.
    """
    ours = CaseInsensitiveDict()
    response = SipResponse(
        headers=ours,
        body=body,
        status_code=status,
        reason_phrase=_one_line(reason) if reason is not None else REASONS.get(status, "Unknown"),
    )
    copied = _COPIED + (("Record-Route",) if 100 < status < 300 else ())
    for name in (*copied, "Timestamp") if status == 100 else copied:
        for value in request.headers.get(name):
            ours.append(name, value)
    if status > 100 or to_tag:
        _tag_to(response, to_tag)
    for name, value in headers:
        ours.append(name, value)
    if content_type is not None:
        ours.set_single("Content-Type", content_type)
    return response


def _tag_to(response: SipResponse, tag: str | None) -> None:
    """Give the To header a tag unless it has one; its text stays as the peer wrote it."""
    to = response.headers.get_first("to")
    if to is None:
        return
    try:
        if parse_address(to).tag is not None:
            return
    except MalformedMessage:
        return
    response.headers.set_single("To", f"{to};tag={tag or new_tag()}")


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def new_branch() -> str:
    """A Via branch no other transaction has, with the magic cookie of RFC 3261 §8.1.1.7."""
    return MAGIC_COOKIE + secrets.token_hex(10)


def new_tag() -> str:
    """A tag for From or To: unique and not to be guessed (§19.3)."""
    return secrets.token_hex(8)


def new_call_id() -> str:
    """A Call-ID; random alone, so that it tells nobody the address of this machine."""
    return secrets.token_hex(16)
