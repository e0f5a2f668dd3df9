"""Settings that are right one by one and wrong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from server.config.errors import Path, Problem
from server.config.model import Account, Config, Trunk
from server.config.values import HostPort

WILDCARD = "0.0.0.0"  # noqa: S104  compared with, not bound to


def contradictions(config: Config) -> Iterator[Problem]:
    """Find every pair of settings that cannot both hold."""
    yield from _ports(config)
    yield from _names("trunk", [trunk.name for trunk in config.trunks])
    yield from _names("user", [user.name for user in config.users])
    yield from _names("inbound", [inbound.number for inbound in config.inbound], key="number")
    for index, trunk in enumerate(config.trunks):
        yield from _trunk(("trunk", index), trunk)
        yield from _failover(("trunk", index, "failover"), trunk, config)
    for index, user in enumerate(config.users):
        yield from _password(("user", index), user)
        if not (user.password.get_secret_value() or user.password_env):
            yield Problem(
                ("user", index, "password"), "is missing: a phone without one is let in by nobody"
            )


def _ports(config: Config) -> Iterator[Problem]:
    if config.sip.bind.port in config.rtp.ports:
        yield Problem(
            ("rtp", "ports"), f"port {config.sip.bind.port} in this range is that of [sip] bind"
        )
    if config.sip.bind.port and _overlap(config.sip.bind, config.http.bind):
        yield Problem(("http", "bind"), f"is the same port as [sip] bind, {config.sip.bind}")
    calls = sum(trunk.max_calls for trunk in config.trunks)
    if calls > len(config.rtp.ports) // 2:
        yield Problem(
            ("rtp", "ports"),
            f"has {len(config.rtp.ports)} ports, and the trunks may carry {calls} calls: "
            "every call takes an even port and the next",
        )


def _overlap(one: HostPort, other: HostPort) -> bool:
    same_host = one.host == other.host or WILDCARD in {one.host, other.host}
    return one.port == other.port and same_host


def _names(table: str, names: Iterable[str], *, key: str = "name") -> Iterator[Problem]:
    for (first, name), (second, other) in combinations(enumerate(names), 2):
        if name == other:
            yield Problem(
                (table, second, key), f'"{name}" is already the {key} of {table}[{first}]'
            )


def _trunk(place: Path, trunk: Trunk) -> Iterator[Problem]:
    yield from _password(place, trunk)
    has_password = bool(trunk.password.get_secret_value() or trunk.password_env)
    if trunk.register_ and not trunk.username:
        yield Problem((*place, "register"), "is true, but there is no username to register with")
    elif trunk.username and not has_password:
        yield Problem((*place, "username"), "has no password: set password or password_env")
    elif has_password and not trunk.username:
        yield Problem((*place, "username"), "is missing: there is a password without one")
    if not trunk.codecs:
        yield Problem((*place, "codecs"), 'is empty: expected "PCMA", "PCMU" or both')
    if len(set(trunk.codecs)) < len(trunk.codecs):
        yield Problem((*place, "codecs"), "names a codec twice")


def _failover(place: Path, trunk: Trunk, config: Config) -> Iterator[Problem]:
    for index, name in enumerate(trunk.failover):
        if name == trunk.name:
            yield Problem((*place, index), "is this trunk itself")
        elif config.trunk(name) is None:
            known = ", ".join(other.name for other in config.trunks if other is not trunk)
            yield Problem(
                (*place, index), f'there is no trunk "{name}"; the others are: {known or "none"}'
            )


def _password(place: Path, account: Account) -> Iterator[Problem]:
    if account.password.get_secret_value() and account.password_env:
        yield Problem((*place, "password_env"), "and password are both set: keep one of them")
