"""Processes that die, hang, or lose their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from ivr.media import crew
from ivr.media.events import MediaReport, WorkerDied
from tests.ivr.media.plane.conftest import Join, MakePrompt, OpenPlane
from tests.ivr.media.plane.peer import DEADLINE, eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_killed_worker_loses_its_calls_only_and_is_replaced(
    open_plane: OpenPlane, join: Join, make_prompt: MakePrompt
) -> None:
    plane = await open_plane(workers=2)
    victim, survivor = await join(plane), await join(plane)
    survivor.session.play(make_prompt(600), loop=True)
    await survivor.peer.hears_tone(600)
    killed = victim.session.worker.process.pid
    os.kill(killed, signal.SIGKILL)
    died = await victim.log.wait(WorkerDied)
    assert died.reason == f"Media worker {killed} ended with status -9"
    assert await victim.session.close() == await victim.session.report()
    await eventually(lambda: plane.stats().workers == 2)
    assert plane.stats().replaced == 1
    fresh = await join(plane)
    fresh.session.play(make_prompt(800), loop=True)
    await fresh.peer.hears_tone(800)
    await survivor.peer.hears_tone(600)
    assert survivor.log.of(WorkerDied) == []
    numbers = [packet.sequence for packet in survivor.peer.audio()]
    assert all((b - a) & 0xFFFF == 1 for a, b in pairwise(numbers))


async def test_the_partner_of_a_lost_call_hears_silence(open_plane: OpenPlane, join: Join) -> None:
    plane = await open_plane(workers=2)
    victim, survivor = await join(plane), await join(plane)
    victim.peer.say(900)
    victim.session.bridge(survivor.session)
    await survivor.peer.hears_tone(900)
    os.kill(victim.session.worker.process.pid, signal.SIGKILL)
    await victim.log.wait(WorkerDied)
    await survivor.peer.hears_silence()


async def test_with_no_worker_left_opening_waits_for_the_next(
    open_plane: OpenPlane, one_port: range
) -> None:
    plane = await open_plane(ports=one_port, quarantine=0)
    first = await plane.open(call_id="first")
    os.kill(first.worker.process.pid, signal.SIGKILL)
    await first.close()
    second = await plane.open(call_id="second")
    assert second.worker is not first.worker
    assert second.port == first.port == one_port.start


async def test_opening_in_a_dying_worker_goes_to_another(open_plane: OpenPlane) -> None:
    plane = await open_plane()
    os.kill(plane._workers[0].process.pid, signal.SIGKILL)
    sessions = await asyncio.gather(*(plane.open(call_id=f"{n}") for n in range(5)))
    assert plane.stats().replaced == 1
    assert {session.worker for session in sessions} == set(plane._workers)


async def test_a_worker_that_hangs_is_killed(
    open_plane: OpenPlane, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "PULSE_CHECK", 0.5)
    plane = await open_plane()
    party = await join(plane)
    os.kill(party.session.worker.process.pid, signal.SIGSTOP)
    await party.log.wait(WorkerDied)
    await eventually(lambda: plane.stats().workers == 1)
    assert await party.session.close() == MediaReport()


async def test_a_handler_that_raises_harms_nobody(open_plane: OpenPlane, join: Join) -> None:
    plane = await open_plane()
    one, two = await join(plane), await join(plane)
    one.session.on_event = lambda event: 1 / 0
    os.kill(one.session.worker.process.pid, signal.SIGKILL)
    await two.log.wait(WorkerDied)


async def test_a_worker_does_not_outlive_the_server(tmp_path: Path) -> None:
    program = """
import asyncio, pathlib, sys
from ivr.media.plane import MediaConfig, MediaPlane

async def main():
    plane = MediaPlane(MediaConfig(bind="127.0.0.1", ports=range(0)))
    await plane.start()
    session = await plane.open(call_id="x")
    session.connect(host="127.0.0.1", port=9, codec="PCMA", payload_type=8)
    session.record(pathlib.Path(sys.argv[1]))
    await session.report()
    print(session.worker.process.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
    path = tmp_path / "orphan.wav"
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout
    async with asyncio.timeout(DEADLINE):
        worker = int(await server.stdout.readline())
    server.kill()
    await server.wait()
    await eventually(lambda: gone(worker))
    assert path.stat().st_size > 44


def gone(pid: int) -> bool:
    """Whether a process is dead; a zombie that waits for init counts as dead."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] == "Z"
