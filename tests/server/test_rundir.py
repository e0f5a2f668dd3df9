"""One server a home."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from server.rundir import AlreadyRunning, RunDir


def test_a_second_server_on_the_same_home_is_refused(tmp_path: Path) -> None:
    with RunDir(tmp_path), pytest.raises(AlreadyRunning) as refused:
        RunDir(tmp_path).__enter__()
    assert str(refused.value) == (
        f"A Tongdai server (process {os.getpid()}) runs on {tmp_path} already: stop it first, or "
        "name another folder with --home."
    )


def test_after_it_stopped_another_may_start(tmp_path: Path) -> None:
    for _ in range(2):
        with RunDir(tmp_path) as run:
            run.announce("http://127.0.0.1:1")
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["lock"]


def test_after_it_was_killed_another_may_start(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib; from server.rundir import RunDir;"
        "run = RunDir(pathlib.Path(sys.argv[1])).__enter__(); run.announce('http://x');"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert done.returncode == -9
    assert (tmp_path / "run" / "api-token").exists()
    with RunDir(tmp_path) as run:
        run.announce("http://127.0.0.1:1")
        assert (tmp_path / "run" / "api-url").read_text() == "http://127.0.0.1:1"


def test_the_token_is_new_each_time_and_for_this_user_alone(tmp_path: Path) -> None:
    tokens = set()
    for _ in range(2):
        with RunDir(tmp_path) as run:
            run.announce("http://127.0.0.1:1")
            path = tmp_path / "run" / "api-token"
            tokens.add(path.read_text())
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(tokens) == 2
    assert all(len(token) >= 32 for token in tokens)
