"""campaign, trunk, init and doctor, without a server."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from campaigns.settings import Settings
from store.database import Database
from store.models import Campaign
from tests.cli.conftest import Run, invoke

NO_SERVER = "No server runs on this home: nothing is dialled until `tongdai serve` runs.\n"


@pytest.fixture(autouse=True)
def members(run: Run) -> None:
    """A list of two numbers."""
    run("list", "create", "tet")
    run("list", "add", "tet", "0912345678", "0987654321")


def create(run: Run, *more: object) -> str:
    ran = run(
        "campaign", "create", "tet", "--list", "tet", "--trunk", "carrier",
        "--message", "Xin chào", *more,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    return str(ran.out)


def settings_of(home: Path, name: str) -> Settings:
    database = Database.open("sqlite:///tongdai.db", home=home)
    try:
        with database.read() as session:
            found = session.query(Campaign).filter_by(name=name).one()
            return Settings.load(found.settings)
    finally:
        database.close()


def test_from_draft_to_the_end(run: Run) -> None:
    assert create(run) == "Campaign `tet` is made, with 2 numbers to call.\n"
    started = run("campaign", "start", "tet")
    assert (started.code, started.out, started.err) == (
        0, "Campaign `tet` is started.\n", NO_SERVER,
    )  # fmt: skip
    assert run("campaign", "pause", "tet").out == (
        "Campaign `tet` is paused; calls that are up go on.\n"
    )
    assert run("campaign", "resume", "tet").out == "Campaign `tet` goes on.\n"
    assert run("campaign", "stop", "tet").out == "Campaign `tet` is stopped for good.\n"
    again = run("campaign", "start", "tet")
    assert (again.code, again.err) == (
        1,
        "tongdai: Campaign `tet` is stopped: it cannot start. Possible now: nothing more, create "
        "a new campaign instead.\n",
    )


def test_status_is_the_contract(run: Run) -> None:
    create(run)
    status = json.loads(run("campaign", "status", "tet", "--json").out)
    assert {key: status[key] for key in ("name", "mode", "state", "leads", "results", "keys")} == {
        "name": "tet",
        "mode": "broadcast",
        "state": "draft",
        "leads": {"total": 2, "done": 0, "waiting": 2, "live": 0},
        "results": {},
        "keys": {},
    }


def test_status_for_people(run: Run) -> None:
    create(run)
    assert run("campaign", "status", "tet").lines == [
        "campaign  tet",
        "state     draft",
        "mode      broadcast over carrier",
        "numbers   2: 0 done, 2 waiting, 0 on a call",
        "now       The campaign is draft.",
    ]


def test_every_option_reaches_the_settings(run: Run, home: Path) -> None:
    create(
        run, "--language", "en", "--key", "3=callback", "--key-timeout", 7, "--repeats", 2,
        "--amd", "--machine", "leave_message", "--record", "--purpose", "service",
        "--hours", "09:00-11:30", "--days", "mon,tue", "--ring-timeout", 20, "--attempts", 5,
        "--retry", "busy=10m", "--retry", "no_answer=2h", "--max-calls", 7, "--cps", 1.5,
        "--caller-id", "+842873000001",
    )  # fmt: skip
    assert settings_of(home, "tet") == Settings(
        message_text="Xin chào",
        language="en",
        keys={"3": "callback"},
        key_timeout=7,
        repeats=2,
        amd=True,
        machine="leave_message",
        record=True,
        purpose="service",
        hours="09:00-11:30",
        days=("mon", "tue"),
        ring_timeout=20,
        attempts=5,
        retry={"busy": 600, "no_answer": 7200},
        max_calls=7,
        cps=1.5,
        caller_ids=("+842873000001",),
    )


def test_what_is_left_out_has_the_campaigns_own_defaults(run: Run, home: Path) -> None:
    create(run)
    assert settings_of(home, "tet") == Settings(message_text="Xin chào", language="vi")


def test_a_message_that_is_a_file_is_found_from_where_one_stands(run: Run, home: Path) -> None:
    Path("chao.wav").write_bytes(b"RIFF")
    run("campaign", "create", "f", "--list", "tet", "--trunk", "carrier", "--message", "chao.wav")
    assert settings_of(home, "f").message_file == str(Path("chao.wav").resolve())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--trunk", "carier"],
            "Invalid value for TRUNK: there is no trunk “carier”. Did you mean “carrier”?",
        ),
        (["--list", "tett"], "There is no list “tett”"),
        (["--message", "nope.mp3"], "There is no sound file "),
        (["--hours", "8-17"], "The campaign's settings are not right: hours: "),
        (["--retry", "busy=soon"], "Invalid value for --retry: “soon” is not a time"),
        (["--key", "1"], "Invalid value for --key: expected something like 1=interested"),
        (["--mode", "predictive"], "mode: `predictive` is not one this version dials"),
        (["--message", __file__], f"Invalid value for --message: {__file__} is not a sound file"),
        (["--language", "xx"], "Invalid value for --message: no voice speaks 'xx'"),
        (["--caller-id", "abc"], "Invalid value for --caller-id: expected a number such as "),
        (["--mode", "foo"], "Invalid value for '--mode': 'foo' is not one of 'broadcast'"),
        (["--ring-timeout", "1"], "The campaign's settings are not right: ring_timeout: "),
    ],
)
def test_what_is_wrong_is_one_sentence_and_2(run: Run, options: list[str], sentence: str) -> None:
    given = {"--list": "tet", "--trunk": "carrier", "--message": "Xin chào"}
    given |= dict(zip(options[::2], options[1::2], strict=True))
    ran = run("campaign", "create", "tet", *(part for pair in given.items() for part in pair))
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith(f"tongdai: {sentence}")
    assert run("campaign", "list", "--json").out == "[]\n"


def test_an_unknown_campaign_names_the_nearest(run: Run) -> None:
    create(run)
    for verb in ("start", "status", "watch"):
        ran = run("campaign", verb, "tett")
        assert (ran.code, ran.err) == (
            2, "tongdai: There is no campaign `tett`. Did you mean `tet`?\n",
        )  # fmt: skip


def test_list_and_a_bare_status_show_all(run: Run) -> None:
    create(run)
    lines = run("campaign", "list").lines
    assert re.sub(r"[-\d]{10} [:\d]{8}", "NOW", lines[1]) == (
        "tet       broadcast  draft  carrier        2     0         0  NOW"
    )
    assert run("campaign", "status").lines == lines


def test_watch_in_a_pipe_is_one_picture(run: Run) -> None:
    create(run)
    run("campaign", "start", "tet")
    ran = run("campaign", "watch", "tet")
    assert ran.code == 0
    assert ran.lines[0].startswith("tet  broadcast over carrier  running")
    assert ran.lines[2] == "No server runs on this home: start one with `tongdai serve`."


def test_trunk_list(run: Run) -> None:
    assert run("trunk", "list").lines == [
        "Trunk    Host            State    Calls  At most  Per second  Caller IDs",
        "carrier  127.0.0.1:5099  unknown             100          10  +842873000000",
    ]
    [trunk] = json.loads(run("trunk", "list", "--json").out)
    assert (trunk["name"], trunk["state"]) == ("carrier", "unknown")


def test_trunk_check_of_an_unknown_one(run: Run) -> None:
    ran = run("trunk", "check", "carier")
    assert ran.code == 2
    assert "Did you mean “carrier”?" in ran.err


def test_init_makes_a_home_and_never_overwrites(tmp_path: Path) -> None:
    home = tmp_path / "new"
    made = invoke("init", "--home", home)
    assert made.code == 0
    assert made.lines == [
        f"made {home}",
        *(f"made {home / name}" for name in ("recordings", "prompts", "flows", "run")),
        f"made {home / 'tongdai.toml'}",
        f"database sqlite:///{home / 'tongdai.db'} is ready",
        f"Next: fill in a [[trunk]] in {home / 'tongdai.toml'}, then `tongdai doctor`.",
    ]
    config = home / "tongdai.toml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "tongdai.db").stat().st_mode) == 0o600
    config.write_text(config.read_text() + "# mine\n")
    again = invoke("init", "--home", home, "--json")
    assert json.loads(again.out)["made"] == []
    assert config.read_text().endswith("# mine\n")


def test_init_where_a_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = invoke("init", "--home", tmp_path / "file")
    assert ran.code == 2
    assert ran.err == (
        f"tongdai: Invalid value for --home: the folder {tmp_path / 'file'} cannot be made (File "
        "exists): name another one (see `tongdai init --help`).\n"
    )
