"""The catalogue of recordings, on both databases, with files on disk."""

from __future__ import annotations

import uuid
import wave
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

import pytest

from recordings import catalogue
from recordings.errors import WavError
from recordings.wav import measure
from store.database import Database
from store.models import Recording
from tests.factories import NOON, make_call, make_campaign, make_contact


def write_wav(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(4 * round(8000 * seconds)))
    return path


def begin(db: Database, path: str = "2026/11/20/a.wav") -> uuid.UUID:
    with db.write() as session:
        return catalogue.start(session, make_call(session), PurePosixPath(path), NOON)


def row(db: Database, recording: uuid.UUID) -> Recording:
    with db.read() as session:
        return session.get_one(Recording, recording)


def test_a_recording_is_filed_under_the_day_it_began() -> None:
    call = uuid.UUID("01a20045-d274-7ce7-b68d-a874a99cde81")
    late = datetime(2026, 11, 20, 23, 59, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))
    assert str(catalogue.relative_path(call, late)) == f"2026/11/20/{call}.wav"


def test_from_its_start_to_its_end(db: Database) -> None:
    recording = begin(db)
    begun = row(db, recording)
    assert (begun.state, begun.path, begun.started_at) == ("recording", "2026/11/20/a.wav", NOON)
    with db.write() as session:
        catalogue.finish(session, recording, duration_ms=12_500, size=400_044)
    done = row(db, recording)
    assert (done.state, done.duration_ms, done.bytes) == ("complete", 12_500, 400_044)


def test_a_recording_that_failed_says_why(db: Database) -> None:
    recording = begin(db)
    with db.write() as session:
        catalogue.fail(session, recording, "The disk is full.")
    assert (row(db, recording).state, row(db, recording).note) == ("failed", "The disk is full.")


def test_settled_by_the_file(db: Database, tmp_path: Path) -> None:
    recording = begin(db)
    path = write_wav(tmp_path / "2026/11/20/a.wav", 1.5)
    with db.write() as session:
        assert catalogue.settle(session, recording, tmp_path) == "complete"
    done = row(db, recording)
    assert (done.duration_ms, done.bytes, done.note) == (1500, path.stat().st_size, None)


def test_what_a_dead_process_left_is_settled_at_the_next_start(
    db: Database, tmp_path: Path
) -> None:
    kept, lost = begin(db, "kept.wav"), begin(db, "lost.wav")
    write_wav(tmp_path / "kept.wav", 0.5)
    with db.write() as session:
        assert catalogue.reconcile(session, tmp_path) == 2
    assert (row(db, kept).state, row(db, kept).note) == (
        "complete",
        "The server stopped during this call.",
    )
    assert (row(db, lost).state, row(db, lost).note) == (
        "failed",
        "There is no file lost.wav. The server stopped during this call.",
    )
    with db.write() as session:
        assert catalogue.reconcile(session, tmp_path) == 0


def test_listed_newest_first_with_the_call_they_are_of(db: Database) -> None:
    with db.write() as session:
        campaign = make_campaign(session)
        contact = make_contact(session, "+84912345678", "An")
        first = make_call(session, campaign_id=campaign.id, contact_id=contact.id)
        second = make_call(session, "+84987654321", at=NOON + timedelta(hours=1))
        catalogue.start(session, first, PurePosixPath("1.wav"), NOON)
        catalogue.start(session, second, PurePosixPath("2.wav"), NOON + timedelta(hours=1))
    with db.read() as session:
        both = [*catalogue.entries(session)]
        assert [entry.recording.path for entry in both] == ["2.wav", "1.wav"]
        assert (both[1].number, both[1].campaign, both[1].contact) == ("+84912345678", "tet", "An")
        of_campaign = [*catalogue.entries(session, campaign="tet")]
        of_number = [*catalogue.entries(session, number="+84987654321")]
        assert [entry.recording.path for entry in of_campaign] == ["1.wav"]
        assert [entry.recording.path for entry in of_number] == ["2.wav"]
        assert len([*catalogue.entries(session, limit=1)]) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no file a.wav."),
        (b"", "a.wav is not a WAV file ()."),
        (b"RIFFnothing", "a.wav is not a WAV file (not a WAVE file)."),
    ],
)
def test_a_file_that_is_no_recording(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(WavError) as refused:
        measure(tmp_path / "a.wav")
    assert str(refused.value) == sentence


def test_a_recording_without_sound(tmp_path: Path) -> None:
    with pytest.raises(WavError, match=r"^a\.wav has no sound in it\.$"):
        measure(write_wav(tmp_path / "a.wav", 0))
