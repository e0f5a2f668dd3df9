"""What there is to measure, by name; each part in its full or a tiny size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from benchmarks import calls, import_contacts, media, setup
from benchmarks.machine import Bystanders
from benchmarks.report import Figure

QUICK_ROWS: Final = 20_000
FLAT_MB: Final = 100.0  # growth of the importing process, however long the file


def run_calls(quick: bool) -> dict[str, Any]:
    """Live calls."""
    return calls.run((20, 40), 3.0) if quick else calls.run()


def run_setup(quick: bool) -> dict[str, Any]:
    """Calls set up per second."""
    return setup.run((20, 40), 3.0) if quick else setup.run()


def run_import(quick: bool) -> dict[str, Any]:
    """Contacts imported, beside phonenumbers alone on the same column."""
    found = import_contacts.run(QUICK_ROWS if quick else import_contacts.ROWS)
    parsed = found["phonenumbers_rows_per_second"]
    return {
        "figures": [
            Figure(
                f"import of {found['rows']:,} rows, by phonenumbers alone", "", found["ratio"],
                must=found["must"], aim=found["aim"], more_is_better=True,
                note=f"{found['import_rows_per_second']:,} rows/s; phonenumbers {parsed:,}",
            ),
            Figure(
                "import: memory growth", "MB", found["rss_growth_mb"], must=FLAT_MB,
                note=f"{found['peak_rss_mb']} MB at most",
            ),
        ],
        "details": found,
    }  # fmt: skip


def run_media(quick: bool) -> dict[str, Any]:
    """The media plane alone, without signalling: what of a call's cost is its audio."""
    found = media.run(20, seconds=2.0) if quick else media.run()
    return {
        "figures": [
            Figure(f"media plane, {found.calls} sessions: {what}", unit, value, note=note)
            for what, unit, value, note in (
                ("packets lost", "", found.lost, ""),
                ("packet spacing off 20 ms, p99", "ms", found.p99_ms, f"most {found.max_ms}"),
                ("CPU per call", "% of a core", found.cpu_percent, ""),
                ("memory per call", "kB", found.kilobytes, ""),
            )
        ],
        "details": asdict(found),
    }


PARTS: Final[dict[str, Callable[[bool], dict[str, Any]]]] = {
    "calls": run_calls,
    "setup": run_setup,
    "import": run_import,
    "media": run_media,
}


def measure(name: str, quick: bool) -> tuple[dict[str, Any], float]:
    """Measure a part; return what it found, and the cores that other programs used meanwhile."""
    others = Bystanders()
    found = PARTS[name](quick)
    return found, others.cores()
