"""The rejects file: the rows that were left out, each with its line and the reason.

It has the columns of the original, in the original's delimiter, so that it can be mended and
imported in its turn; the two columns it adds are ignored then.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from campaigns.errors import CampaignsError
from campaigns.importer_columns import LINE, REASON, Layout
from campaigns.importer_source import Record


class Rejects:
    """Writes the rejects file beside the original; there is none where nothing is rejected."""

    def __init__(self, original: Path, layout: Layout, delimiter: str) -> None:
        self.path = _free(original)
        self._layout = layout
        self._delimiter = delimiter
        self._kept = [i for i, name in enumerate(layout.header) if name not in {REASON, LINE}]
        self._file: TextIO | None = None

    def add(self, record: Record, reason: str) -> None:
        """Write one row that was left out. Raises CampaignsError where the disk fails."""
        cells = record.cells
        kept = [cells[i] if i < len(cells) else "" for i in self._kept]
        with self._explained():
            self._write([*kept, reason, record.line, *cells[len(self._layout.header) :]])

    def close(self) -> None:
        """Finish the file, if there is one."""
        if self._file is not None:
            with self._explained():
                self._file.close()

    def _write(self, cells: Sequence[object]) -> None:
        if self._file is None:
            self._file = self._create()
        # What is not text in the original cannot be written as text here either.
        plain = (str(cell).encode("utf-8", "replace").decode() for cell in cells)
        csv.writer(self._file, delimiter=self._delimiter).writerow(plain)

    def _create(self) -> TextIO:
        file = self.path.open("x", encoding="utf-8-sig", newline="")  # a BOM, for Excel's sake
        header = list(self._layout.header)
        if not self._layout.has_header:
            for kind, indexes in (("phone", self._layout.phones), ("name", self._layout.names)):
                for index in indexes:
                    header[index] = kind
        names = [*(header[index] for index in self._kept), REASON, LINE]
        csv.writer(file, delimiter=self._delimiter).writerow(names)
        return file

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CampaignsError(
                f"The rejects file {self.path} cannot be written ({error.strerror or error}): "
                "make room, or import from a folder this user may write."
            ) from error


def _free(original: Path) -> Path:
    """Find a name no file has: an earlier rejects file may be just being mended."""
    stem = original.stem.split(".rejects")[0]
    path, copy = original.with_name(f"{stem}.rejects.csv"), 2
    while path.exists():
        path, copy = original.with_name(f"{stem}.rejects-{copy}.csv"), copy + 1
    return path
