"""Every way of writing a phone number, and what is no number."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from crm import number_text, vietnam
from crm.errors import NumberRefused, UnknownRegion
from crm.numbers import BadNumber, Kind, Number, Repair, normalise, normalise_all, require

MOBILE = "+84912345678"
HCMC = "+842838221234"


@pytest.mark.parametrize(
    "text",
    [
        "0912345678",
        "0912 345 678",
        "091 234 5678",
        "0912.345.678",
        "0912-345-678",
        "0912,345,678",
        "0912/345/678",
        "(0912) 345 678",
        "(0912)345678",
        " 0912345678 ",
        "0912345678;",
        "0912\u00a0345\u00a0678",
        "\u200b0912345678\u200b",
        "\u202d0912345678\u202c",
        "\ufeff0912345678",
        "０９１２３４５６７８",
        "٠٩١٢٣٤٥٦٧٨",
        "0912–345–678",
        "84912345678",
        "84 912 345 678",
        "+84912345678",
        "+84 912 345 678",
        "(+84) 912 345 678",
        "(84) 912345678",
        "+84(0)912345678",
        "+84 (0) 912 345 678",
        "+840912345678",
        "0084912345678",
        "0084 912 345 678",
        "0084(0)912345678",
    ],
)
def test_spellings_of_one_mobile(text: str) -> None:
    assert normalise(text) == Number(MOBILE, Kind.MOBILE)


@pytest.mark.parametrize(
    "text",
    ["(028) 3822 1234", "028 3822 1234", "028.38221234", "+84 28 3822 1234", "+84 (28) 3822-1234"],
)
def test_spellings_of_one_landline(text: str) -> None:
    assert normalise(text) == Number(HCMC, Kind.FIXED)


@pytest.mark.parametrize(
    ("text", "e164", "repairs"),
    [
        ("912345678", MOBILE, {Repair.LEADING_ZERO}),
        ("2838221234", HCMC, {Repair.LEADING_ZERO}),
        ("912 345 678", MOBILE, {Repair.LEADING_ZERO}),
        ("'0912345678", MOBILE, {Repair.SPREADSHEET}),
        ("’0912345678", MOBILE, {Repair.SPREADSHEET}),
        ('"0912345678"', MOBILE, {Repair.SPREADSHEET}),
        ("0912345678.0", MOBILE, {Repair.SPREADSHEET}),
        ("912345678.0", MOBILE, {Repair.SPREADSHEET, Repair.LEADING_ZERO}),
        ("912345678,00", MOBILE, {Repair.SPREADSHEET, Repair.LEADING_ZERO}),
        ("9.12345678E+08", MOBILE, {Repair.SPREADSHEET, Repair.LEADING_ZERO}),
        ("9,12345678e8", MOBILE, {Repair.SPREADSHEET, Repair.LEADING_ZERO}),
        ("8.4912345678E+10", MOBILE, {Repair.SPREADSHEET}),
        ("ĐT: 0912 345 678", MOBILE, {Repair.NOTE}),
        ("0912345678 (Zalo)", MOBILE, {Repair.NOTE}),
        ("0912 345 678 - gọi buổi tối", MOBILE, {Repair.NOTE}),
        ("01688000118", "+84388000118", {Repair.OLD_MOBILE}),
        ("+84 168 8000118", "+84388000118", {Repair.OLD_MOBILE}),
        ("1688000118", "+84388000118", {Repair.OLD_MOBILE}),
        ("04 3936 0147", "+842439360147", {Repair.OLD_AREA_CODE}),
        ("(04) 39360147", "+842439360147", {Repair.OLD_AREA_CODE}),
        ("0510 3822 123", "+842353822123", {Repair.OLD_AREA_CODE}),
        ("054 3822 123", "+842343822123", {Repair.OLD_AREA_CODE}),
        ("022 3822 123", "+842123822123", {Repair.OLD_AREA_CODE}),
    ],
)
def test_repairs_are_told(text: str, e164: str, repairs: set[Repair]) -> None:
    number = normalise(text)
    assert isinstance(number, Number)
    assert (number.e164, set(number.repairs)) == (e164, repairs)


OLD_MOBILES = {
    **{f"016{n}": f"03{n}" for n in range(2, 10)},
    **{"0120": "070", "0121": "079", "0122": "077", "0126": "076", "0128": "078"},
    **{"0123": "083", "0124": "084", "0125": "085", "0127": "081", "0129": "082"},
    **{"0186": "056", "0188": "058", "0199": "059"},
}


@pytest.mark.parametrize(("old", "new"), OLD_MOBILES.items())
def test_mobiles_of_before_2018(old: str, new: str) -> None:
    number = normalise(f"{old}8.123.456")
    assert isinstance(number, Number)
    assert number.e164 == f"+84{new[1:]}8123456"
    assert number.kind is Kind.MOBILE


@pytest.mark.parametrize(
    ("text", "extension"),
    [
        ("0912345678 (nhánh 12)", "12"),
        ("028 3822 1234 ext. 105", "105"),
        ("028 3822 1234, ext 105", "105"),
        ("(028) 3822 1234 máy lẻ 7", "7"),
        ("02838221234 x105", "105"),
        ("02838221234#105", "105"),
    ],
)
def test_extensions_are_kept_apart(text: str, extension: str) -> None:
    number = normalise(text)
    assert isinstance(number, Number)
    assert (number.e164 in {MOBILE, HCMC}, number.extension) == (True, extension)


@pytest.mark.parametrize(
    "text",
    [
        "0912345678/0987654321",
        "0912345678 ; 0987654321",
        "0912345678,0987654321",
        "0912345678\n0987654321",
        "0912345678\r\n0987654321",
        "0912345678 - 0987654321",
        "0912 345 678 - 0987 654 321",
        "0912345678 0987654321",
        "0912345678 hoặc 0987654321",
        "0912.345.678 & 0987.654.321",
        "912345678|987654321",
        "Mẹ: 0912345678, Bố: 0987654321",
    ],
)
def test_several_numbers_in_a_cell(text: str) -> None:
    found = normalise_all(text)
    assert [n.e164 for n in found if isinstance(n, Number)] == [MOBILE, "+84987654321"]
    assert len(found) == 2
    assert isinstance(refused := normalise(text), BadNumber)
    assert refused.code == "several"


def test_a_good_number_beside_a_bad_one() -> None:
    good, bad = normalise_all("0912345678/679")
    assert isinstance(good, Number)
    assert isinstance(bad, BadNumber)
    assert bad.code == "too-short"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("\u200b", "empty"),
        ("chưa có số", "no-digits"),
        ("-", "no-digits"),
        ("N/A", "no-digits"),
        ("0969O00153", "letters"),
        ("9.12E+08", "digits-lost"),
        ("8,49E+10", "digits-lost"),
        ("9.123456789E+08", "digits-lost"),
        ("113", "too-short"),
        ("09123", "too-short"),
        ("0912345678901234", "too-long"),
        ("09123456789012345678", "too-long"),
        ("x" * 10_000, "too-long"),
        ("0912345678" * 100, "too-long"),
        ("0125000155", "not-in-plan"),
        ("09860001", "not-in-plan"),
        ("0283822123.0", "not-in-plan"),  # the 0 is a float's, not the landline's last digit
        ("3822 1234", "not-in-plan"),
        ("+999123456789", "country"),
        ("1900 1234", "premium-rate"),
        ("19001234", "premium-rate"),
        ("+84 1900 6789", "premium-rate"),
        ("(08) 3822 1234", "old-area-code"),
        ("08 3822 1234", "old-area-code"),
        ("08.38221234", "old-area-code"),
        ("(031) 382 1234", "old-area-code"),
    ],
)
def test_what_is_refused_and_why(text: str, code: str) -> None:
    refused = normalise(text)
    assert isinstance(refused, BadNumber), refused
    assert refused.code == code
    assert refused.reason.endswith(".")
    assert "\n" not in refused.reason
    assert len(refused.reason) < 300


def test_an_old_landline_that_is_a_mobile_today_names_both() -> None:
    refused = normalise("(08) 3822 1234")
    assert isinstance(refused, BadNumber)
    assert "028…" in refused.reason
    assert "0838221234" in refused.reason


@pytest.mark.parametrize("text", ["0838221234", "0838 221 234", "083 822 1234", "(083) 8221234"])
def test_the_same_digits_written_as_a_mobile_are_one(text: str) -> None:
    assert normalise(text) == Number("+84838221234", Kind.MOBILE)


@pytest.mark.parametrize("national", ["203822123", "263382212"])
def test_a_landline_short_of_a_digit_is_not_taken_for_an_old_one(national: str) -> None:
    assert vietnam.modern_landline(national) is None
    assert isinstance(normalise("0" + national), BadNumber)


@pytest.mark.parametrize(
    ("text", "region", "e164", "kind"),
    [
        ("1800 1234", "VN", "+8418001234", Kind.TOLL_FREE),
        ("+1 212 555 0158", "VN", "+12125550158", Kind.FIXED_OR_MOBILE),
        ("(212) 555-0158", "US", "+12125550158", Kind.FIXED_OR_MOBILE),
        ("+84 912 345 678", "US", MOBILE, Kind.MOBILE),
        ("+44 20 7946 0958", "VN", "+442079460958", Kind.FIXED),
        ("020 7946 0958", "GB", "+442079460958", Kind.FIXED),
    ],
)
def test_other_countries_and_services(text: str, region: str, e164: str, kind: Kind) -> None:
    number = normalise(text, region)
    assert isinstance(number, Number)
    assert (number.e164, number.kind, number.repairs) == (e164, kind, ())


def test_require_raises_the_reason() -> None:
    assert require("0912345678").e164 == MOBILE
    with pytest.raises(NumberRefused, match="“Mai” is not a phone number: expected a number like"):
        require("Mai")


def test_an_unknown_region_is_the_callers_mistake() -> None:
    with pytest.raises(UnknownRegion, match="`XX` is not a region"):
        normalise("0912345678", "XX")


@given(st.text(max_size=300))
@example("\ud800 0912345678")
@example("(((((0912")
@example("+")
def test_any_text_gives_numbers_that_exist_or_reasons(text: str) -> None:
    for found in normalise_all(text):
        if isinstance(found, Number):
            assert phonenumbers.is_valid_number(phonenumbers.parse(found.e164))
            assert normalise(found.e164) == Number(found.e164, found.kind)
        else:
            assert found.reason.endswith(".")


NATIONAL = st.one_of(
    st.from_regex(r"(3[2-9]|5[2689]|7[06-9]|8[1-9]|9[0-9])[0-9]{7}", fullmatch=True),
    st.from_regex(r"2[0-9]{9}", fullmatch=True),
    st.from_regex(r"1[0-9]{6,9}", fullmatch=True),
    st.from_regex(r"[0-9]{6,12}", fullmatch=True),
)
PREFIX = st.sampled_from(["0", "+84", "84", "0084", "", "+84 ", "+84-0"])
MARK = st.sampled_from(["", "", "", " ", ".", "-", "\u00a0", ") ", "("])


@given(PREFIX, NATIONAL, st.lists(MARK, min_size=12, max_size=12))
@example("0", "838221234", [""] * 12)
@example("84", "491234567", [""] * 12)
def test_the_quick_way_and_phonenumbers_agree(prefix: str, digits: str, marks: list[str]) -> None:
    text = prefix + "".join(digit + mark for digit, mark in zip(digits, marks, strict=False))
    found = normalise_all(text)
    if len(found) > 1 or not isinstance(found[0], Number) or set(found[0].repairs) - {ZERO}:
        return
    parsed = phonenumbers.parse(text, "VN")
    assert phonenumbers.is_valid_number(parsed)
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    assert found[0].e164 == e164


ZERO = Repair.LEADING_ZERO


@given(NATIONAL, st.lists(MARK, min_size=12, max_size=12))
def test_what_phonenumbers_finds_valid_is_not_lost(digits: str, marks: list[str]) -> None:
    text = "0" + "".join(digit + mark for digit, mark in zip(digits, marks, strict=False))
    assume(not text.strip().endswith((".0", ".00")))  # reads as a spreadsheet's float
    try:
        parsed = phonenumbers.parse(text, "VN")
    except phonenumbers.NumberParseException:
        return
    if phonenumbers.is_valid_number(parsed) and parsed.country_code == 84:
        found = normalise(text)
        allowed = isinstance(found, Number) or found.code in {"old-area-code", "premium-rate"}
        assert allowed, found


@given(st.text(max_size=100))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = number_text.clean(text)
    assert number_text.clean(once) == once
