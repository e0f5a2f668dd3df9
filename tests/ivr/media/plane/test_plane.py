"""Sessions from opening to closing: audio both ways, proven by frequency."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from ivr.media import crew
from ivr.media.errors import MediaError, PlaneDown, PortsExhausted
from ivr.media.events import MediaReport, PlayEnded, RtpStopped
from ivr.media.g711 import Law
from ivr.media.plane import MediaConfig, MediaPlane
from tests.ivr.media.plane.conftest import Join, MakePrompt, OpenPlane
from tests.ivr.media.plane.peer import DEADLINE, Log, Peer, entries, eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
async def test_a_prompt_is_heard_and_its_end_is_told(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt, law: Law
) -> None:
    party = await join(plane, law)
    number = party.session.play(make_prompt(600, ms=400))
    await party.peer.hears_tone(600)
    assert await party.log.wait(PlayEnded) == PlayEnded(number, "completed")
    await party.peer.hears_silence()


async def test_prompts_queue_and_stop(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    party = await join(plane)
    first = party.session.play(make_prompt(600, ms=300))
    second = party.session.play(make_prompt(800), loop=True)
    await party.peer.hears_tone(600)
    await party.peer.hears_tone(800)
    party.session.stop()
    await party.log.wait(PlayEnded, 2)
    assert party.log.events == [PlayEnded(first, "completed"), PlayEnded(second, "stopped")]
    await party.peer.hears_silence()


async def test_a_prompt_whose_file_is_gone_fails_and_the_call_goes_on(
    plane: MediaPlane, join: Join, make_prompt: MakePrompt
) -> None:
    party = await join(plane)
    prompt = make_prompt(600)
    prompt.files["PCMA"].unlink()
    number = party.session.play(prompt)
    assert await party.log.wait(PlayEnded) == PlayEnded(number, "failed")
    party.session.play(make_prompt(800))
    await party.peer.hears_tone(800)


async def test_the_stream_is_one_and_counts_on(plane: MediaPlane, join: Join) -> None:
    party = await join(plane)
    packets = await party.peer.hears(20)
    assert len({packet.ssrc for packet in packets}) == 1
    numbers = [(packet.sequence - packets[0].sequence) & 0xFFFF for packet in packets]
    assert numbers == list(range(20))
    stamps = [(packet.timestamp - packets[0].timestamp) & 0xFFFFFFFF for packet in packets]
    assert all(stamp % 160 == 0 for stamp in stamps)
    assert stamps == sorted(set(stamps))


async def test_on_hold_nothing_is_sent_and_the_other_codec_afterwards(
    plane: MediaPlane, join: Join
) -> None:
    party = await join(plane)
    await party.peer.hears(1)
    party.peer.call(party.session, direction="recvonly")
    await party.session.report()  # commands are carried out in order
    quiet = (await party.session.report()).packets_sent
    for _ in range(3):
        assert (await party.session.report()).packets_sent == quiet
    party.peer.heard.clear()
    party.peer.law = "PCMU"
    party.peer.call(party.session)
    assert (await party.peer.hears(1))[0].payload_type == 0


async def test_figures_tell_what_was_lost_and_doubled(plane: MediaPlane, join: Join) -> None:
    party = await join(plane)
    peer = party.peer
    peer.hush()
    before = await party.session.report()
    for n in range(10):
        if n in (3, 7):
            peer.sequence += 1
        peer.send(b"\xd5" * 160)
    peer.sequence -= 1
    peer.send(b"\xd5" * 160)  # a copy of the last one
    peer.send_raw(b"garbage")
    report = await party.session.report()
    async with asyncio.timeout(DEADLINE):
        while report.dropped == before.dropped:
            report = await party.session.report()
    assert report.packets_received - before.packets_received == 10
    assert report.packets_lost == 2
    assert report.duplicates == 1
    assert report.mos is not None
    assert report.codec == "PCMA"
    assert report.remote == f"127.0.0.1:{peer.port}"
    final = await party.session.close()
    assert final.packets_lost == 2
    assert await party.session.close() == final == await party.session.report()


async def test_rtp_that_stops_is_told_once(open_plane: OpenPlane, join: Join) -> None:
    plane = await open_plane(rtp_timeout=0.3)
    party = await join(plane)
    await party.peer.hears(5)
    party.peer.hush()
    stopped = await party.log.wait(RtpStopped)
    assert stopped.silent_for >= 0.3
    party.peer.speak(b"\xd5" * 160)
    await party.peer.hears(5)
    party.peer.hush()
    await party.log.wait(RtpStopped, 2)


async def test_on_hold_no_rtp_is_missed(open_plane: OpenPlane) -> None:
    plane = await open_plane(rtp_timeout=0.2)
    session = await plane.open(call_id="held")
    log, peer = Log(session), await Peer.start()
    peer.call(session, direction="sendonly")
    await peer.hears(70)  # well over a review
    assert log.events == []
    await session.close()
    peer.close()


async def test_ports_run_out_rest_and_come_back(open_plane: OpenPlane) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1] & ~1
    plane = await open_plane(ports=range(port, port + 1), quarantine=0.2)
    session = await plane.open(call_id="first")
    assert session.port == port
    assert plane.stats().ports_in_use == 1
    with pytest.raises(PortsExhausted, match="No RTP port is free"):
        await plane.open(call_id="second")
    await session.close()
    with pytest.raises(PortsExhausted, match="1 are resting"):
        await plane.open(call_id="third")
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                session = await plane.open(call_id="fourth")
                break
            except PortsExhausted:
                await asyncio.sleep(0)
    assert session.port == port


async def test_ports_of_other_programs_are_passed_over(open_plane: OpenPlane) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        plane = await open_plane(ports=range(taken & ~1, (taken & ~1) + 16))
        ports = [(await plane.open(call_id="x")).port for _ in range(3)]
        assert len(set(ports)) == 3
        assert taken not in ports
        assert plane.stats().ports_in_use >= 3


async def test_an_address_that_is_not_ours_is_a_clear_error(open_plane: OpenPlane) -> None:
    plane = await open_plane(bind="192.0.2.1")
    with pytest.raises(MediaError, match=r"No RTP socket for call x .*: Cannot assign"):
        await plane.open(call_id="x")


async def test_what_the_sdp_says_about_our_address(open_plane: OpenPlane) -> None:
    behind_nat = await open_plane(bind="0.0.0.0", external_address="203.0.113.1")
    assert (await behind_nat.open(call_id="x")).host == "203.0.113.1"
    wildcard = await open_plane(bind="0.0.0.0")
    assert (await wildcard.open(call_id="x", toward="127.0.0.9")).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"codec": "G729"}, "The codec 'G729' is not spoken here; negotiate one of PCMA, PCMU."),
        ({"host": "phone.example"}, "it is no IPv4 address"),
    ],
)
async def test_what_cannot_be_connected_is_refused(
    plane: MediaPlane, wrong: dict[str, str], sentence: str
) -> None:
    session = await plane.open(call_id="x")
    right = {"host": "127.0.0.1", "port": 4000, "codec": "PCMA", "payload_type": 8}
    with pytest.raises(MediaError, match=sentence):
        session.connect(**right | wrong)  # type: ignore[arg-type]  # a mixed dict
    with pytest.raises(ValueError, match="not a key"):
        session.send_digits("12x")


async def test_closing_leaves_nothing_behind(open_plane: OpenPlane, tmp_path: Path) -> None:
    plane = await open_plane()
    worker = plane._workers[0].process.pid
    descriptors = f"/proc/{worker}/fd"

    async def some_calls() -> list[MediaReport]:
        sessions = [await plane.open(call_id=f"c{n}") for n in range(20)]
        for n, session in enumerate(sessions):
            session.connect(host="127.0.0.1", port=9, codec="PCMA", payload_type=8)
            session.record(tmp_path / f"{session.number}.wav")
            session.bridge(sessions[n - 1])
        return await asyncio.gather(*(session.close() for session in sessions))

    await some_calls()
    before = len(entries(descriptors))
    reports = await some_calls()
    assert len(reports) == 20
    assert len(entries(descriptors)) == before
    assert plane.stats().sessions == 0
    assert plane.stats().ports_in_use == 0


async def test_an_open_that_is_cancelled_gives_its_port_back(
    open_plane: OpenPlane, one_port: range
) -> None:
    plane = await open_plane(ports=one_port, quarantine=0)
    opening = asyncio.create_task(plane.open(call_id="x"))
    await eventually(lambda: plane.stats().sessions)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await eventually(lambda: plane.stats().ports_in_use == 0)


async def test_a_worker_that_cannot_start_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(crew.sys, "executable", str(broken))
    plane = MediaPlane(MediaConfig(bind="127.0.0.1", workers=2))
    with pytest.raises(PlaneDown, match="ended with status 3 before it was ready"):
        await plane.start()
    await plane.close()


async def test_after_closing_the_plane_no_process_is_left(open_plane: OpenPlane) -> None:
    plane = await open_plane(workers=2)
    session = await plane.open(call_id="x")
    pids = [worker.process.pid for worker in plane._workers]
    await plane.close()
    assert await session.close() == MediaReport()
    assert not set(map(str, pids)) & entries("/proc")


async def test_the_least_loaded_worker_or_the_one_nearby(open_plane: OpenPlane) -> None:
    plane = await open_plane(workers=2)
    one, two = await plane.open(call_id="1"), await plane.open(call_id="2")
    assert one.worker is not two.worker
    near = [await plane.open(call_id="3", near=two) for _ in range(3)]
    assert {session.worker for session in near} == {two.worker}
    assert (await plane.open(call_id="4")).worker is one.worker


async def test_a_plane_that_is_not_running_says_so() -> None:
    with pytest.raises(PlaneDown, match="not running"):
        await MediaPlane(MediaConfig()).open(call_id="x")
