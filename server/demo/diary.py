"""Diaries: what the simulated people and their carrier did, a JSON object a line, as it happens.

Times are seconds since the epoch: the diaries of several processes are read together.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened in one call; `number` is the person's, `call_id` the SIP Call-ID."""

    what: str
    number: str
    call_id: str
    at: float = field(default_factory=time.time)
    detail: dict[str, Any] = field(default_factory=dict)


class Diary:
    """Appends entries to a file, from any thread, without making the writer wait for the disk."""

    def __init__(self, path: Path) -> None:
        self._lines: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, args=(path,), name=f"diary {path.name}")
        self._writer.start()

    def note(self, what: str, number: str, call_id: str, **detail: Any) -> None:
        """Write down what happened just now."""
        self._lines.put(Entry(what, number, call_id, detail=detail))

    def close(self) -> None:
        """Write what is still waiting, then stop."""
        self._lines.put(None)
        self._writer.join()

    def _write(self, path: Path) -> None:
        with path.open("a", encoding="utf-8", buffering=1) as file:
            while (entry := self._lines.get()) is not None:
                file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")


def read_all(folder: Path) -> list[Entry]:
    """Read every diary (*.jsonl) of a folder; a line still being written is left out."""
    lines = [
        line
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
    ]
    return [Entry(**json.loads(line)) for line in lines if line.endswith("\n")]
