"""What people and spreadsheets do to a phone number in a cell, undone: text in, text out.

Nothing here knows which numbers exist; `crm.numbers` asks that of phonenumbers.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_QUOTES = "'`´‘’\"“”"
_DECIMAL = re.compile(r"(\+?\d{7,})[.,]0{1,2}")
_SCIENTIFIC = re.compile(r"(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})")
_EXTENSION = re.compile(
    r"[\s,;(]*(?:\b(?:nhánh|nhanh|máy lẻ|may le|số lẻ|lẻ|nội bộ|noi bo|extension|ext|x)|#)"
    r"[\s.:]*(\d{1,6})\s*\)?\s*$",
    re.IGNORECASE,
)
_STRONG = re.compile(r"\s*(?:[\n\r;|/&,]|\b(?:hoặc|hoac|và|va|or|and)\b)\s*", re.IGNORECASE)
_DASH = re.compile(r"\s*[-‐-―]\s*")
_FIRST = re.compile(r"\+?\s*\(?\s*\+?\d")
_LAST = re.compile(r"\d\)?(?!.*\d)", re.DOTALL)

SHORTEST = 7  # digits; a piece with fewer is part of a number, not a number
WHOLE = 8  # digits on both sides of a dash: two numbers, not one in groups
UNBROKEN = 9  # digits in a row on both sides of a space: two numbers


class Inexact(ValueError):
    """A spreadsheet has rounded the number: the digits that are gone are gone."""


class Trimmed(NamedTuple):
    """A number without what surrounds it."""

    text: str
    extension: str
    note: bool  # words stood before or after it and were left out


def clean(text: str) -> str:
    """Full-width and other digits to ASCII, invisible characters out, spaces plain."""
    if text.isascii() and text.isprintable():
        return text.strip()
    return "".join(_plain(char) for char in unicodedata.normalize("NFKC", text)).strip()


def unquote(text: str) -> str:
    """Take away the apostrophe that keeps a spreadsheet from reading a number."""
    return text.strip(_QUOTES).strip()


def undecimal(text: str) -> str:
    """Take away the ".0" of a number that was stored as a float."""
    match = _DECIMAL.fullmatch(text)
    return match[1] if match else text


def unscientific(text: str) -> str:
    """Write 9.12345678E+08 out as 912345678; raise Inexact where digits were lost."""
    if not (match := _SCIENTIFIC.fullmatch(text)):
        return text
    decimals, exponent = match[2] or "", int(match[3])
    if len(decimals) != exponent:
        raise Inexact(text)
    return match[1] + decimals


def split(text: str) -> list[str]:
    """Split a cell that holds several numbers; one number in groups stays whole."""
    pieces = [piece for piece in _STRONG.split(_keep_extensions(text)) if count_digits(piece)]
    if max(map(count_digits, pieces), default=0) < SHORTEST:
        return [re.sub("[,/]", " ", text)]  # 0912,345,678
    return [part for piece in pieces for part in _split_weakly(piece)]


def trim(text: str) -> Trimmed:
    """Take the extension and any words off both ends of a number."""
    extension = ""
    match = _EXTENSION.search(text)
    if match and count_digits(text[: match.start()]) >= SHORTEST:
        extension, text = match[1], text[: match.start()]
    first, last = _FIRST.search(text), _LAST.search(text)
    if first is None or last is None:
        return Trimmed("", extension, note=True)
    around = text[: first.start()] + text[last.end() :]
    return Trimmed(text[first.start() : last.end()], extension, note=any(map(str.isalpha, around)))


def count_digits(text: str) -> int:
    """Count the decimal digits in a text."""
    return sum(map(str.isdigit, text))


def _plain(char: str) -> str:
    if char < "\x7f":
        return char if char >= " " or char in "\n\r" else " "
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.digit(char))
    if category in {"Cf", "Cc", "Mn"} and not unicodedata.combining(char):
        return ""
    return " " if category.startswith("Z") else char


def _keep_extensions(text: str) -> str:
    """Turn the comma of "…, ext 12" into a space, so that splitting leaves it alone."""
    match = _EXTENSION.search(text)
    if match is None:
        return text
    return f"{text[: match.start()]} {match[0].lstrip(' ,;')}"


def _split_weakly(piece: str) -> list[str]:
    for separator, least in ((_DASH, WHOLE), (re.compile(r"\s+"), UNBROKEN)):
        parts = [part for part in separator.split(piece) if count_digits(part)]
        if len(parts) > 1 and min(map(count_digits, parts)) >= least:
            return parts
    return [piece]
