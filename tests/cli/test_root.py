"""The shape of the command line: help, lazy loading, errors, the reference."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from cli import output, reference, root
from cli.errors import explain
from cli.root import COMMANDS, hoisted, load
from tests.cli.conftest import Run, invoke

HEAVY = ("sqlalchemy", "aiohttp", "pydantic", "phonenumbers", "numpy", "campaigns", "server.app")


def verbs() -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its path."""
    for name in COMMANDS:
        command = load(name)
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {verb}", below) for verb, below in command.commands.items())
        else:
            yield name, command


VERBS = dict(verbs())


def imported_by(*lines: str) -> set[str]:
    """The modules that some command lines import, one after the other in a fresh process."""
    script = (
        "import sys\nfrom cli.main import app\n"
        "for line in sys.argv[1:]:\n"
        "    app(line.split(), prog_name='tongdai', standalone_mode=False)\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *lines], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_help_imports_no_command_and_nothing_heavy() -> None:
    modules = imported_by("--help")
    assert not modules & {*HEAVY}
    assert {name for name in modules if name.startswith("cli.")} == {
        "cli.home", "cli.main", "cli.root",
    }  # fmt: skip


def test_help_of_any_command_imports_nothing_heavy() -> None:
    # Typer itself reads the options of a command with pydantic.
    assert imported_by(*(f"{path} --help" for path in VERBS)) & {*HEAVY} <= {"pydantic"}


def test_help_lists_every_command_with_its_sentence() -> None:
    ran = invoke("--help")
    assert ran.code == 0
    said = " ".join(ran.out.replace("│", " ").split())
    for name, sentence in COMMANDS.items():
        assert f"{name} {sentence}" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_the_sentence_in_the_list_is_the_commands_own(name: str) -> None:
    assert load(name).help.splitlines()[0] == COMMANDS[name]


@pytest.mark.parametrize("path", VERBS)
def test_every_command_has_help_and_an_example_of_itself(path: str) -> None:
    command = VERBS[path]
    assert command.help.strip().splitlines()[0].endswith(".")
    assert command.epilog.startswith(f"Example: tongdai {path}")
    for param in command.params:
        assert param.help, f"{path} {param.name} says nothing"
    # Typer takes brackets in a help text for markup, and drops them.
    assert not [text for text in (command.help, *(p.help for p in command.params)) if "[" in text]


PRINTS_NO_DATA = {"serve", "demo", "campaign watch"}
CHANGES = re.compile(r"^(list|dnc) (create|add|remove|delete)$")


@pytest.mark.parametrize("path", VERBS)
def test_json_on_every_command_that_prints_data(path: str) -> None:
    if path in PRINTS_NO_DATA or CHANGES.match(path):
        return
    assert "--json" in {name for param in VERBS[path].params for name in param.opts}


def test_no_arguments_is_help_and_bad_usage() -> None:
    ran = invoke()
    assert ran.code == 2
    assert "Usage: tongdai" in ran.out
    assert ran.err == ""


def test_version() -> None:
    assert re.fullmatch(r"tongdai \d+\.\d+\.\d+\n", invoke("--version").out)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            ["campain"],
            "tongdai: No such command 'campain'. Did you mean 'campaign'? "
            "(see `tongdai --help`).\n",
        ),
        (
            ["campaign", "strat", "x"],
            "tongdai: No such command 'strat'. Did you mean 'start', 'status'? "
            "(see `tongdai campaign --help`).\n",
        ),
        (
            ["init", "--forse"],
            "tongdai: No such option: --forse (see `tongdai init --help`).\n",
        ),
        (
            ["contact", "import"],
            "tongdai: Missing argument 'FILE' (see `tongdai contact import --help`).\n",
        ),
        (
            ["call", "list", "--limit", "0"],
            "tongdai: Invalid value for '--limit': Input should be greater than or equal to 1 "
            "(see `tongdai call list --help`).\n",
        ),
        (["--home"], "tongdai: Option '--home' requires an argument.\n"),
    ],
)
def test_bad_usage_is_one_sentence_and_2(args: list[str], sentence: str) -> None:
    ran = invoke(*args)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == sentence


def test_a_home_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    ran = invoke("--home", tmp_path, "contact", "list")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"tongdai: There is no {tmp_path / 'tongdai.toml'}: run `tongdai init`, or name the "
        "folder with --home.\n"
    )


def test_a_typo_in_the_configuration_is_one_sentence(run: Run, home: Path) -> None:
    config = home / "tongdai.toml"
    config.write_text(config.read_text().replace("[sip]\nbind", "[sip]\nbnid"))
    ran = run("contact", "list")
    assert (ran.code, ran.out) == (2, "")
    assert re.fullmatch(
        rf'tongdai: {re.escape(str(config))}:\d+: sip\.bnid: unknown key; did you mean "bind"\?\n',
        ran.err,
    )


def test_a_database_that_is_gone_is_one_sentence(run: Run, home: Path) -> None:
    (home / "tongdai.db").unlink()
    ran = run("contact", "list")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"tongdai: There is no database at sqlite:///{home / 'tongdai.db'}: run `tongdai init`.\n"
    )


def test_an_unexpected_error_is_a_sentence_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert explain(RuntimeError("boom")) == (
        "This is a fault in Tongdai (RuntimeError: boom): please report it with what "
        "`TONGDAI_DEBUG=1` in front of the same command prints.",
        1,
    )
    assert explain(PermissionError(13, "Permission denied", "/x")) == (
        "/x cannot be used (Permission denied): check that it is there, and that this user may "
        "read and write it.",
        1,
    )
    assert explain(typer.Abort()) == ("Stopped.", 1)


def test_home_may_stand_anywhere(run: Run, made_home: Path) -> None:
    for args in (
        ("--home", made_home, "contact", "list", "--json"),
        ("contact", "list", "--home", made_home, "--json"),
        ("contact", "list", "--json", f"--home={made_home}"),
    ):
        assert run(*args).out == "[]\n"


def test_what_follows_two_hyphens_is_left_alone() -> None:
    line = ["contact", "add", "--", "--home", "x"]
    assert [*hoisted(line)] == line


@pytest.mark.parametrize("module", [root, output])
def test_examples_in_docstrings(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


def test_the_command_reference_is_current() -> None:
    assert reference.PATH.read_text(encoding="utf-8") == reference.reference(), (
        "run `make docs` and commit docs/reference/cli.md"
    )
