"""Recordings: both directions, side by side, valid at every instant, off the pump."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivr.media import tones
from ivr.media.events import RecordingFailed, WorkerDied
from ivr.media.g711 import encode
from ivr.media.plane import MediaPlane
from tests.ivr.media.plane.conftest import Join, MakePrompt, OpenPlane
from tests.ivr.media.plane.peer import DEADLINE, eventually, main_tone

pytestmark = pytest.mark.asyncio(loop_scope="package")


def channels(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return what we sent and what we heard."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return pcm[:, 0], pcm[:, 1]


def loud(pcm: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the part from the first to the last loud sample."""
    places = np.flatnonzero(np.abs(pcm.astype(int)) > 500)
    return pcm[places[0] : places[-1] + 1] if len(places) else pcm[:0]


async def test_left_is_what_we_sent_and_right_what_we_heard(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt, tmp_path: Path
) -> None:
    party = await join(plane)
    path = tmp_path / "deep" / "call.wav"
    party.peer.say(900)
    party.session.play(make_prompt(600), loop=True)
    await party.peer.hears_tone(600)
    party.session.record(path)
    await party.peer.hears(60)
    await party.session.close()
    sent, heard = channels(path)
    assert abs(main_tone(sent[1600:8000]) - 600) < 5
    assert abs(main_tone(heard[1600:8000]) - 900) < 5
    assert 1.0 < len(sent) / 8000 < 3.0
    assert len(loud(sent)) > len(sent) - 400  # no hole at either end


async def test_the_two_sides_stay_aligned(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt, tmp_path: Path
) -> None:
    """An echo: what we play comes back at once, so both channels hold the same at one place."""
    party = await join(plane)
    await party.peer.hears(2)
    party.peer.hush()
    original = party.peer.datagram_received

    def echo(data: bytes, addr: tuple[str, int]) -> None:
        original(data, addr)
        party.peer.send(party.peer.heard[-1].packet.payload)

    party.peer.datagram_received = echo  # type: ignore[method-assign]  # for this peer alone
    party.session.record(tmp_path / "echo.wav")
    await party.peer.hears(20)
    party.session.play(make_prompt(600, ms=200))
    await party.peer.hears(120)
    await party.session.close()
    sent, heard = channels(tmp_path / "echo.wav")
    assert len(loud(sent)) == len(loud(heard)) > 1500
    start = [int(np.flatnonzero(np.abs(pcm.astype(int)) > 500)[0]) for pcm in (sent, heard)]
    assert abs(start[1] - start[0]) <= 480  # the way there and back, and the pump's beat


async def test_pauses_keep_their_length(plane: MediaPlane, join: Join, tmp_path: Path) -> None:
    party = await join(plane)
    await party.peer.hears(2)
    party.session.record(tmp_path / "pause.wav")
    parts = [tones.pause(200), tones.tone(900, ms=200), tones.pause(200), tones.tone(900, ms=200)]
    party.peer.speak(encode(np.concatenate([*parts, tones.pause(10_000)]), "PCMA"))
    await party.peer.hears(70)
    await party.session.close()
    _, heard = channels(tmp_path / "pause.wav")
    part = loud(heard)
    assert abs(len(part) - 600 * 8) < 40
    assert np.abs(part[1640:3160].astype(int)).max() < 100


async def test_a_recording_that_is_stopped_is_whole_and_another_may_follow(
    plane: MediaPlane, join: Join, tmp_path: Path
) -> None:
    party = await join(plane)
    for name in ("one.wav", "two.wav"):
        party.session.record(tmp_path / name)
        await party.peer.hears(5)
        party.session.stop_recording()
    await party.session.close()
    for name in ("one.wav", "two.wav"):
        assert 500 < len(channels(tmp_path / name)[0]) < 8000


async def test_a_bridged_call_is_recorded_on_both_sides(
    plane: MediaPlane, join: Join, tmp_path: Path
) -> None:
    one, two = await join(plane), await join(plane)
    one.peer.say(500)
    two.peer.say(900)
    one.session.bridge(two.session)
    await one.peer.hears_tone(900)
    one.session.record(tmp_path / "bridge.wav")
    await one.peer.hears(60)
    await one.session.close()
    sent, heard = channels(tmp_path / "bridge.wav")
    assert abs(main_tone(sent[1600:8000]) - 900) < 5
    assert abs(main_tone(heard[1600:8000]) - 500) < 5


async def test_a_killed_worker_leaves_a_valid_recording(
    open_plane: OpenPlane, join: Join, tmp_path: Path
) -> None:
    plane = await open_plane()
    party = await join(plane)
    party.peer.say(900)
    path = tmp_path / "killed.wav"
    party.session.record(path)
    await party.peer.hears(1)
    await eventually(lambda: path.exists() and path.stat().st_size > 50_000)  # the second batch
    os.kill(party.session.worker.process.pid, signal.SIGKILL)
    await party.log.wait(WorkerDied)
    _, heard = channels(path)
    assert abs(main_tone(heard[2000:]) - 900) < 10
    assert len(heard) * 4 + 44 <= path.stat().st_size


async def test_a_full_disk_ends_the_recording_and_not_the_call(
    open_plane: OpenPlane, join: Join, make_prompt: MakePrompt, tmp_path: Path
) -> None:
    plane = await open_plane()
    party = await join(plane)
    pid = party.session.worker.process.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (40_000, 40_000))
    path = tmp_path / "full.wav"
    party.session.record(path)
    failed = await party.log.wait(RecordingFailed)
    assert failed.reason.startswith(f"recording {path} stopped after ")
    assert "File too large" in failed.reason
    assert 4000 < len(channels(path)[0]) <= 10_000
    party.session.play(make_prompt(600))
    await party.peer.hears_tone(600)
    await party.session.close()
    assert party.log.of(RecordingFailed) == [failed]


async def test_what_cannot_be_begun_is_told(plane: MediaPlane, join: Join, tmp_path: Path) -> None:
    party = await join(plane)
    (tmp_path / "there.wav").write_bytes(b"precious")
    party.session.record(tmp_path / "there.wav")
    failed = await party.log.wait(RecordingFailed)
    assert "cannot be started: File exists" in failed.reason
    async with asyncio.timeout(DEADLINE):
        await party.session.close()
    assert (tmp_path / "there.wav").read_bytes() == b"precious"
