"""Live calls: a phone with a media worker, SIPp as the carrier, a stamping peer for the audio.

Every call is dialled, answered, plays a prompt in a loop and is sent audio; after a while all are
hung up. Beside it others answer the same SIPp, play a prompt and are sent the same audio.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import generator, peers_asterisk, peers_pyvoip, phones
from benchmarks.callees import Missing, Serving
from benchmarks.machine import Use, use
from benchmarks.report import Figure, limited
from benchmarks.rtp_peer import Heard, RtpPeer, rtp_peer
from ivr.call import Call
from ivr.media.prompts import Prompt
from ivr.phone import Phone
from ivr.result import Result
from ivr.story import CallFailed, CallStory

COUNTS: Final = (500, 1000)  # calls that must be, and that are the aim
SECONDS: Final = 15.0  # measured
RAMP: Final = 50.0  # calls a second until all are up
SETTLE: Final = 2.0  # seconds from the last answer to the measurement
PEER_CALLS: Final = 50
PEER_RAMP: Final = 10.0
AT_ONCE: Final = 10  # hung up
SPARE: Final = 60.0  # seconds that SIPp waits beyond what a run takes

SPACING_LIMIT: Final = 3.0  # ms
CPU_LIMIT: Final = 0.06  # % of a core per call
MEMORY_LIMIT: Final = 100.0  # kB per call
SHARE_OF_ASTERISK: Final = 1 / 3
PEERS: Final[Mapping[str, Serving]] = {
    "pyVoIP": peers_pyvoip.serving,
    "Asterisk": peers_asterisk.serving,
}


@dataclass(frozen=True, slots=True)
class Live:
    """One run: what was heard of the calls, and what they cost."""

    calls: int
    seconds: float
    heard: Heard
    cpu_percent: float  # of a core per call, of all its processes
    kilobytes: float  # per call, of all its processes

    @property
    def lost(self) -> int:
        """Packets that were made for the far side and did not reach it."""
        return max(0, self.heard.evenness.lost - self.heard.dropped)


@dataclass(frozen=True, slots=True)
class Ours:
    """A run of Tongdai, and what it knows itself."""

    live: Live
    signalling_percent: float  # the part of the CPU per call that is the server's own process
    failed: int  # calls
    unheard: int  # packets of the far side that we did not get
    skipped: int  # packets never made, because the pump woke a whole period late
    late_p99_ms: float
    late_max_ms: float


def run(counts: Sequence[int] = COUNTS, seconds: float = SECONDS) -> dict[str, Any]:
    """Measure Tongdai at each count, the first being the must, and the others at PEER_CALLS."""
    peers: dict[str, Live] = {}
    missing: dict[str, str] = {}
    for name, serving in PEERS.items():
        try:
            peers[name] = asyncio.run(_measure_peer(serving, min(PEER_CALLS, *counts), seconds))
        except Missing as reason:
            missing[name] = str(reason)
    ours = [asyncio.run(_measure(count, seconds)) for count in counts]
    return {
        "figures": [
            figure
            for index, each in enumerate(ours)
            for figure in figures(each, peers, missing, required=index == 0)
        ],
        "details": {
            "tongdai": [asdict(each) for each in ours],
            "peers": {name: asdict(peer) for name, peer in peers.items()} | missing,
        },
    }


# -- Tongdai


async def _measure(count: int, seconds: float) -> Ours:
    budget = count / RAMP + SETTLE + seconds + SPARE
    with tempfile.TemporaryDirectory(prefix="tongdai-bench-") as name:
        folder = Path(name)
        async with (
            rtp_peer(count) as peer,
            generator.called(folder, calls=count, rtp_port=peer.port, seconds=budget) as carrier,
            phones.phone(carrier.port, rate=RAMP, calls=count) as phone,
        ):
            return await _live(phone, await phones.prompt(folder), peer, count, seconds)


async def _live(phone: Phone, prompt: Prompt, peer: RtpPeer, count: int, seconds: float) -> Ours:
    crowd = Crowd(phone, prompt)
    await crowd.dial(1)  # what is loaded once is no cost of a call
    one = use(phones.processes())
    await crowd.dial(count - 1)
    await asyncio.sleep(SETTLE)
    server, *workers = phones.processes()
    own = use([server]).cpu
    cpu, end = await _window(peer, [server, *workers], seconds)
    own = (use([server]).cpu - own) / seconds
    reports = await asyncio.gather(*(call.media.report() for call in crowd.calls))
    late = phone.plane.stats()
    stories = await crowd.hang_up()
    return Ours(
        live=Live(
            calls=count,
            seconds=seconds,
            heard=await peer.stop(),
            cpu_percent=round(100 * cpu / count, 4),
            kilobytes=round((end.memory - one.memory) / max(1, count - 1), 1),
        ),
        signalling_percent=round(100 * own / count, 4),
        failed=count - sum(story.result is Result.ANSWERED for story in stories),
        unheard=sum(report.packets_lost for report in reports),
        skipped=sum(report.skipped for report in reports),
        late_p99_ms=late.late_ms,
        late_max_ms=round(late.latest_ms, 2),
    )


class Crowd:
    """Calls that play a prompt until they are hung up."""

    def __init__(self, phone: Phone, prompt: Prompt) -> None:
        self.calls: list[Call] = []
        self._phone = phone
        self._prompt = prompt
        self._scripts: list[asyncio.Task[CallStory]] = []

    async def dial(self, count: int) -> None:
        """Make so many calls, as fast as the trunk takes them; returns when all are settled."""
        await asyncio.gather(*(self._dial() for _ in range(count)))

    async def _dial(self) -> None:
        slot = await self._phone.reserve(phones.TRUNK)
        try:
            call = await self._phone.dial(phones.NUMBER, slot=slot)
        except CallFailed:
            return
        self.calls.append(call)
        self._scripts.append(asyncio.create_task(call.run(self._talk)))

    async def _talk(self, call: Call) -> None:
        await phones.play_for_ever(call, self._prompt)

    async def hang_up(self) -> list[CallStory]:
        """End the calls, a few at a time, and return their stories."""
        for first in range(0, len(self.calls), AT_ONCE):
            await asyncio.gather(*(call.finish() for call in self.calls[first : first + AT_ONCE]))
        return await asyncio.gather(*self._scripts)


# -- others


async def _measure_peer(serving: Serving, count: int, seconds: float) -> Live:
    ramp = count / PEER_RAMP
    with tempfile.TemporaryDirectory(prefix="tongdai-bench-") as name:
        folder = Path(name)
        async with rtp_peer(count) as peer, serving(folder) as callee:
            idle = use([callee.pid])
            async with generator.caller(
                folder,
                callee.port,
                calls=count,
                rate=PEER_RAMP,
                rtp_port=peer.port,
                talk=ramp + SETTLE + seconds + SPARE,  # ended by ending SIPp
                seconds=ramp + SETTLE + seconds + SPARE,
                own_port=callee.caller_port,
            ):
                await asyncio.sleep(ramp + 2 * SETTLE)
                cpu, end = await _window(peer, [callee.pid], seconds)
                heard = await peer.stop()
    return Live(
        calls=heard.evenness.streams,
        seconds=seconds,
        heard=heard,
        cpu_percent=round(100 * cpu / count, 4),
        kilobytes=round((end.memory - idle.memory) / count, 1),
    )


async def _window(peer: RtpPeer, pids: Iterable[int], seconds: float) -> tuple[float, Use]:
    """Let the measured time pass; return how many cores these processes used, and their memory."""
    pids = list(pids)
    peer.mark()
    started, before = time.monotonic(), use(pids)
    await asyncio.sleep(seconds)
    after, took = use(pids), time.monotonic() - started
    peer.mark()
    return (after.cpu - before.cpu) / took, after


# -- figures


def figures(
    ours: Ours, peers: Mapping[str, Live], missing: Mapping[str, str], *, required: bool
) -> list[Figure]:
    """Return the figures of a run; `required` ones have a must, the others the same as an aim."""
    live, evenness = ours.live, ours.live.heard.evenness
    pyvoip = peers["pyVoIP"]

    def figure(
        what: str, unit: str, measured: float, limit: float, peer: float | None, note: str = ""
    ) -> Figure:
        return limited(
            f"{live.calls} calls: {what}", unit, measured, limit, required=required,
            peer=peer, peer_name=f"pyVoIP at {pyvoip.calls}", note=note,
        )  # fmt: skip

    rows = [
        figure("not answered", "", ours.failed, 0, None),
        figure(
            "packets lost", "", live.lost + ours.unheard + ours.skipped, 0, pyvoip.lost,
            f"{live.lost} to them, {ours.unheard} from them, {ours.skipped} not made; of "
            f"{evenness.received:,} and {live.heard.sent:,}{_generator_lost(live.heard)}",
        ),
        figure(
            "packet spacing off 20 ms, p99", "ms", evenness.p99_ms, SPACING_LIMIT,
            pyvoip.heard.evenness.p99_ms,
            f"p50 {evenness.p50_ms}, p99.9 {evenness.p999_ms}, most {evenness.max_ms}; "
            f"pump late ≤ {ours.late_p99_ms} in 99 %, {ours.late_max_ms} at most",
        ),
        figure(
            "CPU per call", "% of a core", live.cpu_percent, CPU_LIMIT, pyvoip.cpu_percent,
            f"{ours.signalling_percent} of it the server's process, the rest its media workers'",
        ),
        figure("memory per call", "kB", live.kilobytes, MEMORY_LIMIT, pyvoip.kilobytes),
    ]  # fmt: skip
    return [*rows, _beside_asterisk(live, peers.get("Asterisk"), missing)]


def _generator_lost(heard: Heard) -> str:
    """Say where the load generator did not keep up: then the run is worth little."""
    if not heard.dropped and not heard.unsent:
        return ""
    return f"; the generator itself dropped {heard.dropped:,} and did not send {heard.unsent:,}"


def _beside_asterisk(live: Live, asterisk: Live | None, missing: Mapping[str, str]) -> Figure:
    what = f"{live.calls} calls: CPU per call beside Asterisk"
    if asterisk is None:
        return Figure(what, "% of a core", None, note=missing["Asterisk"])
    return Figure(
        what,
        "% of a core",
        live.cpu_percent,
        aim=asterisk.cpu_percent * SHARE_OF_ASTERISK,
        peer=asterisk.cpu_percent,
        peer_name=f"Asterisk at {asterisk.calls}",
    )
