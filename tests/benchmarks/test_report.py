"""Verdicts, the table, and the file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.report import Figure, limited, missed, text

MACHINE = {"at": "2026-01-02T03:04:05+00:00", "cores": 2, "cpu": "X", "python": "3.11", "load": [0]}


@pytest.mark.parametrize(
    ("measured", "must", "aim", "more", "verdict"),
    [
        (5, 10, 3, False, "met"),
        (3, 10, 3, False, "aim met"),
        (11, 10, 3, False, "MISSED"),
        (0.6, 0.5, 0.8, True, "met"),
        (0.9, 0.5, 0.8, True, "aim met"),
        (0.4, 0.5, 0.8, True, "MISSED"),
        (5, None, 3, False, "short of aim"),
        (5, 5, None, False, "met"),
        (5, None, None, False, ""),
        (None, 5, None, False, "not measured"),
    ],
)
def test_verdicts(
    measured: float | None, must: float | None, aim: float | None, more: bool, verdict: str
) -> None:
    assert Figure("x", "", measured, must, aim, more).verdict == verdict


def test_what_fails_a_run() -> None:
    met, over = limited("a", "", 1, 2, required=True), limited("b", "", 3, 2, required=True)
    short = limited("c", "", 3, 2, required=False)
    unknown, idle = Figure("d", "", None, must=1), Figure("e", "", None)
    assert missed([met, over, short, unknown, idle]) == [over, unknown]


def test_ratio_is_ours_by_theirs() -> None:
    assert Figure("x", "", 2.0, peer=8.0).ratio == 0.25
    assert Figure("x", "", 2.0, peer=0).ratio is None
    assert Figure("x", "", 2.0).ratio is None


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.03127, "0.0313"), (12345.6, "12,346"), (2.0, "2"), (0, "0"), (None, ""),
     (float("inf"), "inf")],
)  # fmt: skip
def test_numbers(value: float | None, written: str) -> None:
    assert text(value) == written


def test_the_table_and_the_file_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    figure = Figure("CPU per call", "%", 0.03, must=0.06, peer=0.4, peer_name="pyVoIP", note="so")
    shown = io.StringIO()
    report.show([figure], MACHINE, Console(file=shown, width=160))
    row = next(line for line in shown.getvalue().splitlines() if "CPU" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == [
        "CPU per call, %", "≤ 0.06", "", "0.03", "0.4 pyVoIP", "0.075", "met", "so"
    ]  # fmt: skip
    written = json.loads(report.save([figure], MACHINE, {"raw": 1}).read_text())
    assert written["figures"][0]["verdict"] == "met"
    assert written["figures"][0]["ratio"] == pytest.approx(0.075)
    assert written["details"] == {"raw": 1}
