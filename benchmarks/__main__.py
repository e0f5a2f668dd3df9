"""Run the benchmarks: `python -m benchmarks [--only calls setup import media] [--quick]`.

Exit code 0: every figure that must be met is; 1: one is not; 2: bad usage.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from rich.console import Console

from benchmarks import report
from benchmarks.machine import describe
from benchmarks.parts import PARTS, measure
from benchmarks.report import Figure


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    machine = describe()
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    for name in options.only:
        found, others = _apart(name, options.quick)
        console.print(f"{name}: measured; other programs used {others} cores meanwhile")
        figures += found["figures"]
        details[name] = {"others_cores": others, "found": found["details"]}
    report.show(figures, machine, console)
    console.print(f"All of it: {report.save(figures, machine, details)}", soft_wrap=True)
    return 1 if report.missed(figures) else 0


def _apart(name: str, quick: bool) -> tuple[dict[str, Any], float]:
    """Measure in a fresh process, so that what ran before is in nobody's memory."""
    with ProcessPoolExecutor(1, mp_context=mp.get_context("spawn")) as pool:
        return pool.submit(measure, name, quick).result()


if __name__ == "__main__":
    sys.exit(main())
