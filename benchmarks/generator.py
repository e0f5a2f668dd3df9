"""SIPp as the load generator: the called and the caller of many calls, and what it measured."""

from __future__ import annotations

import contextlib
import csv
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tests.peers.sipp import Sipp, sipp

SCENARIOS: Final = Path(__file__).parent / "scenarios"
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Latency:
    """How many calls were answered, how many of them a second, and how long each took (ms)."""

    calls: int
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float


def latency(calls: Sequence[tuple[float, float]]) -> Latency:
    """Sum up calls by when they were made and answered (s); none at all took for ever."""
    if not calls:
        return Latency(0, 0.0, math.inf, math.inf, math.inf)
    made, answered = np.array(calls).T
    took = (answered - made) * 1000
    p50, p99 = np.percentile(took, (50, 99))
    span = float(made.max() - made.min())
    return Latency(
        calls=len(took),
        per_second=round((len(took) - 1) / span, 1) if span else 0.0,
        p50_ms=round(float(p50), 2),
        p99_ms=round(float(p99), 2),
        max_ms=round(float(took.max()), 2),
    )


@contextlib.asynccontextmanager
async def called(folder: Path, *, calls: int, rtp_port: int, seconds: float) -> AsyncIterator[Sipp]:
    """Answer so many calls, their audio at `rtp_port`, within so many seconds."""
    async with sipp(
        SCENARIOS / "uas.xml",
        folder,
        calls=calls,
        keys={"rtp_port": str(rtp_port)},
        extra=("-timeout", f"{seconds:.0f}"),
    ) as process:
        yield process


@contextlib.asynccontextmanager
async def caller(
    folder: Path,
    target: int,
    *,
    calls: int,
    rate: float,
    rtp_port: int,
    talk: float,
    seconds: float,
    own_port: int | None = None,
) -> AsyncIterator[Sipp]:
    """Make `rate` calls a second to a port, each talking for `talk` seconds."""
    async with sipp(
        SCENARIOS / "uac.xml",
        folder,
        target=(LOOPBACK, target),
        calls=calls,
        keys={"rtp_port": str(rtp_port)},
        extra=(
            *("-r", f"{rate:g}", "-l", str(calls), "-d", f"{talk * 1000:.0f}"),
            *("-timeout", f"{seconds:.0f}", "-trace_shortmsg"),
            *("-trace_stat", "-stf", str(folder / "caller.csv"), "-fd", "1"),
            *(("-p", str(own_port)) if own_port else ()),
        ),
    ) as process:
        yield process


def answered(folder: Path, process: Sipp) -> list[tuple[float, float]]:
    """Return when a `caller` first sent each INVITE and when it got the 200, in s since 1970.

    Read from SIPp's message trace, stamped to the microsecond: the response times it sums up
    itself are in steps of its scheduler's 4 ms.
    """
    path = folder / f"uac_{process.process.pid}_shortmessages.log"
    invited: dict[str, float] = {}
    calls: list[tuple[float, float]] = []
    for line in path.read_text().splitlines():
        _, _, stamp, _, call, cseq, first = line.split("\t")
        if first.startswith("INVITE "):
            invited.setdefault(call, float(stamp))
        elif cseq == "CSeq:1 INVITE" and first.startswith("SIP/2.0 200 ") and call in invited:
            calls.append((invited.pop(call), float(stamp)))
    return calls


def failures(folder: Path) -> int:
    """Return how many calls of a `caller` that has ended failed."""
    with (folder / "caller.csv").open() as file:
        *_, last = csv.DictReader(file, delimiter=";")
    return int(last["FailedCall(C)"])
