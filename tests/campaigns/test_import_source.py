"""Understanding a delimited file: encodings, delimiters, broken rows, columns."""

from __future__ import annotations

import contextlib
import csv
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import importer_source
from campaigns.errors import ImportRefused
from campaigns.importer_columns import Layout, find_columns
from campaigns.importer_source import Record, Source

HEADER = "Họ tên,Số điện thoại,Ghi chú\n"
ROWS = HEADER + "Nguyễn Thị Mai,0912000101,\nTrần Văn Hùng,0912000102,gọi sau 9h\n"


def as_windows_writes(text: str) -> str:
    """Set tones apart from letters as Windows-1258 needs it, but not â ă ê ô ơ ư đ."""

    def apart(char: str) -> str:
        if char.encode("cp1258", "ignore"):
            return char
        letters = unicodedata.normalize("NFD", char)
        tone = next(mark for mark in letters if mark in "\u0300\u0301\u0303\u0309\u0323")
        return unicodedata.normalize("NFC", letters.replace(tone, "")) + tone

    return "".join(map(apart, text))


def source(tmp_path: Path, content: str | bytes, encoding: str = "utf-8") -> Source:
    path = tmp_path / "contacts.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return importer_source.inspect(path)


def records(found: Source) -> list[Record]:
    with found.open() as reader:
        return list(reader)


def cells(tmp_path: Path, content: str | bytes, encoding: str = "utf-8") -> list[list[str]]:
    return [record.cells for record in records(source(tmp_path, content, encoding))]


def columns(tmp_path: Path, content: str, **mapping: str) -> Layout:
    found = source(tmp_path, content)
    return find_columns(found.path, found.sample, mapping, "VN")


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1258"],
)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = ROWS * 30
    if encoding == "cp1258":  # it writes the tone after its letter; `read_row` joins them again
        text = as_windows_writes(text)
    assert cells(tmp_path, text, encoding) == list(csv.reader(text.splitlines()))


def test_a_few_broken_bytes_cost_their_own_row(tmp_path: Path) -> None:
    good = ROWS.encode()
    found = source(tmp_path, good + b"Nguy\xe2\xe3n,0912000103,\n" + good)
    assert found.encoding.codec == "utf-8-sig"
    assert not found.encoding.clean
    assert records(found)[1].cells[0] == "Nguyễn Thị Mai"


def test_broken_bytes_after_a_clean_start_are_found(tmp_path: Path) -> None:
    good = ("a,0912000101,\n" * 100_000).encode()
    assert not source(tmp_path, good + b"\xff\xfe\xfd,0912000102,\n").encoding.clean


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(tmp_path: Path, delimiter: str) -> None:
    text = ROWS.replace(",", delimiter)
    assert source(tmp_path, text).delimiter == delimiter
    assert cells(tmp_path, text)[1] == ["Nguyễn Thị Mai", "0912000101", ""]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ('SĐT;Tên\n"0912000101, 0912000102";"Mai, Lan"\n0912000103;"Hà, Huế"\n', ";"),
        ("SĐT\n0912000101; 0912000102\n0912000103\n0912000104\n", ","),
        ("Tên,SĐT\nMai;Lan,0912000101\nHà,0912000102\n", ","),
        ("0912000101\n0912000102\n", ","),
        ("sep=;\r\nTên;SĐT\r\nMai;0912000101\r\n", ";"),
        ('Tên|SĐT\n"Mai|Lan"|0912000101\n', "|"),
    ],
)
def test_delimiters_among_others(tmp_path: Path, text: str, delimiter: str) -> None:
    assert source(tmp_path, text).delimiter == delimiter


def test_excels_separator_line_is_no_row(tmp_path: Path) -> None:
    found = source(tmp_path, "sep=;\r\nTên;SĐT\r\nMai;0912000101\r\n")
    assert found.sample[0] == ["Tên", "SĐT"]
    assert records(found)[1:] == [Record(2, ["Tên", "SĐT"]), Record(3, ["Mai", "0912000101"])]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('"Lan ""Béo""",0912000101,x\n', [(2, ['Lan "Béo"', "0912000101", "x"])]),
        ('"hai\ndòng",0912000101,x\n', [(2, ["hai\ndòng", "0912000101", "x"])]),
        ('Lan "Béo",0912000101,x\n', [(2, ['Lan "Béo"', "0912000101", "x"])]),
        ('"Lan" Béo,0912000101,x\n', [(2, ["Lan Béo", "0912000101", "x"])]),
        (
            'a,0912000101,x\n"b,0912000102,x\nc,0912000103,x\n',
            [
                (2, ["a", "0912000101", "x"]),
                (3, ["b", "0912000102", "x"]),
                (4, ["c", "0912000103", "x"]),
            ],
        ),
        (
            '"a,0912000101,x\nb,0912000102,x\nc"",0912000103,x\nd,0912000104,x\n',
            [
                (2, ["a", "0912000101", "x"]),
                (3, ["b", "0912000102", "x"]),
                (4, ['c""', "0912000103", "x"]),
                (5, ["d", "0912000104", "x"]),
            ],
        ),
        (
            'a,"0912000101,x\nb,0912000102,x\nc,0912000103",x\n',
            [
                (2, ["a", "0912000101", "x"]),
                (3, ["b", "0912000102", "x"]),
                (4, ["c", "0912000103", "x"]),
            ],
        ),
    ],
    ids=["doubled", "newline", "inside", "after", "open to the end", "closed wrongly", "swallowed"],
)
def test_quotes(tmp_path: Path, body: str, expected: list[tuple[int, list[str]]]) -> None:
    found = records(source(tmp_path, HEADER + body))[1:]
    assert [(record.line, record.cells) for record in found] == expected


def test_long_cells_are_kept_and_absurd_ones_reported(tmp_path: Path) -> None:
    found = records(
        source(
            tmp_path, f"{HEADER}a,0912000101,{'x' * 10_000}\nb,{'y' * 140_000},\nc,0912000103,\n"
        )
    )
    assert len(found[1].cells[2]) == 10_000
    assert found[2].problem == "A cell has more than 131,072 characters."
    assert found[3] == Record(4, ["c", "0912000103", ""])


def test_nuls_are_left_out(tmp_path: Path) -> None:
    assert cells(tmp_path, HEADER + "M\0ai,09120\x0000101,\n")[1] == ["Mai", "0912000101", ""]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    assert len(cells(tmp_path, ROWS.replace("\n", end))) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n \n", "has no rows"),
        (b"PK\x03\x04rest", "is an Excel workbook"),
        (b"\xd0\xcf\x11\xe0rest", "is an old Excel workbook"),
        (b"%PDF-1.7", "is a PDF"),
        (bytes(range(256)) * 20 + b"\0" * 2000, "is not a text file"),
    ],
)
def test_what_is_no_csv_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ImportRefused, match=rf"contacts\.csv {message}"):
        source(tmp_path, content)


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"none\.csv cannot be read \(No such file"):
        importer_source.inspect(tmp_path / "none.csv")
    with pytest.raises(ImportRefused, match="cannot be read"):
        importer_source.inspect(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["Số điện thoại", "SỐ ĐIỆN THOẠI", "so dien thoai", "SĐT", "sdt", "Điện thoại", "Di động",
     "ĐT", "phone", "Phone Number", "phone_number", "mobile", "Tel.", "MSISDN"],
)  # fmt: skip
def test_phone_columns_by_name(tmp_path: Path, name: str) -> None:
    assert columns(tmp_path, f"Mã,{name},Tên\nA1,không rõ,Mai\n").phones == (1,)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("SĐT,Họ tên,Nhóm", (1,)),
        ("SĐT,Họ và tên,Nhóm", (1,)),
        ("SĐT,Tên khách hàng,Nhóm", (1,)),
        ("SĐT,Full Name,Nhóm", (1,)),
        ("SĐT,Tên,Họ", (2, 1)),
        ("SĐT,Họ đệm,Tên", (1, 2)),
        ("SĐT,First name,Last name", (1, 2)),
        ("SĐT,Tuổi,Nhóm", ()),
    ],
)
def test_name_columns_by_name(tmp_path: Path, header: str, names: tuple[int, ...]) -> None:
    assert columns(tmp_path, header + "\n0912000101,x,y\n").names == names


def test_further_phone_columns_count_when_they_hold_numbers(tmp_path: Path) -> None:
    text = "Tên,Điện thoại 1,Điện thoại 2,Loại điện thoại\nMai,0912000101,,Nokia\n"
    text += "Lan,0912000102,0912000103,iPhone 12\n"
    layout = columns(tmp_path, text)
    assert layout.phone_columns == ("Điện thoại 1", "Điện thoại 2")
    assert layout.custom == ((3, "Loại điện thoại"),)


def test_a_file_without_a_header_is_guessed_by_content(tmp_path: Path) -> None:
    layout = columns(tmp_path, "1,Mai,0912000101,Hà Nội\n2,Lan,chưa có,Huế\n3,Hà,0912000103,Huế\n")
    assert (layout.has_header, layout.phones, layout.names) == (False, (2,), (1,))
    assert layout.header == ("Column 1", "Column 2", "Column 3", "Column 4")


def test_repeated_and_empty_headers_get_names(tmp_path: Path) -> None:
    layout = columns(tmp_path, "SĐT,Ghi chú,,Ghi chú\n0912000101,a,b,c\n")
    assert layout.header == ("SĐT", "Ghi chú", "Column 3", "Ghi chú (2)")


@pytest.mark.parametrize("wanted", ["Liên lạc", "lien lac", "2"])
def test_mapping_by_name_or_number(tmp_path: Path, wanted: str) -> None:
    layout = columns(tmp_path, "Mã,Liên lạc\nA1,0912000101\n", phone=wanted)
    assert (layout.phones, layout.has_header) == ((1,), True)


def test_mapping_the_name(tmp_path: Path) -> None:
    assert columns(tmp_path, "SĐT,Quý danh\n0912000101,Mai\n", name="Quý danh").names == (1,)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, r"contacts\.csv: no column of phone numbers was found among “Mã”, “Tên”: .*--map"),
        ({"phone": "Số"}, r"contacts\.csv has no column “Số”: it has “Mã”, “Tên”\."),
        ({"phone": "9"}, r"has no column “9”"),
        ({"email": "Mã"}, r"--map email=… is unknown: expected phone=COLUMN"),
    ],
)
def test_columns_that_are_not_there(tmp_path: Path, mapping: dict[str, str], message: str) -> None:
    with pytest.raises(ImportRefused, match=message):
        columns(tmp_path, "Mã,Tên\nA1,Mai\n", **mapping)


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=20)


@settings(deadline=None)
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=20))
def test_what_csv_writes_is_read_back(rows: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    lines = list(io.StringIO(buffer.getvalue(), newline=""))
    assert [record.cells for record in importer_source.parse(lines, ",", 3)] == rows


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=20))
def test_any_lines_give_every_line_once(texts: list[str]) -> None:
    lines = [text.replace("\r", " ").replace("\n", " ") + "\n" for text in texts]
    starts = [record.line for record in importer_source.parse(lines, ",", 2)]
    assert starts == sorted(set(starts))
    assert all(1 <= line <= len(lines) for line in starts)


@settings(deadline=None, max_examples=50)
@given(content=st.binary(min_size=1, max_size=300))
def test_any_bytes_are_read_or_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with contextlib.suppress(ImportRefused):
        records(source(tmp_path_factory.mktemp("any"), content))
