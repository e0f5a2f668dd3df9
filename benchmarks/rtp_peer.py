"""The far side's audio: a process that stamps what each call sends, and sends to each call.

All calls meet it at one port. It learns a call's port from the first packet that comes, answers
there 50 times a second for as long as it runs, and keeps the kernel's receive time of every
packet: how late this process itself is scheduled changes nothing in the figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing as mp
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np

from benchmarks.batches import Receiver, Sender, dropped, open_socket
from benchmarks.streams import ARRIVAL, Evenness, judge

PHASES: Final = 20  # of 1 ms in a period
PHASE: Final = 0.001  # seconds
NICE: Final = -10  # as the media workers: who cannot keep up is no measure
FRAME_SAMPLES: Final = 160
PACKET = np.dtype(
    [("first", "u1"), ("kind", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4"),
     ("payload", "u1", FRAME_SAMPLES)]
)  # fmt: skip
VERSION: Final = 0x80
PCMA: Final = 8
AF_INET: Final = 2
LOOPBACK: Final = 0x7F000001


@dataclass(frozen=True, slots=True)
class Heard:
    """What the peer knows at the end."""

    evenness: Evenness
    sent: int
    unsent: int  # not taken by the kernel, or left out: the generator was late by periods
    dropped: int  # came, and found no room in this process's buffer: lost by the generator
    cpu: float  # cores used, over all its life
    late_p99_ms: float  # its own wake-ups
    late_max_ms: float


class Exchange:
    """The peer's sockets and its beat."""

    def __init__(self, streams: int, *, answers: bool) -> None:
        self.line = open_socket()
        self.port: int = self.line.getsockname()[1]
        self._answers = answers
        self._receiver = Receiver(self.line)
        self._rows = -(-max(streams, 1) // PHASES)  # of packets in each phase
        self._packets = np.zeros(PHASES * self._rows, PACKET)
        self._packets["first"], self._packets["kind"] = VERSION, PCMA
        self._packets["ssrc"] = np.arange(len(self._packets)) + 1
        self._packets["payload"] = 0xD5
        self._sender = Sender(self.line, self._packets)
        self._known = np.zeros(1 << 16, bool)  # ports answered to
        self._streams = 0
        self._blocks: list[np.ndarray[Any, Any]] = []
        self._late: list[float] = []
        self.sent = self.unsent = 0

    def run(self, orders: Connection) -> Heard:
        """Beat until told to stop, then judge the packets that came between the last two marks."""
        started, cpu = time.monotonic(), time.process_time()
        marks = [0, 1 << 62]
        turn = 0
        while True:
            wait = started + turn * PHASE - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            late = time.monotonic() - started - turn * PHASE
            self._late.append(late)
            turns = int(late / PHASE) + 1
            for phase in range(turn, turn + min(turns, PHASES)):
                self._send(phase % PHASES)
            turn += turns
            # Late by a period and more, it leaves the rest out: a burst would be no telephone's.
            self.unsent += max(0, turns - PHASES) * self._streams // PHASES
            self._receive()
            if orders.poll():
                if orders.recv() == "stop":
                    break
                marks = [*marks[-1:], time.time_ns()]
        self._receive()
        arrivals = np.concatenate([np.zeros(0, ARRIVAL), *self._blocks])
        used = (time.process_time() - cpu) / (time.monotonic() - started)
        return Heard(
            evenness=judge(arrivals, *marks),
            sent=self.sent,
            unsent=self.unsent,
            dropped=dropped(self.line),
            cpu=round(used, 3),
            late_p99_ms=round(float(np.percentile(self._late, 99)) * 1000, 2),
            late_max_ms=round(max(self._late) * 1000, 2),
        )

    def _receive(self) -> None:
        while count := self._receiver.read():
            packets = self._receiver.data[:count, : PACKET.itemsize].copy().view(PACKET)[:, 0]
            block = np.zeros(count, ARRIVAL)
            block["port"] = self._receiver.sources["port"][:count]
            block["sequence"] = packets["sequence"]
            block["timestamp"] = packets["timestamp"]
            block["at"] = self._receiver.times(count)
            self._blocks.append(block)
            if self._answers:
                for port in np.unique(block["port"][~self._known[block["port"]]]):
                    self._answer(int(port))

    def _answer(self, port: int) -> None:
        """Send to a port from its next turn on, in the phase whose turn it is in the order."""
        phase, row = self._streams % PHASES, self._streams // PHASES
        self._known[port] = True
        self._streams += 1
        if row >= self._rows:
            raise RuntimeError(f"more streams came than the {len(self._packets)} expected")
        target = self._sender.targets[phase * self._rows + row]
        target["family"], target["port"], target["host"] = AF_INET, port, LOOPBACK

    def _send(self, phase: int) -> None:
        count = max(0, -(-(self._streams - phase) // PHASES))
        first = phase * self._rows
        packets = self._packets[first : first + count]
        packets["sequence"] += 1
        packets["timestamp"] += FRAME_SAMPLES
        sent = self._sender.send(first, count)
        self.sent += sent
        self.unsent += count - sent


def main(orders: Connection, streams: int, answers: bool) -> None:
    """Run the process: tell the port, obey marks, tell what was heard."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    exchange = Exchange(streams, answers=answers)
    orders.send(exchange.port)
    # Whoever started this has gone when the pipe ends; then nobody wants to know.
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        orders.send(exchange.run(orders))


class RtpPeer:
    """The process, as the benchmark sees it."""

    def __init__(self, process: mp.process.BaseProcess, orders: Connection, port: int) -> None:
        self.process = process
        self.port = port
        self._orders = orders

    def mark(self) -> None:
        """Begin, and by a second call end, the time whose packet spacing counts."""
        self._orders.send("mark")

    async def stop(self) -> Heard:
        """End it and return what it heard."""
        self._orders.send("stop")
        heard: Heard = await asyncio.to_thread(self._orders.recv)
        await asyncio.to_thread(self.process.join)
        return heard


@contextlib.asynccontextmanager
async def rtp_peer(streams: int, *, answers: bool = True) -> AsyncIterator[RtpPeer]:
    """Run a peer for so many calls; one that does not answer takes any number."""
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=main, args=(theirs, streams, answers), daemon=True)
    await asyncio.to_thread(process.start)
    theirs.close()
    try:
        yield RtpPeer(process, ours, await asyncio.to_thread(ours.recv))
    finally:
        process.kill()
        await asyncio.to_thread(process.join)
        ours.close()
