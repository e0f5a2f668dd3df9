"""What is printed: on a screen too narrow for a table, and of text that is not to be trusted."""

from __future__ import annotations

import io
import re

import pytest

from cli import output
from reports.legible import legible

TITLES = ("Call", "Number", "Contact", ">SIP", "Outcome")
ROWS = [
    ("f8f70eae", "+84912663546", "Công Tằng Tôn Nữ Thị Hồng Nhung", 200, "interested"),
    ("a9e7fa13", "+842838221234", None, 486, ""),
]


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def printed(columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    output.show_rows(TITLES, ROWS, empty="", spare=("Outcome", "SIP"), stream=screen)
    return [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in screen.getvalue().splitlines()]


def test_a_table_with_room(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(100, monkeypatch)[1] == (
        "f8f70eae  +84912663546   Công Tằng Tôn Nữ Thị Hồng Nhung  200  interested"
    )


def test_with_less_room_free_text_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(60, monkeypatch)[1] == (
        "f8f70eae  +84912663546   Công Tằng Tôn Nữ …  200  interested"
    )


@pytest.mark.parametrize(
    ("columns", "gone", "header"),
    [
        (45, "Outcome", "Call      Number         Contact          SIP"),
        (36, "SIP, Outcome", "Call      Number         Contact"),
    ],
)
def test_with_little_room_columns_are_left_out(
    columns: int,
    gone: str,
    header: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(columns, monkeypatch)
    assert lines[0] == header
    assert len(lines) == 3  # a line a row
    assert all(len(line) <= columns for line in lines)
    assert capsys.readouterr().err == (
        f"No room for {gone}: see more on a wider screen, or with --json.\n"
    )


def test_in_a_pipe_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    wide = "x" * 3000
    output.show_rows(("Name",), [(wide,)], empty="")
    assert capsys.readouterr().out.splitlines()[1] == wide


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Nguyễn Văn An", "Nguyễn Văn An"),
        ("red \x1b[31m alarm\x07", "red �[31m alarm�"),
        ("two\r\nlines\tand tabs", "two  lines and tabs"),
        ("\u202eright to left", "�right to left"),
        ("\udc8e of a binary file", "� of a binary file"),
    ],
)
def test_text_from_outside_never_steers_the_terminal(text: str, shown: str) -> None:
    assert legible(text) == shown
