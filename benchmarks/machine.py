"""The machine, as /proc tells: what processes use, and what else goes on."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Use:
    """What some processes have used so far: CPU seconds, and memory now (PSS) in kB."""

    cpu: float
    memory: float


def use(pids: Iterable[int]) -> Use:
    """Return what these processes use together; pages they share count once."""
    pids = list(pids)
    return Use(sum(map(_cpu, pids)), sum(map(_pss, pids)))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss line")


def children(parent: int, module: str) -> list[int]:
    """Return the processes that `parent` started as `python -m MODULE`."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if int(stat[1]) == parent and module in words:
            found.append(int(folder.name))
    return found


class Bystanders:
    """How much CPU everybody else uses while we measure. Children count once they are reaped."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._busy = _busy()
        self._ours = _ours()

    def cores(self) -> float:
        """Return how many cores the others have used on average so far."""
        others = (_busy() - self._busy) - (_ours() - self._ours)
        return round(max(0.0, others) / (time.monotonic() - self._started), 2)


def _busy() -> float:
    """Return the CPU seconds of all processes; interrupts, ours among them, are nobody's."""
    fields = Path("/proc/stat").read_text().split()
    user, nice, system = map(int, fields[1:4])
    return (user + nice + system) / _TICKS


def _ours() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def describe() -> dict[str, Any]:
    """Return when and on what the figures were measured, and how busy it was before."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "cpu": models[0] if models else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": list(os.getloadavg()),
    }
