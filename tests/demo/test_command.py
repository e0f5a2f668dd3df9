"""`tongdai demo`, the command: its exit code, and the folder it leaves or does not leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from cli.main import app
from server.demo import show
from server.demo.check import Difference
from server.demo.stage import DemoFailed

Played = Callable[..., tuple[int, Path]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Played:
    """Run the command with a show that ends as told; return the exit code and the home."""

    def play(*words: str, differences: Sequence[Difference] = (), fails: bool = False) -> object:
        homes: list[Path] = []

        def run(home: Path, console: Console) -> show.Outcome:
            homes.append(home)
            if fails:
                raise DemoFailed("The process carrier ended at once.")
            return show.Outcome(75, differences)

        monkeypatch.setattr(show, "run", run)
        with pytest.raises(SystemExit) as ended:
            app(["demo", *words], prog_name="tongdai")
        return ended.value.code, homes[0]

    return play  # type: ignore[return-value]


def test_zero_where_everything_agrees(play: Played, tmp_path: Path) -> None:
    assert play("--home", str(tmp_path)) == (0, tmp_path)
    assert tmp_path.is_dir()


def test_one_where_anything_differs(play: Played, tmp_path: Path) -> None:
    differences = [Difference("+84912000101", "result", "busy", "answered")]
    assert play("--home", str(tmp_path), differences=differences)[0] == 1


def test_one_and_a_sentence_where_it_cannot_be_run(
    play: Played, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert play("--home", str(tmp_path), fails=True)[0] == 1
    assert capsys.readouterr().err == "tongdai: The process carrier ended at once.\n"


@pytest.mark.parametrize("fails", [False, True])
def test_without_a_home_nothing_is_left(play: Played, fails: bool) -> None:
    assert not play(fails=fails)[1].exists()


def test_unless_it_is_to_be_kept(play: Played) -> None:
    home = play("--keep")[1]
    assert home.is_dir()
    home.rmdir()
