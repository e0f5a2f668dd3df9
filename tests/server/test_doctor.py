"""The doctor's checks, sound and sick."""

from __future__ import annotations

import shutil
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server import config, doctor
from server.client import ServerNotRunning
from server.config import Config
from server.doctor import Verdict, examine
from store.database import Database
from tests.factories import NOON, make_call

TRUNK = '[[trunk]]\nname = "carrier"\nhost = "192.0.2.1"\n'
QUIET = '[sip]\nbind = "127.0.0.1:0"\n[http]\nbind = "127.0.0.1:0"\n'


def answers(_config: Config) -> list[dict[str, Any]]:
    return [{"name": "carrier", "well": True, "state": "up", "said": "200 OK"}]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "tongdai.toml").write_text(QUIET + TRUNK)
    Database.open("sqlite:///tongdai.db", home=tmp_path, migrate=True).close()
    return tmp_path


def test_a_sound_home(home: Path) -> None:
    found = {finding.name: finding.verdict for finding in examine(home, answers)}
    assert found.pop("server") is Verdict.WARNING
    assert set(found.values()) == {Verdict.OK}
    assert [*found] == [
        "Python", "ffmpeg", "espeak-ng", "disk", "configuration", "database", "ports",
        "open files", "clock", "trunk carrier",
    ]  # fmt: skip


def test_a_configuration_with_problems_names_them_all_and_ends_there(tmp_path: Path) -> None:
    (tmp_path / "tongdai.toml").write_text('[sip]\nbnid = 1\n[log]\nlevel = "loud"\n')
    found = [*examine(tmp_path, answers)]
    assert [finding.name for finding in found][-2:] == ["configuration", "configuration"]
    assert "sip.bnid" in found[-2].found
    assert "log.level" in found[-1].found


@pytest.mark.parametrize(
    ("version", "verdict"),
    [((3, 10, 9), Verdict.FAILED), ((3, 11, 0), Verdict.OK), ((4, 0, 0), Verdict.OK)],
)
def test_python(version: tuple[int, ...], verdict: Verdict) -> None:
    assert doctor.python(version).verdict is verdict


def test_a_program_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    finding = doctor.program("ffmpeg", "-version", "sound files cannot be used")
    assert (finding.verdict, finding.found, finding.advice) == (
        Verdict.FAILED,
        "not found; without it sound files cannot be used",
        "apt install ffmpeg",
    )


def test_a_program_that_does_not_run() -> None:
    assert doctor.program("false", "--version", "x").verdict is Verdict.FAILED


def test_a_full_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_DISK", 1 << 60)
    assert doctor.disk(home).verdict is Verdict.FAILED
    assert doctor.disk(home / "not" / "there").verdict is Verdict.FAILED


def test_a_password_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "tongdai.toml"
    path.write_text(f'{TRUNK}username = "u"\npassword = "p"\n')
    path.chmod(0o644)
    finding = doctor.configuration(tmp_path, config.load(tmp_path))
    assert (finding.verdict, finding.advice) == (Verdict.WARNING, f"chmod 600 {path}")
    path.chmod(0o600)
    assert doctor.configuration(tmp_path, config.load(tmp_path)).verdict is Verdict.OK


def test_a_password_that_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "tongdai.toml").write_text(f'{TRUNK}username = "u"\npassword_env = "NO_SUCH"\n')
    finding = doctor.configuration(tmp_path, config.load(tmp_path))
    assert finding.verdict is Verdict.FAILED
    assert "NO_SUCH is not set" in finding.found


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    finding = doctor.database(tmp_path, Config())
    assert finding.verdict is Verdict.FAILED
    assert finding.found.startswith("There is no database at ")


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_that_is_taken(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        read = config.parse(QUIET.replace("127.0.0.1:0", f"127.0.0.1:{port}", 1))
        [finding] = doctor.ports(read)
    assert finding.verdict is Verdict.FAILED
    assert finding.found == f"[sip] bind: 127.0.0.1:{port} cannot be used (Address already in use)"


def test_too_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _which: (256, 256))
    finding = doctor.files(config.parse(TRUNK))
    assert finding.verdict is Verdict.WARNING
    assert finding.found == "at most 256, and 100 calls need 400"


def test_a_clock_that_was_set_back(home: Path) -> None:
    database = Database.open("sqlite:///tongdai.db", home=home)
    with database.write() as session:
        make_call(session, at=NOON)
    database.close()
    read = config.load(home)
    assert doctor.clock(home, read, NOON + timedelta(hours=1)).verdict is Verdict.OK
    assert doctor.clock(home, read, NOON - timedelta(hours=1)).verdict is Verdict.FAILED


def test_a_trunk_that_does_not_answer() -> None:
    def silent(_config: Config) -> list[dict[str, Any]]:
        return [{"name": "carrier", "well": False, "state": "down", "said": "no answer"}]

    [finding] = doctor.trunks(config.parse(TRUNK), silent)
    assert (finding.verdict, finding.found) == (Verdict.FAILED, "down: no answer")


def test_trunks_that_cannot_be_asked() -> None:
    def broken(_config: Config) -> list[dict[str, Any]]:
        raise ServerNotRunning("The server at x does not answer.")

    [finding] = doctor.trunks(config.parse(TRUNK), broken)
    assert (finding.verdict, finding.found) == (Verdict.FAILED, "The server at x does not answer.")


def test_no_trunk_at_all() -> None:
    [finding] = doctor.trunks(Config(), answers)
    assert finding.verdict is Verdict.WARNING
