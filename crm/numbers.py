"""Phone numbers: from every way people write them to E.164, or the reason why not.

phonenumbers (Google's libphonenumber) reads the number and knows which ones exist. Before it
come the repairs of `crm.number_text` (what spreadsheets do to a number) and, for Vietnam,
`crm.vietnam` (numbers from before 2017 and 2018). Every repair that changes digits is told, and
nothing is guessed: where a number can be read in two ways, a person has to decide.
"""

from __future__ import annotations

import enum
import re
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberType, ValidationResult

from crm import number_text, vietnam
from crm.errors import NumberRefused, UnknownRegion

LONGEST_CELL = 250  # characters; a longer cell is a text with numbers in it, not a number


class Kind(enum.StrEnum):
    """What kind of line a number is."""

    MOBILE = "mobile"
    FIXED = "fixed"
    FIXED_OR_MOBILE = "fixed or mobile"  # some countries do not tell them apart
    TOLL_FREE = "toll free"
    VOIP = "voip"
    OTHER = "other"


class Repair(enum.StrEnum):
    """What had to be mended before the text was a number."""

    SPREADSHEET = "a spreadsheet's apostrophe, .0 or E+ was taken away"
    LEADING_ZERO = "the leading 0 was missing"
    OLD_MOBILE = "an 11-digit mobile number of before 2018 was given its new prefix"
    OLD_AREA_CODE = "an area code of before 2017 was replaced by the new one"
    NOTE = "words around the number were left out"


class Number(NamedTuple):
    """A phone number that exists in its country's plan and may be called."""

    e164: str
    kind: Kind
    extension: str = ""
    repairs: tuple[Repair, ...] = ()


class BadNumber(NamedTuple):
    """A text that is no number to call: a stable code, and a sentence for a person."""

    code: str
    reason: str


def normalise(text: str, region: str = "VN") -> Number | BadNumber:
    """Read one phone number; `region` (ISO 3166-1) is where numbers without +… belong."""
    found = normalise_all(text, region)
    if len(found) > 1:
        return BadNumber(
            "several", f"{_quote(text)} holds {len(found)} phone numbers where one was expected."
        )
    return found[0]


def require(text: str, region: str = "VN") -> Number:
    """Read one phone number as `normalise` does; raise NumberRefused where it is none."""
    number = normalise(text, region)
    if isinstance(number, BadNumber):
        raise NumberRefused(number.reason)
    return number


def normalise_all(text: str, region: str = "VN") -> list[Number | BadNumber]:
    """Read every phone number in a spreadsheet's cell, in order; at least one result.

    Raises UnknownRegion for a region phonenumbers does not know.
    """
    if region == "VN" and (quick := _read_plainly(text)):
        return [quick]
    _metadata(region)
    if len(text) > LONGEST_CELL:
        return [BadNumber("too-long", f"{_quote(text)} is too long for a phone number.")]
    cleaned = number_text.clean(text)
    if not cleaned:
        return [BadNumber("empty", "The phone number is empty.")]
    try:
        plain = number_text.unscientific(number_text.undecimal(number_text.unquote(cleaned)))
    except number_text.Inexact:
        return [
            BadNumber(
                "digits-lost",
                f"{_quote(text)} is a number a spreadsheet has rounded: format the column as "
                "text there, and write the number again.",
            )
        ]
    mended = (Repair.SPREADSHEET,) if plain != cleaned else ()
    return [_read(piece, region, mended) for piece in number_text.split(plain)]


def _read(text: str, region: str, mended: tuple[Repair, ...]) -> Number | BadNumber:
    trimmed = number_text.trim(text)
    if not trimmed.text:
        return BadNumber("no-digits", f"{_quote(text)} is not a phone number: {_expected(region)}.")
    if any(map(str.isalpha, trimmed.text)):
        return BadNumber(
            "letters", f"{_quote(text)} has letters among its digits: {_expected(region)}."
        )
    if trimmed.note:
        mended += (Repair.NOTE,)
    try:
        parsed = phonenumbers.parse(trimmed.text, region)
    except NumberParseException as error:
        return _unreadable(error, text, region)
    if region == "VN" and parsed.country_code == 84:
        renumbered = _renumber(trimmed.text, parsed, mended)
        if isinstance(renumbered, BadNumber):
            return renumbered
        parsed, mended = renumbered
    return _judge(parsed, text, region, trimmed, mended)


def _judge(
    parsed: phonenumbers.PhoneNumber,
    text: str,
    region: str,
    trimmed: number_text.Trimmed,
    mended: tuple[Repair, ...],
) -> Number | BadNumber:
    if not phonenumbers.is_valid_number(parsed):
        return _impossible(parsed, text, region)
    kind = phonenumbers.number_type(parsed)
    if kind in _PAID_BY_CALLER:
        return BadNumber(
            "premium-rate",
            f"{_quote(text)} is a service number its caller pays for, not a customer's.",
        )
    if _lacks_trunk_prefix(trimmed.text, parsed, region):
        mended += (Repair.LEADING_ZERO,)
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    extension = trimmed.extension or parsed.extension or ""
    return Number(e164, _KINDS.get(kind, Kind.OTHER), extension, mended)


def _renumber(
    text: str, parsed: phonenumbers.PhoneNumber, mended: tuple[Repair, ...]
) -> tuple[phonenumbers.PhoneNumber, tuple[Repair, ...]] | BadNumber:
    """Bring an old Vietnamese number up to date, or refuse one that can be read in two ways."""
    national = phonenumbers.national_significant_number(parsed)
    if phonenumbers.is_valid_number(parsed):
        codes = vietnam.written_as_old_landline(text)
        if codes is None:
            return parsed, mended
        old, new = codes
        return BadNumber(
            "old-area-code",
            f"{_quote(text)} is written as a landline with the area code 0{old} of before 2017, "
            f"but 0{national} is a mobile number today: write 0{new}… if the landline is meant, "
            f"or 0{national} if the mobile is.",
        )
    for modern, repair in (
        (vietnam.modern_mobile(national), Repair.OLD_MOBILE),
        (vietnam.modern_landline(national), Repair.OLD_AREA_CODE),
    ):
        if modern is not None:
            return phonenumbers.parse("+84" + modern), (*mended, repair)
    return parsed, mended


def _unreadable(error: NumberParseException, text: str, region: str) -> BadNumber:
    code, what = {
        NumberParseException.INVALID_COUNTRY_CODE: ("country", "has no country code that exists"),
        NumberParseException.TOO_LONG: ("too-long", "has too many digits for a phone number"),
    }.get(error.error_type, ("too-short", "has too few digits for a phone number"))
    return BadNumber(code, f"{_quote(text)} {what}: {_expected(region)}.")


def _impossible(parsed: phonenumbers.PhoneNumber, text: str, region: str) -> BadNumber:
    country = phonenumbers.region_code_for_number(parsed) or f"+{parsed.country_code}"
    code, what = {
        ValidationResult.TOO_SHORT: ("too-short", "has too few digits"),
        ValidationResult.IS_POSSIBLE_LOCAL_ONLY: ("too-short", "has no area code"),
        ValidationResult.TOO_LONG: ("too-long", "has too many digits"),
    }.get(
        phonenumbers.is_possible_number_with_reason(parsed),
        ("not-in-plan", f"is no number of the plan of {country}"),
    )
    return BadNumber(code, f"{_quote(text)} {what}: {_expected(region)}.")


def _expected(region: str) -> str:
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    if example is None:
        return "expected + and the country code"
    national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    return f"expected a number like {national}, or one with + and its country code"


def _lacks_trunk_prefix(text: str, parsed: phonenumbers.PhoneNumber, region: str) -> bool:
    """Say whether a national number came without the 0 that is dialled before it."""
    digits = "".join(filter(str.isdigit, text))
    national = phonenumbers.national_significant_number(parsed)
    prefix = _metadata(region).national_prefix or ""
    # A service number such as 1800 1234 has no trunk prefix: where the national format has
    # none either, nothing is missing.
    formatted = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return digits == national and prefix != "" and formatted.lstrip("(").startswith(prefix)


def _quote(text: str) -> str:
    shown = " ".join(text.split())
    return f"“{shown[:40]}…”" if len(shown) > 40 else f"“{shown}”"


def _metadata(region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        raise UnknownRegion(
            f"`{region}` is not a region phonenumbers knows: expected a code of ISO 3166 like VN."
        )
    return metadata


_PAID_BY_CALLER = {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST}
_KINDS = {
    PhoneNumberType.MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE: Kind.FIXED,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.VOIP: Kind.VOIP,
}


# Nine rows in ten are a Vietnamese mobile or landline in one of its usual spellings.
# phonenumbers' own patterns find those in a fraction of the time that its parser takes; a test
# holds both ways to the same answer.
_GROUPING = str.maketrans("", "", " .-()\u00a0")
_ENDINGS = (".0", ".00")  # a float's
_AREA_08 = ("08 ", "08.", "08-", "(0")  # may be an area code of before 2017


@cache
def _plain_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    plan = _metadata("VN")
    mobile = plan.mobile.national_number_pattern if plan.mobile else ""
    fixed = plan.fixed_line.national_number_pattern if plan.fixed_line else ""
    return re.compile(mobile or "(?!)", re.ASCII), re.compile(fixed or "(?!)", re.ASCII)


def _read_plainly(text: str) -> Number | None:
    """Read a plainly written Vietnamese number, or None: that needs a closer look."""
    digits = text.translate(_GROUPING)
    if digits.startswith("0"):
        national = digits[4:] if digits.startswith("0084") else digits[1:]
    elif digits.startswith("+84"):
        national = digits[3:]
    else:
        national = digits[2:] if digits.startswith("84") and len(digits) > 10 else digits
    mobile, fixed = _plain_patterns()
    # The mobile pattern also has longer forms, for machines; those take the long way too.
    if len(national) == 9 and mobile.fullmatch(national):
        kind = Kind.MOBILE
    elif len(national) == 10 and fixed.fullmatch(national):
        kind = Kind.FIXED
    else:
        return None
    if digits is not text and (
        text.endswith(_ENDINGS)
        or (text.startswith(_AREA_08) and vietnam.written_as_old_landline(text))
    ):
        return None
    return Number("+84" + national, kind, "", _WITHOUT_ZERO if national is digits else ())


_WITHOUT_ZERO = (Repair.LEADING_ZERO,)
