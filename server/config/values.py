"""The kinds of value tongdai.toml holds, beyond TOML's own: each is read from text and checked.

Every parser raises ValueError with what was expected; `server.config_errors` adds the place.
"""

from __future__ import annotations

import ipaddress
import json
import re
import zoneinfo
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from phonenumbers import SUPPORTED_REGIONS
from pydantic import BeforeValidator, PlainSerializer

from store import engines
from store.errors import UnsupportedDatabase

SIP_PORT = 5060
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_HOSTNAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_NUMBER = re.compile(r"\+?[0-9]{2,15}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_PREFIX = re.compile(r"[0-9*#+]{0,16}")
_USER = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host (IPv4 address or name) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def _text(value: Any, example: str) -> str:
    if not isinstance(value, str):
        got = json.dumps(value, default=str)
        raise ValueError(f'expected text in quotes, such as "{example}"; got {got}')
    return value.strip()


def _split(text: str, default: int | None) -> tuple[str, int]:
    """Host and port of `host:port`, or of a host alone where there is a default port."""
    host, colon, port = text.partition(":")
    if not colon and default is not None:
        return host, default
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError
    return host, int(port)


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def parse_bind(value: Any) -> HostPort:
    """Where to listen: an IPv4 address of this machine and a port (0: any free one)."""
    text = _text(value, "0.0.0.0:5060")
    try:
        host, port = _split(text, None)
        ipaddress.IPv4Address(host)
    except ValueError:
        raise ValueError(
            f'expected an IPv4 address of this machine and a port, such as "0.0.0.0:5060"; '
            f'got "{text}"'
        ) from None
    return HostPort(host, port)


def parse_host(value: Any) -> HostPort:
    """Another machine: a name or address, and a port unless it is 5060."""
    text = _text(value, "sip.carrier.vn:5060")
    try:
        host, port = _split(text, SIP_PORT)
    except ValueError:
        host, port = "", 0
    numeric = re.fullmatch(r"[0-9.]+", host) is not None
    known = _is_address(host) or (not numeric and _HOSTNAME.fullmatch(host) is not None)
    if not known or not port:
        raise ValueError(
            f'expected a host and perhaps a port, such as "sip.carrier.vn:5060"; got "{text}"'
        )
    return HostPort(host, port)


def parse_address(value: Any) -> str:
    """An IPv4 address, or nothing."""
    text = _text(value, "203.0.113.10")
    if text and not _is_address(text):
        raise ValueError(f'expected an IPv4 address such as "203.0.113.10", or ""; got "{text}"')
    return text


def parse_network(value: Any) -> str:
    """An IP address, or a network in CIDR notation."""
    text = _text(value, "203.0.113.0/24")
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f'expected an IP address or a network such as "203.0.113.0/24"; got "{text}"'
        ) from None
    return text


def parse_ports(value: Any) -> range:
    """A range of UDP ports, first-last, both included."""
    text = _text(value, "20000-29999")
    match = re.fullmatch(r"([0-9]{1,5})\s*-\s*([0-9]{1,5})", text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1024 <= first < last <= 65535:
        raise ValueError(
            f'expected two ports from 1024 to 65535, first-last, such as "20000-29999"; '
            f'got "{text}"'
        )
    return range(first, last + 1)


def parse_zone(value: Any) -> zoneinfo.ZoneInfo:
    """A time zone by its IANA name."""
    text = _text(value, "Asia/Ho_Chi_Minh")
    try:
        return zoneinfo.ZoneInfo(text)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError(
            f'expected the name of a time zone such as "Asia/Ho_Chi_Minh"; got "{text}"'
        ) from None


def parse_region(value: Any) -> str:
    """A country whose number plan phonenumbers knows, ISO 3166-1 alpha-2."""
    text = _text(value, "VN")
    if text not in SUPPORTED_REGIONS:
        raise ValueError(f'expected a country code of two letters such as "VN"; got "{text}"')
    return text


def parse_caller_id(value: Any) -> str:
    """A number to show: E.164 with +, or an extension or short code in digits alone."""
    text = _text(value, "+842873000000")
    if not _NUMBER.fullmatch(text):
        raise ValueError(
            f'expected a number such as "+842873000000", digits without spaces; got "{text}"'
        )
    return text


def parse_user(value: Any) -> str:
    """The user part of a SIP address: letters, digits, dot, hyphen, underscore."""
    text = _text(value, "agent1")
    if not _USER.fullmatch(text):
        raise ValueError(
            f'expected a user name of letters, digits and ".", "_", "-", such as "agent1"; '
            f'got "{text}"'
        )
    return text


def parse_language(value: Any) -> str:
    """A language a voice speaks, as BCP 47 writes it."""
    text = _text(value, "vi")
    if not _LANGUAGE.fullmatch(text):
        raise ValueError(f'expected a language such as "vi" or "en-gb"; got "{text}"')
    return text


def parse_prefix(value: Any) -> str:
    """A carrier's technical prefix: what may be dialled."""
    text = _text(value, "99")
    if not _PREFIX.fullmatch(text):
        raise ValueError(f'expected at most 16 of 0-9, "*", "#" and "+"; got "{text}"')
    return text


def parse_database(value: Any) -> str:
    """The URL of a SQLite file or a PostgreSQL database. The URL itself may hold a password."""
    text = _text(value, "sqlite:///tongdai.db")
    try:
        engines.parse_url(text, Path())
    except UnsupportedDatabase:
        raise ValueError(
            'expected "sqlite:///FILE" or "postgresql+psycopg://USER:PASSWORD@HOST/NAME"'
        ) from None
    return text


def _show_ports(ports: range) -> str:
    return f"{ports.start}-{ports.stop - 1}"


Bind = Annotated[HostPort, BeforeValidator(parse_bind), PlainSerializer(str)]
Host = Annotated[HostPort, BeforeValidator(parse_host), PlainSerializer(str)]
IpAddress = Annotated[str, BeforeValidator(parse_address)]
Network = Annotated[str, BeforeValidator(parse_network)]
Ports = Annotated[range, BeforeValidator(parse_ports), PlainSerializer(_show_ports)]
Zone = Annotated[zoneinfo.ZoneInfo, BeforeValidator(parse_zone), PlainSerializer(str)]
Region = Annotated[str, BeforeValidator(parse_region)]
CallerId = Annotated[str, BeforeValidator(parse_caller_id)]
Language = Annotated[str, BeforeValidator(parse_language)]
Prefix = Annotated[str, BeforeValidator(parse_prefix)]
UserName = Annotated[str, BeforeValidator(parse_user)]
DatabaseUrl = Annotated[str, BeforeValidator(parse_database)]
