"""Reading a delimited text file whatever wrote it: its encoding, its delimiter, its rows.

Memory is flat: the file is looked through once in blocks to settle the encoding, then read row
by row. What is broken costs its own row only: bytes that are not text, a quote that never
closes, a NUL, a row with too few cells.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from campaigns.errors import ImportRefused

DELIMITERS = ",;\t|"
SAMPLE = 64 * 1024  # characters looked at for the delimiter and the columns
SAMPLE_ROWS = 100
_BLOCK = 1 << 20
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # Excel's own first line

_MAGIC = {  # what people send instead of a CSV
    b"PK\x03\x04": "an Excel workbook (or another zip)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive",
}


class Record(NamedTuple):
    """One row: the line it starts on (from 1), its cells, and what is wrong with it."""

    line: int
    cells: list[str]
    problem: str = ""


@dataclass(frozen=True)
class Encoding:
    """How bytes become text."""

    codec: str
    clean: bool  # every byte of the file is text in this codec
    nuls: bool  # NUL characters have to be taken out

    @property
    def errors(self) -> str:
        """The codec's error handler: bytes that are no text survive to be reported."""
        return "replace" if self.codec.startswith("utf-16") else "surrogateescape"


@dataclass(frozen=True)
class Source:
    """A delimited text file, understood."""

    path: Path
    size: int  # bytes
    encoding: Encoding
    delimiter: str
    sample: tuple[list[str], ...]  # the first rows, for guessing columns

    @contextmanager
    def open(self) -> Iterator[Reader]:
        """Open the file for reading its rows."""
        with _refusing_os_errors(self.path), self.path.open("rb") as binary:
            yield Reader(self, binary)


class Reader:
    """Reads a file's rows, once."""

    def __init__(self, source: Source, binary: BinaryIO) -> None:
        self._source = source
        self._binary = binary

    def __iter__(self) -> Iterator[Record]:
        encoding = self._source.encoding
        text = io.TextIOWrapper(self._binary, encoding.codec, encoding.errors, newline="")
        width = len(self._source.sample[0])
        try:
            yield from parse(_lines(text, encoding), self._source.delimiter, width)
        finally:
            text.detach()  # or it would close the file, which is still asked how far it was read

    @property
    def bytes_read(self) -> int:
        """How far the file has been read; a little ahead of the row that came last."""
        return self._binary.tell()


def inspect(path: Path) -> Source:
    """Find out how to read a file; raise ImportRefused where it is no delimited text."""
    with _refusing_os_errors(path):
        size = path.stat().st_size
        if size == 0:
            raise ImportRefused(f"{path} is empty: expected a CSV file with a row for each person.")
        encoding = _find_encoding(path)
        with path.open(encoding=encoding.codec, errors=encoding.errors, newline="") as text:
            sample = text.read(SAMPLE).replace("\0", "")
    declared = _SEPARATOR_LINE.match(sample)
    lines = _whole_lines(sample[declared.end() :] if declared else sample)
    delimiter = declared[1] if declared else _find_delimiter(lines)
    rows = tuple(_cells(lines, delimiter))
    if not rows:
        raise ImportRefused(f"{path} has no rows: expected a CSV file with a row for each person.")
    return Source(path, size, encoding, delimiter, rows)


def parse(lines: Iterable[str], delimiter: str, width: int) -> Iterator[Record]:
    """Parse lines (with their ends) into records of about `width` cells.

    The parser is strict, and remembers the lines of the record it is in: where a quote was
    opened and never closed, those lines are taken again one by one.
    """
    pending: list[str] = []
    reader = csv.reader(_remember(lines, pending), delimiter=delimiter, strict=True)
    done = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield from _line_by_line(pending, delimiter, done)
        else:
            share = 0.5 if len(cells) != width else 0.99
            if len(pending) > 1 and _was_swallowed(pending, delimiter, width, share):
                yield from _line_by_line(pending, delimiter, done)
            else:
                yield Record(done + 1, cells)
        done += len(pending)
        pending.clear()


def _remember(lines: Iterable[str], pending: list[str]) -> Iterator[str]:
    for line in lines:
        pending.append(line)
        yield line


def _line_by_line(lines: Iterable[str], delimiter: str, done: int) -> Iterator[Record]:
    for number, line in enumerate(lines, done + 1):
        try:
            yield Record(number, _loosely(line, delimiter))
        except csv.Error:
            limit = csv.field_size_limit()
            yield Record(number, [line[:200]], f"A cell has more than {limit:,} characters.")


def _loosely(line: str, delimiter: str) -> list[str]:
    """Parse one line by itself; an odd quote means that quotes mean nothing in it."""
    if line.count('"') % 2:
        reader = csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE)
        return [cell.strip('"') for cell in next(reader)]
    return next(csv.reader([line], delimiter=delimiter))


def _was_swallowed(lines: list[str], delimiter: str, width: int, share: float) -> bool:
    """Say whether several rows became one cell between two stray quotes.

    They did where more than a `share` of the lines are rows by themselves.
    """
    alone = list(_line_by_line(lines, delimiter, 0))
    return sum(len(record.cells) == width for record in alone) > len(alone) * share


def _lines(text: Iterable[str], encoding: Encoding) -> Iterator[str]:
    for number, line in enumerate(text):
        if number == 0 and _SEPARATOR_LINE.fullmatch(line):
            yield "\n"  # an empty row, so that line numbers stay right
        else:
            yield line.replace("\0", "") if encoding.nuls else line


def _find_encoding(path: Path) -> Encoding:
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise ImportRefused(f"{path} is {what}, not a CSV file: save it as “CSV UTF-8” first.")
    if codec := _utf16(head):
        return Encoding(codec, clean=True, nuls=True)
    nuls = head.count(0) > 0
    if head.count(0) > len(head) / 10:
        raise ImportRefused(f"{path} is not a text file: expected a CSV file.")
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in _blocks(path):
            nuls = nuls or b"\0" in block
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _not_utf8(path)
    return Encoding("utf-8-sig", clean=True, nuls=nuls)


def _utf16(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) / 5 and min(even, odd) < max(even, odd) / 10:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def _not_utf8(path: Path) -> Encoding:
    """Tell UTF-8 with a few bad rows from Windows-1258, the Vietnamese code page."""
    good = bad = 0
    with path.open("rb") as file:
        for line in file:
            if not line.isascii():
                if _is_utf8(line):
                    good += 1
                else:
                    bad += 1
    return Encoding("utf-8-sig" if good > bad else "cp1258", clean=False, nuls=True)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _find_delimiter(lines: list[str]) -> str:
    """Choose the delimiter that cuts most rows into as many cells as the first one has."""
    return max(DELIMITERS, key=lambda delimiter: _evenness(lines, delimiter))


def _evenness(lines: list[str], delimiter: str) -> tuple[float, int]:
    widths = [len(cells) for cells in _cells(lines, delimiter)]
    if not widths or widths[0] == 1:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


def _cells(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    rows = (record.cells for record in parse(lines, delimiter, width=0))
    filled = (cells for cells in rows if any(map(str.strip, cells)))
    for _, cells in zip(range(SAMPLE_ROWS), filled, strict=False):
        yield cells


def _whole_lines(sample: str) -> list[str]:
    lines = list(io.StringIO(sample, newline=""))
    return lines if len(lines) == 1 or len(sample) < SAMPLE else lines[:-1]


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


@contextmanager
def _refusing_os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ImportRefused(
            f"{path} cannot be read ({error.strerror or error}): check the name and that this "
            "user may read it."
        ) from error
