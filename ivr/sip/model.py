"""The message classes: aiosipua's, with accessors that refuse what cannot be understood."""

from __future__ import annotations

from collections.abc import Iterable

import aiosipua.message
from aiosipua.headers import Address, CSeq, Via, prettify_header_name

from ivr.sip.errors import MalformedMessage, ProtocolError
from ivr.sip.syntax import (
    parse_address,
    parse_cseq,
    parse_via,
    stringify_address,
    stringify_cseq,
    stringify_via,
)

_PLACED = ("via", "content-length")  # first and last, whatever their place among the headers
# Names aiosipua does not know and would spell otherwise.
_SPELT = {"rack": "RAck", "rseq": "RSeq", "min-se": "Min-SE", "sip-etag": "SIP-ETag"}


class SipMessage(aiosipua.message.SipMessage):
    """A request or a response: `headers` (case-insensitive, ordered values) and `body` bytes.

    The accessors read the header each time: changing what they return changes nothing, assign
    it back instead. They raise MalformedMessage when the header is missing or cannot be read;
    on what `parse_message` returned, Via, From, To, Call-ID and CSeq never do, and a request URI
    can be parsed.
    """

    def __bytes__(self) -> bytes:
        """The message for the wire, with the Content-Length of its body.

        Via comes first, as RFC 3261 §7.3.1 recommends. Names keep the letters they were given:
        some peers compare them, wrongly, by case. Raises ProtocolError where a line holds more
        than one: a value from elsewhere must not add headers of its own.
        """
        lines = [self._start_line(), *(f"Via: {value}" for value in self.headers.get("via"))]
        for name, values in self.headers.items():
            key = name.lower()
            if key not in _PLACED:
                spelt = (_SPELT.get(key) or prettify_header_name(key)) if name == key else name
                lines += [f"{spelt}: {value}" for value in values]
        head = "\r\n".join(lines)
        if not head.count("\r") == head.count("\n") == len(lines) - 1:
            raise ProtocolError("A SIP message would have had a line break inside a header.")
        return f"{head}\r\nContent-Length: {len(self.body)}\r\n\r\n".encode() + self.body

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
