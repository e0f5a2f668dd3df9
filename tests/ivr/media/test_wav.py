"""The WAV writer: a playable file at every instant, whatever becomes of disk and process."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from ivr.media import g711, wav
from ivr.media.errors import RecordingError
from ivr.media.g711 import Law, Pcm
from ivr.media.wav import WavWriter

LEFT = np.arange(-80, 80, dtype=np.int16) * 100
RIGHT = -LEFT


def read(path: Path) -> tuple[Pcm, Pcm]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return samples[:, 0], samples[:, 1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "2026-11" / "call.wav"


def test_both_channels_come_back(path: Path) -> None:
    writer = WavWriter(path)
    for _ in range(50):
        writer.append(LEFT, RIGHT)
    done = writer.finish()
    left, right = read(path)
    assert np.array_equal(left, np.tile(LEFT, 50))
    assert np.array_equal(right, np.tile(RIGHT, 50))
    assert (done.path, done.seconds, done.size) == (path, 1.0, path.stat().st_size)
    assert done.size == 44 + 50 * 160 * 4


@pytest.mark.parametrize("law", g711.LAWS)
def test_g711_is_decoded(path: Path, law: Law) -> None:
    writer = WavWriter(path)
    writer.append_g711(g711.encode(LEFT, law), g711.SILENCE[law], law=law)
    left, right = read(path)
    assert np.array_equal(left, g711.decode(g711.encode(LEFT, law), law))
    assert np.all(np.abs(right) <= 8)
    writer.finish()


def test_the_file_is_whole_after_every_append(path: Path) -> None:
    writer = WavWriter(path)
    for count in range(20):
        assert len(read(path)[0]) == 160 * count
        assert writer.seconds == pytest.approx(count * 0.02)
        writer.append(LEFT, RIGHT)
    writer.finish()


def test_finishing_twice_is_harmless_and_writing_after_it_is_not(path: Path) -> None:
    writer = WavWriter(path)
    assert writer.finish() == writer.finish()
    with pytest.raises(RecordingError, match="is finished"):
        writer.append(LEFT, RIGHT)


@pytest.mark.parametrize("channels", [(LEFT,), (LEFT, RIGHT[:-1]), (LEFT, RIGHT, LEFT)])
def test_channels_must_match(path: Path, channels: tuple[Pcm, ...]) -> None:
    writer = WavWriter(path)
    with pytest.raises(ValueError, match="2 channels of one length"):
        writer.append(*channels)
    assert writer.finish().seconds == 0


def test_an_existing_recording_is_never_overwritten(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"precious")
    with pytest.raises(RecordingError, match=r"call\.wav cannot be started: File exists"):
        WavWriter(path)
    assert path.read_bytes() == b"precious"


def test_a_file_is_never_seen_without_a_header(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int, data: bytes, offset: int) -> int:
        assert not path.exists()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(RecordingError, match="cannot be started: No space left"):
        WavWriter(path)
    assert not path.exists()
    monkeypatch.undo()
    assert WavWriter(path).finish().seconds == 0


def test_a_full_disk_leaves_what_was_recorded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes half of the third append, then no more."""
    writer = WavWriter(path)
    writer.append(LEFT, RIGHT)
    writer.append(LEFT, RIGHT)
    real, room = os.pwrite, [321]

    def full(file: int, data: bytes, offset: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(file, data[: room[0]], offset)
        room[0] -= written
        return written

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(RecordingError, match=r"after 0\.0 s: No space left on device; make"):
        writer.append(LEFT, RIGHT)
    assert path.stat().st_size == 44 + 2 * 640
    assert len(read(path)[0]) == 320

    room[0] = 10_000
    writer.append(RIGHT, LEFT)
    assert writer.finish().seconds == pytest.approx(0.06)
    assert np.array_equal(read(path)[0][320:], RIGHT)


def test_a_write_the_kernel_refuses_leaves_what_was_recorded(path: Path) -> None:
    """The same with a real refusal: a limit on file size, hit in the middle of an append."""
    code = f"""
import resource, sys
import numpy as np
from pathlib import Path
from ivr.media.errors import RecordingError
from ivr.media.wav import WavWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, {resource.RLIM_INFINITY}))
writer = WavWriter(Path(sys.argv[1]))
sound = np.ones(160, np.int16)
try:
    while True:
        writer.append(sound, sound)
except RecordingError as error:
    print(error)
print(writer.finish().size)
"""
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    sentence, size = done.stdout.splitlines()
    assert "stopped after 0.3 s: File too large" in sentence
    assert int(size) == path.stat().st_size == 44 + 15 * 640
    assert len(read(path)[0]) == 15 * 160


def test_no_file_grows_beyond_what_wav_can_say(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "MAX_DATA_BYTES", 1000)
    writer = WavWriter(path)
    writer.append(LEFT, RIGHT)
    with pytest.raises(RecordingError, match="cannot exceed 4 GiB"):
        writer.append(LEFT, RIGHT)
    assert writer.finish().seconds == pytest.approx(0.02)


def test_samples_reach_the_disk_before_the_header_that_counts_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = WavWriter(path, sync_seconds=0.04)
    sizes_at_sync: list[tuple[int, int]] = []

    def sync(file: int) -> None:
        sizes_at_sync.append((path.stat().st_size, len(read(path)[0])))

    monkeypatch.setattr(os, "fdatasync", sync)
    for _ in range(5):
        writer.append(LEFT, RIGHT)
    assert sizes_at_sync == [(44 + 2 * 640, 160), (44 + 4 * 640, 480)]
    writer.finish()


RECORD_FOR_EVER = """
import sys
import numpy as np
from pathlib import Path
from ivr.media.wav import WavWriter
writer = WavWriter(Path(sys.argv[1]), sync_seconds=None)
sound = np.full(160, 1234, np.int16)
while True:
    writer.append(sound, -sound)
    if writer.seconds >= float(sys.argv[2]):
        print("recording", flush=True)
"""


@pytest.mark.parametrize("seconds", [0.0, 0.5, 3.0, 10.0])
def test_a_writer_killed_at_any_instant_leaves_a_whole_file(path: Path, seconds: float) -> None:
    command = [sys.executable, "-c", RECORD_FOR_EVER, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"recording\n"
        process.kill()
    left, right = read(path)
    assert len(left) >= seconds * 8000
    assert len(left) % 160 == 0
    assert np.all(left == 1234)
    assert np.all(right == -1234)


def probe(path: Path) -> float:
    """The duration by ffprobe, and no word of complaint from it nor from sox."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(path)]
    probed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert probed.stderr == ""
    (stream,) = json.loads(probed.stdout)["streams"]
    found = stream["codec_name"], stream["channels"], stream["sample_rate"]
    assert found == ("pcm_s16le", 2, "8000")
    command = ["sox", str(path), "-n", "stat"]
    checked = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "WARN" not in checked.stderr
    return float(stream.get("duration", 0))


@pytest.mark.peer
def test_ffprobe_and_sox_can_read_it_after_every_append(path: Path) -> None:
    writer = WavWriter(path)
    for count in range(5):
        assert probe(path) == pytest.approx(count * 0.02, abs=1e-6)
        writer.append(LEFT, RIGHT)
    writer.finish()
    assert probe(path) == pytest.approx(0.1, abs=1e-6)


@pytest.mark.peer
def test_ffprobe_and_sox_can_read_a_file_cut_off_between_samples_and_header(path: Path) -> None:
    writer = WavWriter(path)
    writer.append(LEFT, RIGHT)
    writer.finish()
    with path.open("ab") as file:
        file.write(bytes(333))
    assert probe(path) == pytest.approx(0.02, abs=1e-6)
