"""Which column is what: by name, in Vietnamese and English, with and without accents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from campaigns.errors import ImportRefused
from crm.contacts import name_key
from crm.numbers import Number, normalise_all

REASON, LINE = "import_reason", "import_line"  # the columns a rejects file adds

# Folded by crm.contacts.name_key. A name here is the column, whatever is in it…
# fmt: off
_PHONES = frozenset(
    {
        "so dien thoai", "sdt", "so dt", "dt", "dtdd", "dien thoai", "di dong", "so di dong",
        "dien thoai di dong", "so dien thoai di dong", "so may", "so lien he", "so lien lac",
        "so phone", "so goi", "phone", "phone number", "phone no", "mobile", "mobile number",
        "mobile phone", "mobile no", "cell", "cell phone", "cellphone", "tel", "telephone",
        "msisdn", "number", "contact number", "customer phone", "e164",
    }
)
# fmt: on
# … and a name with one of these words is, where its cells hold numbers ("Điện thoại 2").
_PHONE_WORDS = re.compile(r"\b(sdt|dtdd|dien thoai|di dong|phone|mobile|tel|telephone|msisdn)\b")

# fmt: off
_NAMES = frozenset(
    {
        "ho ten", "ho va ten", "ten", "ten khach hang", "khach hang", "ten kh",
        "ho ten khach hang", "ten day du", "ho ten kh", "ten nguoi lien he", "nguoi lien he",
        "ten lien he", "ten khach", "ten cong ty", "name", "full name", "fullname", "customer",
        "customer name", "contact", "contact name", "client", "client name", "company",
        "company name",
    }
)
# fmt: on
_NAME_PARTS = (  # names in two columns, in the order they are said
    (frozenset({"ho", "ho dem", "ho va ten dem", "ho lot"}), frozenset({"ten", "ten goi"})),
    (frozenset({"first name", "firstname"}), frozenset({"last name", "lastname", "surname"})),
)


@dataclass(frozen=True)
class Layout:
    """What the columns of a file hold."""

    header: tuple[str, ...]  # unique names; made up where the file has none
    has_header: bool
    phones: tuple[int, ...]
    names: tuple[int, ...]
    custom: tuple[tuple[int, str], ...]  # everything else goes into the contact's fields

    @property
    def phone_columns(self) -> tuple[str, ...]:
        """The names of the columns phone numbers are taken from."""
        return tuple(self.header[index] for index in self.phones)

    @property
    def name_columns(self) -> tuple[str, ...]:
        """The names of the columns a name is put together from."""
        return tuple(self.header[index] for index in self.names)


def find_columns(
    path: Path, sample: Sequence[list[str]], mapping: Mapping[str, str], region: str
) -> Layout:
    """Decide what each column holds; `mapping` (phone, name → a column) overrules the guess.

    A column is given by its name or its number from 1. Raises ImportRefused where no column
    holds phone numbers, or a mapped one does not exist.
    """
    has_header = not any(_is_number(cell, region) for cell in sample[0])
    body = sample[1:] if has_header else sample
    header = _unique(sample[0]) if has_header else _made_up(len(sample[0]))
    if unknown := set(mapping) - {"phone", "name"}:
        raise ImportRefused(
            f"--map {sorted(unknown)[0]}=… is unknown: expected phone=COLUMN or name=COLUMN; "
            "other columns are kept under their own names."
        )
    chosen = {kind: _column(path, header, wanted) for kind, wanted in mapping.items()}
    keys = [name_key(name) for name in header] if has_header else []
    phones = (chosen["phone"],) if "phone" in chosen else _phones(keys, body, region, has_header)
    if not phones:
        raise ImportRefused(
            f"{path}: no column of phone numbers was found among {_listed(header)}: name the "
            "column “phone” or “Số điện thoại”, or say which it is with --map phone=COLUMN."
        )
    names = (chosen["name"],) if "name" in chosen else _names(keys, body, phones)
    taken = {*phones, *names}
    custom = tuple(
        (index, name)
        for index, name in enumerate(header)
        if index not in taken and name not in {REASON, LINE}
    )
    return Layout(header, has_header, phones, names, custom)


def _phones(
    keys: list[str], body: Sequence[list[str]], region: str, has_header: bool
) -> tuple[int, ...]:
    if has_header:
        exact = [index for index, key in enumerate(keys) if key in _PHONES]
        worded = [
            index
            for index, key in enumerate(keys)
            if key not in _PHONES and _PHONE_WORDS.search(key) and _share(body, index, region) > 0.3
        ]
        return (*exact, *worded)
    width = max(map(len, body))
    shares = [_share(body, index, region) for index in range(width)]
    return (shares.index(max(shares)),)


def _names(keys: list[str], body: Sequence[list[str]], phones: tuple[int, ...]) -> tuple[int, ...]:
    for first, last in _NAME_PARTS:
        found = [
            next((index for index, key in enumerate(keys) if key in part), None)
            for part in (first, last)
        ]
        if found[0] is not None and found[1] is not None:
            return (found[0], found[1])
    for index, key in enumerate(keys):
        if key in _NAMES and index not in phones:
            return (index,)
    return () if keys else _wordy(body, phones)


def _wordy(body: Sequence[list[str]], phones: tuple[int, ...]) -> tuple[int, ...]:
    """Return the first column of words, for a file without a header."""
    for index in range(max(map(len, body))):
        cells = _column_cells(body, index)
        words = sum(
            any(map(str.isalpha, cell)) and not any(map(str.isdigit, cell)) for cell in cells
        )
        if index not in phones and words > len(cells) / 2:
            return (index,)
    return ()


def _is_wordy(cell: str) -> bool:
    return any(map(str.isalpha, cell)) and not any(map(str.isdigit, cell))


def _share(body: Sequence[list[str]], index: int, region: str) -> float:
    """Return which part of a column's filled cells are phone numbers."""
    cells = _column_cells(body, index)
    return sum(_is_number(cell, region) for cell in cells) / len(cells) if cells else 0.0


def _column_cells(body: Sequence[list[str]], index: int) -> list[str]:
    return [row[index] for row in body if index < len(row) and row[index].strip()]


def _is_number(cell: str, region: str) -> bool:
    return any(isinstance(found, Number) for found in normalise_all(cell, region))


def _column(path: Path, header: tuple[str, ...], wanted: str) -> int:
    keys = [name_key(name) for name in header]
    if wanted in header:
        return header.index(wanted)
    if (key := name_key(wanted)) and key in keys:
        return keys.index(key)
    if wanted.isdecimal() and 1 <= int(wanted) <= len(header):
        return int(wanted) - 1
    raise ImportRefused(f"{path} has no column “{wanted}”: it has {_listed(header)}.")


def _unique(cells: Sequence[str]) -> tuple[str, ...]:
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        plain = " ".join(cell.split()) or f"Column {number}"
        name, copy = plain, 2
        while name in names:
            name, copy = f"{plain} ({copy})", copy + 1
        names.append(name)
    return tuple(names)


def _made_up(width: int) -> tuple[str, ...]:
    return tuple(f"Column {number}" for number in range(1, width + 1))


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(f"“{name[:40]}”" for name in header[:20])
    return f"{shown} and {len(header) - 20} more" if len(header) > 20 else shown
