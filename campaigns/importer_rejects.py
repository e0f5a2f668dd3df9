"""The rejects file: the rows that were left out, each with its line and the reason.

It has the columns of the original, in the original's delimiter, so that it can be mended and
imported in its turn; the two columns it adds are ignored then.
"""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import TextIO

from campaigns.errors import CampaignsError
from campaigns.importer_columns import LINE, REASON, Layout
from campaigns.importer_source import Record


class Rejects:
    """Writes the rejects file beside the original; there is none where nothing is rejected."""

    def __init__(self, original: Path, layout: Layout, delimiter: str) -> None:
        self.path: Path | None = None  # where it is, once a row has been rejected
        self._original = original
        self._layout = layout
        self._delimiter = delimiter
        self._file: TextIO | None = None

    def __enter__(self) -> Rejects:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, record: Record, reason: str) -> None:
        """Write one row that was left out."""
        try:
            writer = csv.writer(self._file or self._create(), delimiter=self._delimiter)
            cells = [_text(record.cells[i]) if i < len(record.cells) else "" for i in self._kept()]
            writer.writerow([*cells, reason, record.line])
        except OSError as error:
            raise CampaignsError(
                f"The rejects file {self.path} cannot be written ({error.strerror or error}): "
                "make room, or import from a folder this user may write."
            ) from error

    def _create(self) -> TextIO:
        self.path = _free(self._original)
        self._file = self.path.open("x", encoding="utf-8-sig", newline="")  # the BOM is for Excel
        header = list(self._layout.header)
        if not self._layout.has_header:
            for kind, indexes in (("phone", self._layout.phones), ("name", self._layout.names)):
                for index in indexes:
                    header[index] = kind
        writer = csv.writer(self._file, delimiter=self._delimiter)
        writer.writerow([*(header[index] for index in self._kept()), REASON, LINE])
        return self._file

    def _kept(self) -> list[int]:
        return [i for i, name in enumerate(self._layout.header) if name not in {REASON, LINE}]


def _free(original: Path) -> Path:
    """Find a name no file has: an earlier rejects file may be just being mended."""
    stem = original.name.removesuffix(original.suffix).split(".rejects")[0]
    path, copy = original.with_name(f"{stem}.rejects.csv"), 2
    while path.exists():
        path, copy = original.with_name(f"{stem}.rejects-{copy}.csv"), copy + 1
    return path


def _text(cell: str) -> str:
    return cell.encode("utf-8", "replace").decode()
