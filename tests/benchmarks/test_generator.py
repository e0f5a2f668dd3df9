"""What is read from SIPp's files."""

from __future__ import annotations

import math

from benchmarks.generator import latency


def test_latency_of_calls() -> None:
    found = latency([(at / 10, at / 10 + 0.002) for at in range(11)])
    assert (found.calls, found.per_second) == (11, 10.0)
    assert (found.p50_ms, found.p99_ms, found.max_ms) == (2.0, 2.0, 2.0)


def test_no_call_at_all_took_for_ever() -> None:
    assert latency([]).p99_ms == math.inf
