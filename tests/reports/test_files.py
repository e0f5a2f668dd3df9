"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from reports.errors import CannotWrite
from reports.files import whole_file


def write_and_raise(path: Path, error: Exception) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("half")
        raise error


def test_it_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    with whole_file(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert [*tmp_path.iterdir()] == [path]


def test_the_old_file_stays_where_something_goes_wrong(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("old")
    with pytest.raises(KeyError):
        write_and_raise(path, KeyError())
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    with pytest.raises(CannotWrite) as refused:
        write_and_raise(path, OSError(errno.ENOSPC, "No space left on device"))
    assert str(refused.value) == (
        f"{path} cannot be written (No space left on device): choose another place with "
        "--output, or make room."
    )
    assert [*tmp_path.iterdir()] == []


def test_where_nothing_can_be_taken_away_the_sentence_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(_path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(CannotWrite, match="cannot be written"):
        write_and_raise(tmp_path / "report.csv", OSError(errno.EROFS, "Read-only file system"))


def test_its_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    with whole_file(tmp_path / "report.csv") as temporary:
        temporary.write_text("x")
    assert stat.S_IMODE((tmp_path / "report.csv").stat().st_mode) == stat.S_IMODE(
        usual.stat().st_mode
    )
