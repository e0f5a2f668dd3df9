"""Live calls: how many a media plane carries, how evenly, and at what cost.

    python benchmarks/media.py [--calls 500 1000] [--seconds 10] [--workers 1] [--json FILE]

Each call plays a prompt and receives RTP. The peer is a process of its own on this machine: it
sends 50 packets a second to every call and lets the kernel stamp what comes back, so its own
scheduling is not taken for ours. Spacing is between packets of one call, as they reach the peer;
CPU and memory are of all Tongdai processes, from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import struct
import sys
import tempfile
import time
from array import array
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ivr.media import tones
from ivr.media.g711 import LAWS, encode
from ivr.media.plane import MediaConfig, MediaPlane
from ivr.media.prompts import Prompt
from ivr.media.rtp import pack_header
from ivr.media.session import MediaSession

FRAME = 160
PERIOD = 0.020
PEER_BUFFER = 64 << 20  # bytes: the peer must never be the one who loses packets
SO_TIMESTAMPNS = 35
SETTLE = 2.0  # seconds of calls that are not measured: they latch and warm up
TICKS = os.sysconf("SC_CLK_TCK")
MUST = {"lost": 0, "p99_ms": 3.0, "cpu_percent": 0.06, "kilobytes": 100.0}


@dataclass(frozen=True)
class Measured:
    """One run."""

    calls: int
    workers: int
    seconds: float
    lost: int  # packets of ours that never reached the peer, and of his that we never counted
    p50_ms: float  # deviation of packet spacing from 20 ms
    p99_ms: float
    max_ms: float
    cpu_percent: float  # of a core per call
    kilobytes: float  # of resident memory per call
    pump_late_p99_ms: float
    pump_late_max_ms: float
    peer_cpu_percent: float  # of a core, the load generator alone

    @property
    def passed(self) -> bool:
        """Whether all that must hold does."""
        return all(getattr(self, name) <= limit for name, limit in MUST.items())


# -- the peer


def peer_main() -> None:
    """Play the other side: told the calls' ports on stdin, answers with figures on stdout."""
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), PEER_BUFFER)
    line.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    line.setblocking(False)
    line.bind(("127.0.0.1", 0))
    say({"port": line.getsockname()[1]})
    order = json.loads(sys.stdin.readline())
    say(Exchange(line, order["ports"]).run(order["settle"], order["seconds"]))


class Exchange:
    """Sends to every call and notes when packets of every call came."""

    def __init__(self, line: socket.socket, ports: list[int]) -> None:
        self.line = line
        self.targets = [("127.0.0.1", port) for port in ports]
        # Calls that only warmed up may still be heard of at first; `run` forgets them.
        self.stamps: dict[int, array[int]] = defaultdict(lambda: array("q"))
        self.sequences: dict[int, array[int]] = defaultdict(lambda: array("H"))
        self.ssrcs = [random.getrandbits(32) for _ in ports]
        self.payload = encode(tones.tone(500, ms=20), "PCMA")
        self.sent = 0
        self.turn = 0  # of 1 ms

    def run(self, settle: float, seconds: float) -> dict[str, Any]:
        self.exchange(settle)
        self.stamps.clear()
        self.sequences.clear()
        say({"measuring": True})
        start, before = time.monotonic(), time.process_time()
        self.exchange(seconds)
        used = (time.process_time() - before) / (time.monotonic() - start)
        say({"measured": True})
        self.drain()
        return {"sent": self.sent, "cpu": used, **self.figures()}

    def exchange(self, seconds: float) -> None:
        """Send in twenty phases a period, and read in between."""
        start, turns = time.monotonic(), round(seconds * 1000)
        for turn in range(turns):
            wait = start + turn / 1000 - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            period, phase = divmod(self.turn, 20)
            self.turn += 1
            for index in range(phase, len(self.targets), 20):
                header = pack_header(8, period & 0xFFFF, period * FRAME, self.ssrcs[index])
                self.line.sendto(header + self.payload, self.targets[index])
                self.sent += 1
            self.drain()

    def drain(self) -> None:
        receive, unpack = self.line.recvmsg, struct.unpack
        while True:
            try:
                data, extra, _, (_, port) = receive(256, 64)
            except BlockingIOError:
                return
            seconds, nanoseconds = unpack("qq", extra[0][2])
            self.stamps[port].append(seconds * 1_000_000_000 + nanoseconds)
            self.sequences[port].append(data[2] << 8 | data[3])

    def figures(self) -> dict[str, Any]:
        """Return losses, and deviations of spacing in ms, over all calls."""
        lost, deviations = 0, []
        for port, stamps in self.stamps.items():
            steps = np.diff(np.array(self.sequences[port], np.int64)).astype(np.int64) & 0xFFFF
            lost += int((steps - 1).sum())
            spacing = np.diff(np.array(stamps)) / 1e6
            deviations.append(np.abs(spacing - PERIOD * 1000))
        every = np.concatenate(deviations)
        received = sum(map(len, self.stamps.values()))
        p50, p99 = np.percentile(every, (50, 99))
        return {
            "lost": lost,
            "received": received,
            "p50": float(p50),
            "p99": float(p99),
            "max": float(every.max()),
        }


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


# -- the calls


def run(calls: int = 500, *, seconds: float = 10.0, workers: int = 1) -> Measured:
    """Measure so many live calls for so many seconds; blocks."""
    return asyncio.run(_run(calls, seconds, workers))


async def _run(calls: int, seconds: float, workers: int) -> Measured:
    plane = MediaPlane(MediaConfig(bind="127.0.0.1", ports=range(0), workers=workers))
    await plane.start()
    peer = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--peer"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            return await _measure(plane, peer, _prompt(Path(folder)), calls, seconds)
    finally:
        if peer.returncode is None:
            peer.kill()
        await peer.wait()
        await plane.close()


async def _measure(
    plane: MediaPlane,
    peer: asyncio.subprocess.Process,
    prompt: Prompt,
    calls: int,
    seconds: float,
) -> Measured:
    assert peer.stdin
    assert peer.stdout
    port = json.loads(await peer.stdout.readline())["port"]
    processes = [os.getpid(), *(worker.process.pid for worker in plane._workers)]
    await _warm_up(plane, prompt, port)
    empty = sum(map(_resident, processes))
    sessions = [await plane.open(call_id=str(n)) for n in range(calls)]
    for session in sessions:
        _talk(session, prompt, port)
        await session.report()  # connected: from now on every packet counts
    order = {"ports": [s.port for s in sessions], "settle": SETTLE, "seconds": seconds}
    peer.stdin.write(json.dumps(order).encode() + b"\n")
    await peer.stdout.readline()
    start, before = time.monotonic(), sum(map(_cpu, processes))
    await peer.stdout.readline()
    took, used = time.monotonic() - start, sum(map(_cpu, processes)) - before
    full = sum(map(_resident, processes))
    heard = json.loads(await peer.stdout.readline())
    reports = await asyncio.gather(*(session.close() for session in sessions))
    unheard = heard["sent"] - sum(report.packets_received for report in reports)
    stats = plane.stats()
    return Measured(
        calls=calls,
        workers=len(plane._workers),
        seconds=round(took, 1),
        lost=heard["lost"] + unheard,
        p50_ms=round(heard["p50"], 3),
        p99_ms=round(heard["p99"], 3),
        max_ms=round(heard["max"], 3),
        cpu_percent=round(100 * used / took / calls, 4),
        kilobytes=round((full - empty) / calls, 1),
        pump_late_p99_ms=stats.late_ms,
        pump_late_max_ms=round(stats.latest_ms, 3),
        peer_cpu_percent=round(100 * heard["cpu"], 1),
    )


async def _warm_up(plane: MediaPlane, prompt: Prompt, port: int) -> None:
    """Let every worker do everything once, so that what it loads is not counted per call."""
    sessions = [await plane.open(call_id="warm") for _ in range(4)]
    for session in sessions:
        _talk(session, prompt, port)
        await session.report()
    for session in sessions:
        await session.close()


def _talk(session: MediaSession, prompt: Prompt, port: int) -> None:
    session.connect(host="127.0.0.1", port=port, codec="PCMA", payload_type=8)
    session.play(prompt, loop=True)


def _prompt(folder: Path) -> Prompt:
    sound = tones.tone(600, ms=10_000)
    files = {law: folder / f"prompt.{law}" for law in LAWS}
    for law, path in files.items():
        path.write_bytes(encode(sound, law))
    return Prompt("600 Hz", files, frames=500)


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident(pid: int) -> int:
    """Return the resident memory of a process in kB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def main() -> int:
    """Print a table; exit 1 when something that must hold does not."""
    parser = argparse.ArgumentParser(description="Live calls through the media plane.")
    parser.add_argument("--calls", type=int, nargs="+", default=[500, 1000])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer_main()
        return 0
    print(
        f"{'calls':>6} {'lost':>6} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7} {'CPU %/call':>11} "
        f"{'kB/call':>8} {'late max':>9} {'peer CPU':>9}"
    )
    results = []
    for calls in options.calls:
        result = run(calls, seconds=options.seconds, workers=options.workers)
        results.append(result)
        print(
            f"{result.calls:>6} {result.lost:>6} {result.p50_ms:>7} {result.p99_ms:>7} "
            f"{result.max_ms:>7} {result.cpu_percent:>11} {result.kilobytes:>8} "
            f"{result.pump_late_max_ms:>9} {result.peer_cpu_percent:>8}%"
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=2))
    return 0 if results[0].passed else 1


if __name__ == "__main__":
    sys.exit(main())
