"""What `tongdai doctor` looks at. Each check says what it found, and what to do about it."""

from __future__ import annotations

import re
import resource
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from server.client import Client
from server.config import FILE, Config, ConfigError, load
from server.rundir import ServerError
from store.database import Database
from store.errors import StoreError
from store.models import CallRow

PYTHON = (3, 11)
LEAST_DISK = 1 << 30  # bytes: below this, recordings soon fail
RECORDED = 32_000  # bytes a second: 8 kHz, 16 bit, both directions
FILES_PER_CALL, FILES_BESIDE = 2, 200
AHEAD = timedelta(minutes=2)  # a call on record that is further ahead shows a clock set back


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"  # Tongdai works, but you should know
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome; `advice` says what to do where it is not ok."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Finding:
    """A check that passed."""
    return Finding(name, Verdict.OK, found)


def warning(name: str, found: str, advice: str) -> Finding:
    """A check that found something to know of."""
    return Finding(name, Verdict.WARNING, found, advice)


def failed(name: str, found: str, advice: str) -> Finding:
    """A check that found what keeps Tongdai from working."""
    return Finding(name, Verdict.FAILED, found, advice)


def examine(
    home: Path, check_trunks: Callable[[Config], list[dict[str, Any]]]
) -> Iterator[Finding]:
    """Every check, one after the other; those that need a configuration, if there is one."""
    yield python()
    yield program("ffmpeg", "-version", "sound files cannot be used as messages")
    yield program("espeak-ng", "--version", "texts cannot be spoken as messages")
    yield disk(home)
    try:
        config = load(home)
    except ConfigError as error:
        for problem in error.problems:
            yield failed("configuration", problem, "mend it, then run `tongdai doctor` again")
        return
    yield configuration(home, config)
    yield database(home, config)
    running = server_of(home)
    yield running
    if running.verdict is Verdict.OK:
        yield ok("ports", "in use by the server that runs here")
    else:
        yield from ports(config)
    yield files(config)
    yield clock(home, config)
    yield from trunks(config, check_trunks)


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Python is new enough."""
    text = ".".join(map(str, version))
    if version[:2] < PYTHON:
        return failed("Python", text, "install Python 3.11 or later")
    return ok("Python", text)


def program(name: str, option: str, without: str) -> Finding:
    """A program of the system that Tongdai calls."""
    path = shutil.which(name)
    if path is None:
        return failed(name, f"not found; without it {without}", f"apt install {name}")
    try:
        done = subprocess.run(  # noqa: S603  a fixed program with a fixed option
            [path, option], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return failed(name, f"{path} does not run ({error})", f"apt reinstall {name}")
    number = re.search(r"\d+(\.\d+)+", done.stdout)
    return ok(name, number[0] if number else path)


def disk(home: Path) -> Finding:
    """There is room for recordings."""
    existing = next(folder for folder in (home, *home.resolve().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    hours = free // RECORDED // 3600
    found = f"{free / 1e9:.1f} GB free, for {hours:,} hours of recordings"
    if free < LEAST_DISK:
        return failed("disk", found, f"make room where {home} is")
    return ok("disk", found)


def configuration(home: Path, config: Config) -> Finding:
    """The configuration can be read, its passwords are there, and nobody else can read them."""
    path = home / FILE
    try:
        for account in (*config.trunks, *config.users):
            account.secret()
    except ConfigError as error:
        return failed("configuration", str(error), "export it in the shell or the service's unit")
    has_secret = any(one.password.get_secret_value() for one in (*config.trunks, *config.users))
    if has_secret and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return warning(
            "configuration", f"{path} holds a password others can read", f"chmod 600 {path}"
        )
    return ok("configuration", str(path))


def database(home: Path, config: Config) -> Finding:
    """The database opens and is of this version."""
    try:
        db = Database.open(config.database, home=home)
    except StoreError as error:
        return failed("database", str(error), "mend that, then run `tongdai doctor` again")
    try:
        return ok("database", db.place)
    finally:
        db.close()


def server_of(home: Path) -> Finding:
    """A server runs on this home."""
    try:
        client = Client(home, timeout=5.0)
        client.status()  # asks for the token: it is this home's server, and not another on its port
        health = client.health()
    except ServerError as error:
        return warning("server", str(error), "nothing is dialled until `tongdai serve` runs")
    if health["status"] == "ok":
        return ok("server", "runs")
    parts = ", ".join(f"{part} {health[part]}" for part in ("database", "media"))
    return failed("server", f"runs, and is {health['status']}: {parts}", "see its log")


def ports(config: Config) -> Iterator[Finding]:
    """The addresses of the configuration are free."""
    rtp_host = config.rtp.bind or config.sip.bind.host
    wanted = [
        ("[sip] bind", socket.SOCK_DGRAM, config.sip.bind.host, config.sip.bind.port),
        ("[sip] bind", socket.SOCK_STREAM, config.sip.bind.host, config.sip.bind.port),
        ("[http] bind", socket.SOCK_STREAM, config.http.bind.host, config.http.bind.port),
        ("[rtp] ports", socket.SOCK_DGRAM, rtp_host, config.rtp.ports[0]),
        ("[rtp] ports", socket.SOCK_DGRAM, rtp_host, config.rtp.ports[-1]),
    ]
    busy = [(key, host, port, why) for key, kind, host, port in wanted
            if (why := _in_use(kind, host, port))]  # fmt: skip
    for key, host, port, why in busy:
        yield failed(
            "ports",
            f"{key}: {host}:{port} cannot be used ({why})",
            "stop the program that has it, or choose another in tongdai.toml",
        )
    if not busy:
        yield ok("ports", f"SIP {config.sip.bind}, HTTP {config.http.bind} and RTP are free")


def _in_use(kind: socket.SocketKind, host: str, port: int) -> str:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def files(config: Config) -> Finding:
    """This user may open as many files and sockets as the configured calls need."""
    calls = sum(trunk.max_calls for trunk in config.trunks)
    needed = FILES_PER_CALL * calls + FILES_BESIDE
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < needed:
        return warning(
            "open files",
            f"at most {allowed:,}, and {calls:,} calls need {needed:,}",
            f"ulimit -n {needed}, or LimitNOFILE={needed} in the service's unit",
        )
    return ok("open files", f"at most {allowed:,}")


def clock(home: Path, config: Config, now: datetime | None = None) -> Finding:
    """The clock is where it was: no call on record lies ahead of it."""
    now = now or datetime.now(UTC)
    local = f"{now.astimezone(config.timezone):%Y-%m-%d %H:%M:%S %Z}"
    last = _last_call(home, config)
    if last is not None and last > now + AHEAD:
        return failed(
            "clock",
            f"it is {local}, but the last call on record is of {last.astimezone(config.timezone)}",
            "set the clock (timedatectl set-ntp true): calling hours depend on it",
        )
    return ok("clock", local)


def _last_call(home: Path, config: Config) -> datetime | None:
    try:
        db = Database.open(config.database, home=home)
    except StoreError:
        return None
    try:
        with db.read() as session:
            return session.scalar(select(func.max(CallRow.started_at)))
    finally:
        db.close()


def trunks(
    config: Config, check_trunks: Callable[[Config], list[dict[str, Any]]]
) -> Iterator[Finding]:
    """Each carrier answers."""
    if not config.trunks:
        yield warning(
            "trunk", "there is none", f"write a [[trunk]] in {FILE}: calls need a carrier"
        )
        return
    try:
        found = check_trunks(config)
    except (ServerError, ConfigError, OSError) as error:
        yield failed("trunk", str(error), "mend that first")
        return
    for one in found:
        name = f"trunk {one['name']}"
        if one["well"]:
            yield ok(name, f"answers: {one['said']}")
        else:
            yield failed(
                name, f"{one['state']}: {one['said']}", f"check host and account in {FILE}"
            )
