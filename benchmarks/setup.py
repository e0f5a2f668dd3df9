"""Calls set up per second: out to SIPp, in from SIPp, and SIPp to SIPp beside them.

Each call opens a media port, is answered, talks for a second and is hung up. Times are from the
INVITE to its 200: of calls in, by SIPp's own trace; of calls out, by the call's story.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import generator, phones
from benchmarks.generator import Latency, latency
from benchmarks.machine import use
from benchmarks.report import Figure, limited
from benchmarks.rtp_peer import rtp_peer
from ivr.call import Call
from ivr.phone import Phone
from ivr.result import Result
from ivr.story import CallFailed, CallStory

RATES: Final = (100, 200)  # calls a second that must be, and that are the aim
SECONDS: Final = 30.0
TALK: Final = 1.0  # seconds
SPARE: Final = 40.0  # seconds beyond the run until SIPp gives up: more than timer B
ANSWER_LIMIT: Final = 100.0  # ms


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run."""

    rate: float
    failed: int
    latency: Latency
    cpu_ms: float  # of all Tongdai processes per call, its second of talk included


def run(rates: Sequence[int] = RATES, seconds: float = SECONDS) -> dict[str, Any]:
    """Measure each direction at each rate, the first being the must."""
    rows: list[Figure] = []
    details: list[dict[str, Any]] = []
    for index, rate in enumerate(rates):
        calls = round(rate * seconds)
        alone = asyncio.run(_generator_alone(rate, calls))
        outgoing = asyncio.run(_outgoing(rate, calls))
        incoming = asyncio.run(_incoming(rate, calls))
        for way, outcome in (("out", outgoing), ("in", incoming)):
            rows += figures(way, outcome, calls, alone.latency, required=index == 0)
        details.append({"sipp": asdict(alone), "out": asdict(outgoing), "in": asdict(incoming)})
    return {"figures": rows, "details": details}


async def _outgoing(rate: float, calls: int) -> Outcome:
    budget = calls / rate + SPARE
    with tempfile.TemporaryDirectory(prefix="tongdai-bench-") as name:
        folder = Path(name)
        async with (
            rtp_peer(0, answers=False) as sink,
            generator.called(folder, calls=calls, rtp_port=sink.port, seconds=budget) as carrier,
            phones.phone(carrier.port, rate=rate, calls=calls) as phone,
        ):
            before = use(phones.processes())
            stories = await asyncio.gather(*(_dial(phone) for _ in range(calls)))
            cpu = use(phones.processes()).cpu - before.cpu
    answered = [
        (story.invited_at.timestamp(), story.answered_at.timestamp())
        for story in stories
        if story.invited_at and story.answered_at and story.result is Result.ANSWERED
    ]
    return Outcome(rate, calls - len(answered), latency(answered), _per_call(cpu, calls))


async def _dial(phone: Phone) -> CallStory:
    slot = await phone.reserve(phones.TRUNK)
    try:
        call = await phone.dial(phones.NUMBER, slot=slot)
    except CallFailed as failed:
        return failed.story
    return await call.run(_talk)


async def _talk(_: Call) -> None:
    await asyncio.sleep(TALK)


async def _incoming(rate: float, calls: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="tongdai-bench-") as name:
        folder = Path(name)
        async with (
            rtp_peer(0, answers=False) as sink,
            phones.phone(0, rate=rate, calls=calls) as phone,
        ):
            phone.on_call = _take
            before = use(phones.processes())
            failed, answers = await _call(
                folder, phone.endpoint.local.port, rate=rate, calls=calls, rtp_port=sink.port
            )
            cpu = use(phones.processes()).cpu - before.cpu
    return Outcome(rate, failed, answers, _per_call(cpu, calls))


async def _take(call: Call) -> None:
    await call.answer()
    await asyncio.Event().wait()  # until the caller hangs up


async def _generator_alone(rate: float, calls: int) -> Outcome:
    budget = calls / rate + SPARE
    with tempfile.TemporaryDirectory(prefix="tongdai-bench-") as name:
        folder = Path(name)
        async with (
            rtp_peer(0, answers=False) as sink,
            generator.called(folder, calls=calls, rtp_port=sink.port, seconds=budget) as far,
        ):
            failed, answers = await _call(
                folder, far.port, rate=rate, calls=calls, rtp_port=sink.port
            )
    return Outcome(rate, failed, answers, 0.0)


async def _call(
    folder: Path, target: int, *, rate: float, calls: int, rtp_port: int
) -> tuple[int, Latency]:
    """Have SIPp call; return how many calls failed, and how the others were answered."""
    async with generator.caller(
        folder, target, calls=calls, rate=rate, rtp_port=rtp_port, talk=TALK,
        seconds=calls / rate + SPARE,
    ) as caller:  # fmt: skip
        await caller.process.wait()
    answers = latency(generator.answered(folder, caller))
    return max(generator.failures(folder), calls - answers.calls), answers


def _per_call(cpu: float, calls: int) -> float:
    return round(1000 * cpu / calls, 2)


def figures(
    way: str, outcome: Outcome, calls: int, alone: Latency, *, required: bool
) -> list[Figure]:
    """Return the figures of a run; `required` ones have a must, the others the same as an aim."""
    what = f"{outcome.rate:g} calls/s {way}"
    found = outcome.latency
    return [
        limited(
            f"{what}: failed", f"of {calls:,}", outcome.failed, 0, required=required,
            note=f"{found.per_second:g} calls/s reached; {outcome.cpu_ms} ms of CPU a call",
        ),
        limited(
            f"{what}: INVITE to 200, p99", "ms", found.p99_ms, ANSWER_LIMIT, required=required,
            peer=alone.p99_ms, peer_name="SIPp to SIPp",
            note=f"p50 {found.p50_ms}, most {found.max_ms}",
        ),
    ]  # fmt: skip
