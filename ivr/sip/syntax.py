"""URIs, addresses, Via and CSeq: header values to data and back (RFC 3261 §25.1).

The data classes are aiosipua's. Reading and writing is done here because what arrives is
written by anyone: quoted strings and user parts may hold every separator there is, and each
malformed value must end as one `MalformedMessage`, never as a wrong guess about who is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from aiosipua.headers import Address, CSeq, SipUri, Via

from ivr.sip.errors import MalformedMessage

MAX_CSEQ = 2**31 - 1  # RFC 3261 §8.1.1.5
TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+\-.]*):")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SPACE = re.compile(r"\s+")
# The last two alternatives catch what never closes, so that no input is scanned twice.
_ENCLOSED_OR = {
    separator: re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*>|["<]|' + separator, re.DOTALL)
    for separator in (",", ";")
}
# A name, an IPv4 address or a bracketed IPv6 reference, then perhaps a port.
_HOSTPORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~]+)(?:\s*:\s*(\d{1,5}))?")
_VIA = re.compile(r"([^\s/;]+)\s*/\s*([^\s/;]+)\s*/\s*([^\s/;]+)\s+([^;]*)(?:;(.*))?", re.DOTALL)
_CSEQ = re.compile(r"(\d{1,10})\s+(\S+)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def split_values(value: str, separator: str = ",") -> list[str]:
    """Split at `separator`, except inside quotes and angle brackets; empty parts fall away.

    Raises MalformedMessage when a quote or a bracket does not close.
    """
    if '"' not in value and "<" not in value:
        return [part for piece in value.split(separator) if (part := piece.strip())]
    return [part for piece in _split_enclosed(value, separator) if (part := piece.strip())]


def _split_enclosed(value: str, separator: str) -> Iterator[str]:
    start = 0
    for matched in _ENCLOSED_OR[separator].finditer(value):
        if matched[0] in ('"', "<"):
            raise MalformedMessage(f"A {matched[0]} in {value[:80]!r} does not close.")
        if matched[0] == separator:
            yield value[start : matched.start()]
            start = matched.end()
    yield value[start:]


def parse_params(text: str) -> dict[str, str | None]:
    """`;name=value` parameters; names in lower case, a bare name maps to None.

    Raises MalformedMessage on a parameter without a name.
    """
    params: dict[str, str | None] = {}
    for part in split_values(text, ";"):
        name, equals, value = part.partition("=")
        name = name.rstrip().lower()
        if not name:
            raise MalformedMessage(f"The parameter {part[:80]!r} has no name.")
        params[name] = value.lstrip() if equals else None
    return params


def stringify_params(params: dict[str, str | None]) -> str:
    """The reverse of `parse_params`, with its leading semicolon."""
    return "".join(
        f";{name}" if value is None else f";{name}={value}" for name, value in params.items()
    )


def parse_uri(text: str) -> SipUri:
    """Read a URI; of schemes other than sip and sips only `scheme` and an opaque `host` are set.

    The user part keeps its escapes as written. Raises MalformedMessage.
    """
    text = text.strip()
    matched = _SCHEME.match(text)
    if matched is None:
        raise MalformedMessage(f"The URI {text[:80]!r} has no scheme.")
    scheme, rest = matched[1].lower(), text[matched.end() :]
    if scheme not in ("sip", "sips"):
        return _opaque_uri(scheme, rest)
    user, at, host = rest.partition("@")  # the user part may hold ; ? and : (RFC 4475 §3.1.1.2)
    if not at:
        user, host = "", rest
    host, question, headers = host.partition("?")
    hostport, _, params = host.partition(";")
    name, port = _parse_hostport(hostport, text)
    if at and (not user or _SPACE.search(user)):
        raise MalformedMessage(f"The URI {text[:80]!r} has a malformed user part.")
    return SipUri(
        scheme=scheme,
        user=user if at else None,
        host=name,
        port=port,
        params=parse_params(params) if params else {},
        headers=dict(pair.partition("=")[::2] for pair in headers.split("&")) if question else {},
    )


def _opaque_uri(scheme: str, rest: str) -> SipUri:
    if not rest or _SPACE.search(rest):
        raise MalformedMessage(f"The URI {scheme + ':' + rest[:80]!r} is empty or has spaces.")
    opaque, semicolon, params = rest.partition(";")
    return SipUri(scheme=scheme, host=opaque, params=parse_params(params) if semicolon else {})


def _parse_hostport(hostport: str, where: str) -> tuple[str, int | None]:
    matched = _HOSTPORT.fullmatch(hostport.strip())
    if matched is None:
        raise MalformedMessage(f"{where[:80]!r} has no valid host and port.")
    port = matched[2]
    if port is None:
        return matched[1], None
    if not 0 < int(port) < 65536:
        raise MalformedMessage(f"The port in {where[:80]!r} is not between 1 and 65535.")
    return matched[1], int(port)


def stringify_uri(uri: SipUri) -> str:
    """The URI as text; an IPv6 host gets its brackets."""
    if uri.scheme not in ("sip", "sips"):
        return f"{uri.scheme}:{uri.host}{stringify_params(uri.params)}"
    user = f"{uri.user}@" if uri.user is not None else ""
    headers = "&".join(f"{name}={value}" for name, value in uri.headers.items())
    return (
        f"{uri.scheme}:{user}{format_hostport(uri.host, uri.port)}{stringify_params(uri.params)}"
        f"{'?' + headers if headers else ''}"
    )


def format_hostport(host: str, port: int | None) -> str:
    """`host:port`, with brackets round a bare IPv6 address."""
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return bracketed if port is None else f"{bracketed}:{port}"


def parse_address(text: str) -> Address:
    """Read a name-addr or addr-spec with its parameters (RFC 3261 §20.10).

    Without angle brackets every parameter belongs to the header, not to the URI.
    The display name comes without quotes and escapes. Raises MalformedMessage.
    """
    text = text.strip()
    if text.startswith('"'):
        quoted = _QUOTED.match(text)
        if quoted is None:
            raise MalformedMessage(f"The quoted name in {text[:80]!r} does not end.")
        name = _ESCAPED.sub(r"\1", quoted[0][1:-1])
        return _parse_bracketed(name, text[quoted.end() :].lstrip(), text)
    name, bracket, rest = text.partition("<")
    if bracket:
        return _parse_bracketed(_SPACE.sub(" ", name.strip()), "<" + rest, text)
    if "?" in text or "," in text:
        raise MalformedMessage(f"The address {text[:80]!r} needs angle brackets.")
    uri, semicolon, params = text.partition(";")
    return Address(uri=parse_uri(uri), params=parse_params(params) if semicolon else {})


def _parse_bracketed(name: str, text: str, where: str) -> Address:
    uri, bracket, rest = text[1:].partition(">")
    rest = rest.lstrip()
    if not text.startswith("<") or not bracket or (rest and not rest.startswith(";")):
        raise MalformedMessage(f"The address {where[:80]!r} is not of the form name <uri>;params.")
    return Address(
        display_name=name or None,
        uri=parse_uri(uri),
        params=parse_params(rest) if rest else {},
    )


def stringify_address(address: Address) -> str:
    """The address as name-addr, its display name quoted and escaped."""
    name = ""
    if address.display_name:
        escaped = address.display_name.replace("\\", "\\\\").replace('"', '\\"')
        name = f'"{escaped}" '
    return f"{name}<{stringify_uri(address.uri)}>{stringify_params(address.params)}"


def parse_via(text: str) -> Via:
    """Read one Via value; the transport comes in upper case. Raises MalformedMessage."""
    matched = _VIA.fullmatch(text)
    if matched is None:
        raise MalformedMessage(f"The Via {text[:80]!r} is not of the form SIP/2.0/UDP host;params.")
    host, port = _parse_hostport(matched[4], text)
    return Via(
        protocol=f"{matched[1]}/{matched[2]}",
        transport=matched[3].upper(),
        host=host,
        port=port,
        params=parse_params(matched[5]) if matched[5] else {},
    )


def stringify_via(via: Via) -> str:
    """The Via as one header value."""
    sent_by = format_hostport(via.host, via.port)
    return f"{via.protocol}/{via.transport} {sent_by}{stringify_params(via.params)}"


def parse_cseq(text: str) -> CSeq:
    """Read a CSeq; its number must be below 2**31 (§8.1.1.5). Raises MalformedMessage."""
    matched = _CSEQ.fullmatch(text)
    if matched is None or int(matched[1]) > MAX_CSEQ:
        raise MalformedMessage(f"The CSeq {text[:80]!r} is not a number below 2**31 and a method.")
    return CSeq(seq=int(matched[1]), method=matched[2])


def stringify_cseq(cseq: CSeq) -> str:
    """The CSeq as one header value."""
    return f"{cseq.seq} {cseq.method}"
