"""Addresses on the wire."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Literal, NamedTuple

from ivr.sip.errors import TransportError

_BIND = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):(\d{1,5})")


class Peer(NamedTuple):
    """An address on the wire. `host` is an IP address, never a name; IPv6 without brackets."""

    transport: Literal["udp", "tcp"]
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


@lru_cache(maxsize=4096)
def is_address(host: str) -> bool:
    """Whether `host` is an IP address: to send to a name would block on the look-up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse_bind(bind: str) -> tuple[str, int]:
    """Host and port of an address to listen on. Raises TransportError."""
    matched = _BIND.fullmatch(bind)
    host = (matched[1] or matched[2]) if matched else ""
    if matched is None or not is_address(host) or int(matched[3]) > 65535:
        raise TransportError(
            f"SIP cannot listen on {bind!r}: expected an IP address and a port, "
            "as 0.0.0.0:5060 or [::]:5060."
        )
    return host, int(matched[3])
