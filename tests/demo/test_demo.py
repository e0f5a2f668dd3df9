"""`tongdai demo`, as a person runs it: the whole of Tongdai against phones nobody here wrote."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest

from server.demo.diary import read_all
from server.demo.people import Act

TONGDAI = [sys.executable, "-c", "from cli.main import main; main()"]


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_every_call_is_on_record_as_it_was_lived(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = subprocess.run(
        [*TONGDAI, "demo", "--home", str(home)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert "each on record exactly" in done.stdout

    acts = {entry.detail["act"] for entry in read_all(home / "demo") if entry.what == "rang"}
    assert acts == {act.value for act in Act} - {Act.UNKNOWN.value, Act.SWITCHED_OFF.value}

    with (home / "calls.csv").open(encoding="utf-8-sig", newline="") as file:
        calls = list(csv.DictReader(file))
    sheet = openpyxl.load_workbook(home / "calls.xlsx").active
    assert sheet is not None
    assert len(calls) > 54
    assert sheet.max_row > len(calls)
    assert len(list((home / "recordings").rglob("*.wav"))) > 20
