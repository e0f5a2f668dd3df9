"""What the packets that arrived say about whoever sent them: losses, pauses, evenness. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ARRIVAL = np.dtype([("port", "u2"), ("sequence", "u2"), ("timestamp", "u4"), ("at", "i8")])
FRAME_SAMPLES: Final = 160
PERIOD_MS: Final = 20.0

Arrivals = npt.NDArray[Any]  # of ARRIVAL, in the order they came; `at` in ns


@dataclass(frozen=True, slots=True)
class Evenness:
    """All streams together. Deviations are of packet spacing from 20 ms, in ms."""

    streams: int
    received: int
    lost: int  # gaps in the sequence numbers, not filled later
    left_out: int  # frames that the timestamp counts and no packet was sent for
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


def judge(arrivals: Arrivals, since: int, until: int) -> Evenness:
    """Judge streams, told apart by port: losses of all, evenness of those in [since, until) ns."""
    order = np.argsort(arrivals["port"], kind="stable")
    ordered = arrivals[order]
    starts = np.flatnonzero(np.diff(ordered["port"].astype(np.int32))) + 1
    streams = [stream for stream in np.split(ordered, starts) if len(stream)]
    gaps = [_gaps(stream) for stream in streams]
    spacing = [_deviations(stream, since, until) for stream in streams]
    every = np.concatenate(spacing) if spacing else np.zeros(0)
    if not len(every):
        every = np.zeros(1)
    p50, p99, p999 = np.percentile(every, (50, 99, 99.9))
    return Evenness(
        streams=len(streams),
        received=len(arrivals),
        lost=sum(lost for lost, _ in gaps),
        left_out=sum(left_out for _, left_out in gaps),
        p50_ms=round(float(p50), 3),
        p99_ms=round(float(p99), 3),
        p999_ms=round(float(p999), 3),
        max_ms=round(float(every.max()), 3),
    )


def _gaps(stream: Arrivals) -> tuple[int, int]:
    """Return how many packets are missing between the first and last, and how many frames."""
    places = _unwrap(stream["sequence"], np.int16)
    expected = int(places.max() - places.min()) + 1
    clock = _unwrap(stream["timestamp"], np.int32)
    frames = int(clock.max() - clock.min()) // FRAME_SAMPLES + 1
    return expected - len(np.unique(places)), max(0, frames - expected)


def _unwrap(counter: npt.NDArray[Any], signed: type[np.signedinteger[Any]]) -> npt.NDArray[Any]:
    """Return a wrapping counter as one that goes on; steps back stay steps back (RFC 3550 A.1)."""
    steps = np.diff(counter).astype(signed).astype(np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(steps)])


def _deviations(stream: Arrivals, since: int, until: int) -> npt.NDArray[Any]:
    """Return how far each packet is from 20 ms after the one before it; a gap is left to `lost`."""
    inside = stream[(stream["at"] >= since) & (stream["at"] < until)]
    if len(inside) < 2:
        return np.zeros(0)
    following = np.diff(inside["sequence"]) == 1
    spacing = np.diff(inside["at"])[following] / 1e6
    deviations: npt.NDArray[Any] = np.abs(spacing - PERIOD_MS)
    return deviations
