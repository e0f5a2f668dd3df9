"""contact, list and dnc: from file to list, whole outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from campaigns import importer
from tests.cli.conftest import Run

CSV = """Họ tên,Số điện thoại,Thành phố
Nguyễn Văn An,0912345678,Huế
Trần Thị Bình,0987 654 321,
Lê C,123,
An lại,+84912345678,
"""


@pytest.fixture
def file(home: Path) -> Path:
    path = Path("khach.csv")
    path.write_text(CSV, encoding="utf-8")
    return path


def test_import_and_what_came_of_it(run: Run, file: Path) -> None:
    ran = run("contact", "import", file, "--list", "tet")
    assert ran.code == 0
    assert ran.err == ""
    said = re.sub(r"in \d+\.\d s", "in 0.0 s", ran.out)
    assert said.splitlines() == [
        "4 rows read from khach.csv in 0.0 s",
        "columns               Số điện thoại, Họ tên",
        "new contacts added    2",
        "repeated in the file  1",
        "rejected              1",
        "  too-short           1",
        "What was not imported is in khach.rejects.csv, each row with its reason.",
    ]
    assert "123" in Path("khach.rejects.csv").read_text(encoding="utf-8")
    shown = run("list", "show", "tet").lines
    assert shown[0].split() == ["#", "Number", "Name", "Added"]
    assert [line.split("  ")[1:3] for line in shown[1:]] == [
        ["+84912345678", "Nguyễn Văn An"],
        ["+84987654321", "Trần Thị Bình"],
    ]


def test_a_rehearsal_writes_nothing(run: Run, file: Path) -> None:
    ran = run("contact", "import", file, "--list", "tet", "--dry-run", "--json")
    summary = json.loads(ran.out)
    assert summary["dry_run"] is True
    assert (summary["rows"], summary["added"], summary["repeated"], summary["rejected"]) == (
        4, 2, 1, 1,
    )  # fmt: skip
    assert summary["reasons"] == {"too-short": 1}
    assert [*Path().iterdir()] == [file]
    assert run("contact", "list", "--json").out == "[]\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "khach.csv cannot be read (No such file or directory)"),
        (b"", "khach.csv"),
        (b"PK\x03\x04rest", "khach.csv is an Excel workbook"),
        ("tên,thành phố\nAn,Huế\n".encode(), "no column of phone numbers was found"),
    ],
)
def test_a_file_that_is_no_use_is_one_sentence_and_2(
    run: Run, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        Path("khach.csv").write_bytes(content)
    ran = run("contact", "import", "khach.csv", "--list", "tet")
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("tongdai: ")
    assert sentence in ran.err
    assert run("list", "list", "--json").out == "[]\n"


def test_a_map_that_is_none(run: Run, file: Path) -> None:
    ran = run("contact", "import", file, "--list", "tet", "--map", "phone")
    assert ran.code == 2
    assert ran.err == (
        "tongdai: Invalid value for --map: expected something like phone=SĐT; got “phone” "
        "(see `tongdai contact import --help`).\n"
    )


def test_add_show_and_find(run: Run) -> None:
    run("list", "create", "vip")
    ran = run(
        "contact", "add", "0912 345 678", "--name", "Nguyễn Văn An", "--field", "city=Huế",
        "--list", "vip",
    )  # fmt: skip
    assert (ran.code, ran.out) == (0, "Nguyễn Văn An is added.\n")
    assert run("contact", "add", "+84912345678").out == "Nguyễn Văn An is known already.\n"
    shown = [line.split("  ", 1) for line in run("contact", "show", "0912345678").lines]
    facts = {name: value.strip() for name, value in shown}
    assert (facts["name"], facts["phone"], facts["city"], facts["lists"]) == (
        "Nguyễn Văn An", "+84912345678", "Huế", "vip",
    )  # fmt: skip
    card = json.loads(run("contact", "show", "0912345678", "--json").out)
    assert (card["phones"], card["fields"], card["lists"]) == (
        ["+84912345678"], {"city": "Huế"}, ["vip"],
    )  # fmt: skip
    assert card["created_at"].endswith("+07:00")
    assert len(json.loads(run("contact", "list", "nguyen", "--json").out)) == 1
    nobody = run("contact", "list", "nobody")
    assert (nobody.out, nobody.err) == ("", "There is nobody like that.\n")


def test_a_number_that_is_none_is_one_sentence_and_2(run: Run) -> None:
    ran = run("contact", "add", "12")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "tongdai: “12” has too few digits: expected a number like 0912 345 678, or one with + "
        "and its country code.\n"
    )


def test_a_name_in_brackets_is_no_markup(run: Run) -> None:
    run("contact", "add", "0912345678", "--name", "[red]An[/red]")
    assert "[red]An[/red]" in run("contact", "list").out


def test_lists_from_birth_to_death(run: Run) -> None:
    assert run("list", "create", "tet").out == "List “tet” is made.\n"
    again = run("list", "create", "tet")
    assert (again.code, again.err.startswith("tongdai: There is a list “tet” already")) == (2, True)
    added = run("list", "add", "tet", "0912345678", "0987654321", "0912345678", "12")
    assert (added.code, added.out) == (2, "2 numbers added, 1 in the list already.\n")
    assert added.err.startswith("tongdai: “12” has too few digits")
    assert run("list", "remove", "tet", "0912345678").out == "1 number taken out of “tet”.\n"
    [found] = json.loads(run("list", "list", "--json").out)
    assert (found["name"], found["members"], found["campaigns"]) == ("tet", 1, 0)
    assert run("list", "show").lines[1].split()[:3] == ["tet", "1", "0"]
    [member] = json.loads(run("list", "show", "tet", "--json").out)
    assert member["number"] == "+84987654321"
    assert run("list", "delete", "tet").out == "List “tet” is deleted.\n"
    gone = run("list", "show", "tet")
    assert (gone.code, gone.err) == (
        2, "tongdai: There is no list “tet”: `tongdai list show` names the lists.\n",
    )  # fmt: skip


def test_a_long_list_says_how_much_was_left_out(run: Run) -> None:
    run("list", "create", "tet")
    run("list", "add", "tet", *(f"091234567{digit}" for digit in range(5)))
    ran = run("list", "show", "tet", "--limit", 2)
    assert len(ran.lines) == 3
    assert ran.err == "2 of 5 shown: see more with --limit.\n"


def test_do_not_call(run: Run) -> None:
    assert run("dnc", "add", "0912345678", "--reason", "asked").out == (
        "0912345678 is on the do-not-call list.\n"
    )
    assert run("dnc", "add", "0912345678").out == "0912345678 is on the do-not-call list already.\n"
    checked = run("dnc", "check", "0912 345 678")
    assert re.fullmatch(
        r"\+84912345678 must not be reached \(all\) since [-\d]+ [:\d]+, by cli: asked\.\n",
        checked.out,
    )
    facts = json.loads(run("dnc", "check", "0912345678", "--json").out)
    assert (facts["number"], facts["forbidden"], facts["source"]) == ("+84912345678", True, "cli")
    [entry] = json.loads(run("dnc", "list", "--json").out)
    assert (entry["number"], entry["reason"]) == ("+84912345678", "asked")
    assert run("dnc", "remove", "0912345678").out == "0912345678 is allowed again.\n"
    assert run("dnc", "remove", "0912345678").out == "0912345678 was not on the do-not-call list.\n"
    assert run("dnc", "check", "0912345678").out == "+84912345678 is not on the do-not-call list.\n"


def test_a_scope_forbids_only_itself(run: Run) -> None:
    run("dnc", "add", "0912345678", "--scope", "sms")
    assert "is not on" in run("dnc", "check", "0912345678").out
    assert "must not" in run("dnc", "check", "0912345678", "--channel", "sms").out


def test_a_register_is_imported(run: Run) -> None:
    Path("register.csv").write_text("0912345678\n0987654321\n0912345678\n12\n")
    ran = run("dnc", "import", "register.csv")
    assert ran.lines == [
        "4 rows read from register.csv: 2 numbers forbidden, 1 already, 1 rejected.",
        "What was not imported is in register.rejects.csv, each row with its reason.",
    ]
    assert json.loads(run("dnc", "import", "register.csv", "--json").out)["already"] == 3


@pytest.mark.parametrize("rehearsal", [False, True])
def test_ctrl_c_says_what_is_left_behind(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch, rehearsal: bool
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importer, "import_file", interrupted)
    ran = run("contact", "import", file, "--list", "tet", *(["--dry-run"] if rehearsal else []))
    assert (ran.code, ran.out) == (130, "")
    left = "What was read so far is imported; import the file again for the rest.\n"
    assert ran.err == f"{'' if rehearsal else left}tongdai: Stopped.\n"
