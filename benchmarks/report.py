"""Figures, what is asked of them, and how they are shown: a table for people, JSON for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from rich.console import Console
from rich.table import Column, Table

RESULTS: Final = Path(__file__).parent / "results"

Verdict = Literal["MISSED", "met", "aim met", "short of aim", "not measured", ""]
_STYLES: Final[dict[Verdict, str]] = {
    "MISSED": "bold red",
    "met": "green",
    "aim met": "bold green",
    "short of aim": "yellow",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. Without `must` and `aim` it only tells; None: it was not measured.

    `peer` is the value that another program had in the same run.
    """

    what: str
    unit: str
    measured: float | None
    must: float | None = None
    aim: float | None = None
    more_is_better: bool = False
    peer: float | None = None
    peer_name: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Return ours by the peer's, where both are known."""
        if self.measured is None or not self.peer:
            return None
        return self.measured / self.peer

    @property
    def verdict(self) -> Verdict:
        """Return the highest of must and aim that is met, or what is missed."""
        if self.measured is None:
            return "not measured"
        if self.must is not None and not self._keeps(self.must):
            return "MISSED"
        if self.aim is not None:
            if self._keeps(self.aim):
                return "aim met"
            return "short of aim" if self.must is None else "met"
        return "" if self.must is None else "met"

    def _keeps(self, limit: float) -> bool:
        assert self.measured is not None
        return self.measured >= limit if self.more_is_better else self.measured <= limit


def limited(
    what: str,
    unit: str,
    measured: float,
    limit: float,
    *,
    required: bool,
    peer: float | None = None,
    peer_name: str = "",
    note: str = "",
) -> Figure:
    """Return a figure whose limit is a must where `required`, else an aim; less is better."""
    return Figure(
        what,
        unit,
        measured,
        must=limit if required else None,
        aim=None if required else limit,
        peer=peer,
        peer_name=peer_name,
        note=note,
    )


def missed(figures: Sequence[Figure]) -> list[Figure]:
    """Return the figures that miss their must, or that have one and could not be measured."""
    return [
        figure
        for figure in figures
        if figure.verdict == "MISSED"
        or (figure.verdict == "not measured" and figure.must is not None)
    ]


def show(figures: Sequence[Figure], machine: dict[str, Any], console: Console) -> None:
    """Print the table."""
    table = Table(
        "what",
        *(Column(name, justify="right") for name in ("must", "aim", "measured", "peer", "ratio")),
        "verdict",
        "note",
        title=f"Tongdai, {machine['at']}: {machine['cores']} cores, {machine['cpu']}, "
        f"Python {machine['python']}, load before {machine['load'][0]:.1f}",
    )
    for figure in figures:
        sign = "≥ " if figure.more_is_better else "≤ "
        peer = f"{text(figure.peer)} {figure.peer_name}" if figure.peer is not None else ""
        table.add_row(
            f"{figure.what}, {figure.unit}" if figure.unit else figure.what,
            *(
                sign + text(limit) if limit is not None else ""
                for limit in (figure.must, figure.aim)
            ),
            text(figure.measured),
            peer.strip(),
            text(figure.ratio),
            figure.verdict,
            figure.note,
            style=_STYLES.get(figure.verdict, ""),
        )
    console.print(table)


def text(value: float | None) -> str:
    """Write a value in three significant digits, whole where it is large; "" for None.

    >>> text(0.03127), text(12345.6), text(2.0), text(None)
    ('0.0313', '12,346', '2', '')
    """
    if value is None:
        return ""
    if not math.isfinite(value) or abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}"


def save(figures: Sequence[Figure], machine: dict[str, Any], details: dict[str, Any]) -> Path:
    """Write all of a run as JSON and return the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{machine['at'].replace(':', '')}.json"
    rows = [
        {**asdict(figure), "ratio": figure.ratio, "verdict": figure.verdict} for figure in figures
    ]
    path.write_text(
        json.dumps({"machine": machine, "figures": rows, "details": details}, indent=2) + "\n"
    )
    return path
