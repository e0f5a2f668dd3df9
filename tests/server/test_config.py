"""tongdai.toml: what it means, and exactly what is said of what is wrong in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ivr.trunk import TrunkConfig
from server import config
from server.config import Config, ConfigError
from server.config.errors import _innermost, line_of

DESIGN = """
timezone = "Asia/Ho_Chi_Minh"
region = "VN"
database = "sqlite:///tongdai.db"
[sip]
bind = "0.0.0.0:5060"
external_address = ""
[rtp]
ports = "20000-29999"
external_address = ""
workers = 1
[http]
bind = "127.0.0.1:8080"
[compliance]
preset = "vn"
[[trunk]]
name = "carrier"
host = "127.0.0.1:5090"
caller_ids = ["+842873000000"]
max_calls = 100
calls_per_second = 10
codecs = ["PCMA", "PCMU"]
username = ""
password = ""
register = false
[[inbound]]
number = "*"
flow = "main"
"""
TRUNK = '[[trunk]]\nname = "carrier"\nhost = "sip.example.com"\n'


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        config.parse(text)
    return [*refused.value.problems]


def test_the_contract_is_understood() -> None:
    read = config.parse(DESIGN)
    assert str(read.timezone) == "Asia/Ho_Chi_Minh"
    assert (read.sip.bind.host, read.sip.bind.port) == ("0.0.0.0", 5060)
    assert read.rtp.ports == range(20_000, 30_000)
    [trunk] = read.trunks
    assert (str(trunk.host), trunk.caller_ids) == ("127.0.0.1:5090", ("+842873000000",))
    assert (trunk.max_calls, trunk.calls_per_second) == (100, 10.0)


def test_an_empty_file_has_every_default() -> None:
    assert config.parse("") == Config()


def test_the_template_of_init_is_the_defaults() -> None:
    assert config.parse(config.template()) == Config()


def test_the_trunk_in_the_template_is_right_once_it_is_uncommented() -> None:
    text = config.template()
    _, commented = text.split("# [[trunk]]\n")
    trunk = "[[trunk]]\n" + "".join(
        line.removeprefix("# ") + "\n" for line in commented.splitlines()
    )
    trunk = trunk.replace('username = ""', 'username = "u"')
    [read] = config.parse(trunk).trunks
    assert read.name == "carrier"


def test_a_trunk_as_the_engine_wants_it() -> None:
    read = config.parse(
        'region = "US"\n'
        '[[trunk]]\nname = "a"\nhost = "sip.example.com:5070"\ntransport = "tcp"\n'
        'username = "u"\npassword_env = "SECRET"\nregister = true\nfailover = ["b"]\n'
        'allow = ["192.0.2.0/24"]\nnumber_format = "national"\nprefix = "99"\nqualify = 0\n'
        '[[trunk]]\nname = "b"\nhost = "192.0.2.1"\n'
    )
    assert read.trunk_config(read.trunks[0], {"SECRET": "s3cret"}) == TrunkConfig(
        name="a",
        host="sip.example.com",
        port=5070,
        transport="tcp",
        username="u",
        password="s3cret",
        register=True,
        qualify=0.0,
        number_format="national",
        prefix="99",
        region="US",
        failover=("b",),
        allow=("192.0.2.0/24",),
    )


def test_a_trunk_of_defaults_has_the_engines_defaults() -> None:
    read = config.parse(TRUNK)
    assert read.trunk_config(read.trunks[0], {}) == TrunkConfig("carrier", "sip.example.com")


def test_secrets_are_not_in_the_repr() -> None:
    read = config.parse(
        'database = "postgresql://tongdai:hunter2@db/tongdai"\n'
        f'{TRUNK}username = "u"\npassword = "s3cret"\n'
    )
    assert "s3cret" not in repr(read)
    assert "hunter2" not in repr(read)


def test_a_password_whose_variable_is_not_set() -> None:
    read = config.parse(f'{TRUNK}username = "u"\npassword_env = "CARRIER_PASSWORD"\n')
    with pytest.raises(ConfigError) as refused:
        read.trunk_config(read.trunks[0], {})
    assert str(refused.value) == (
        'tongdai.toml: password_env of "carrier": the environment variable CARRIER_PASSWORD is '
        "not set: export it, then start again."
    )


# Text, and what is said of it, whole.
REFUSED = {
    'timezone = "Asia/Hanoi"': (
        'tongdai.toml:1: timezone: expected the name of a time zone such as "Asia/Ho_Chi_Minh"; '
        'got "Asia/Hanoi"'
    ),
    'timezone = "../../etc/passwd"': (
        'tongdai.toml:1: timezone: expected the name of a time zone such as "Asia/Ho_Chi_Minh"; '
        'got "../../etc/passwd"'
    ),
    'region = "VNM"': (
        'tongdai.toml:1: region: expected a country code of two letters such as "VN"; got "VNM"'
    ),
    'language = "Vietnamese!"': (
        'tongdai.toml:1: language: expected a language such as "vi" or "en-gb"; got "Vietnamese!"'
    ),
    'database = "mysql://localhost/x"': (
        'tongdai.toml:1: database: expected "sqlite:///FILE" or '
        '"postgresql+psycopg://USER:PASSWORD@HOST/NAME"'
    ),
    "[sip]\nbnid = 1": 'tongdai.toml:2: sip.bnid: unknown key; did you mean "bind"?',
    "[spi]": 'tongdai.toml:1: spi: unknown key; did you mean "sip"?',
    "[log]\nxyz = 1": "tongdai.toml:2: log.xyz: unknown key; expected one of format, level",
    "sip = 5060": "tongdai.toml:1: sip: expected a table; got 5060",
    "[sip]\nbind = 5060": (
        'tongdai.toml:2: sip.bind: expected text in quotes, such as "0.0.0.0:5060"; got 5060'
    ),
    '[sip]\nbind = "localhost:5060"': (
        "tongdai.toml:2: sip.bind: expected an IPv4 address of this machine and a port, such as "
        '"0.0.0.0:5060"; got "localhost:5060"'
    ),
    '[sip]\nbind = "0.0.0.0:70000"': (
        "tongdai.toml:2: sip.bind: expected an IPv4 address of this machine and a port, such as "
        '"0.0.0.0:5060"; got "0.0.0.0:70000"'
    ),
    '[sip]\nexternal_address = "example.com"': (
        'tongdai.toml:2: sip.external_address: expected an IPv4 address such as "203.0.113.10", '
        'or ""; got "example.com"'
    ),
    '[rtp]\nports = "29999-20000"': (
        "tongdai.toml:2: rtp.ports: expected two ports from 1024 to 65535, first-last, such as "
        '"20000-29999"; got "29999-20000"'
    ),
    '[rtp]\nworkers = "two"': 'tongdai.toml:2: rtp.workers: expected a whole number; got "two"',
    "[rtp]\nworkers = 0": "tongdai.toml:2: rtp.workers: expected at least 1; got 0",
    "[rtp]\nworkers = 65": "tongdai.toml:2: rtp.workers: expected at most 64; got 65",
    "[rtp]\ntimeout = nan": "tongdai.toml:2: rtp.timeout: expected a number; got NaN",
    '[log]\nformat = "jsno"': (
        'tongdai.toml:2: log.format: expected one of "text", "json" (did you mean "json"?); '
        'got "jsno"'
    ),
    '[compliance]\npreset = "xx"': (
        'tongdai.toml:2: compliance.preset: expected one of "vn", "us", "uk", "none"; got "xx"'
    ),
    '[trunk]\nname = "a"': (
        "tongdai.toml:1: trunk: expected [[trunk]], in double brackets: there may be several"
    ),
    "trunk = 1": "tongdai.toml:1: trunk: expected a list in brackets, such as [ … ]; got 1",
    '[[trunk]]\nhost = "a"': ("tongdai.toml:1: trunk[0].name: is missing, and there is no default"),
    '[[trunk]]\nname = "a"\nhost = "a b"': (
        "tongdai.toml:3: trunk[0].host: expected a host and perhaps a port, such as "
        '"sip.carrier.vn:5060"; got "a b"'
    ),
    '[[trunk]]\nname = "a"\nhost = "1.2.3"': (
        "tongdai.toml:3: trunk[0].host: expected a host and perhaps a port, such as "
        '"sip.carrier.vn:5060"; got "1.2.3"'
    ),
    f'{TRUNK}\n# another\n[[trunk]]\nname = "b"\nhost = "h:0"': (
        "tongdai.toml:8: trunk[1].host: expected a host and perhaps a port, such as "
        '"sip.carrier.vn:5060"; got "h:0"'
    ),
    f'{TRUNK}caller_ids = [\n  "+84 28",\n]': (
        'tongdai.toml:4: trunk[0].caller_ids[0]: expected a number such as "+842873000000", '
        'digits without spaces; got "+84 28"'
    ),
    f'{TRUNK}codecs = ["G729"]': (
        'tongdai.toml:4: trunk[0].codecs[0]: expected one of "PCMA", "PCMU"; got "G729"'
    ),
    f"{TRUNK}codecs = []": (
        'tongdai.toml:4: trunk[0].codecs: is empty: expected "PCMA", "PCMU" or both'
    ),
    f'{TRUNK}codecs = ["PCMA", "PCMA"]': "tongdai.toml:4: trunk[0].codecs: names a codec twice",
    f'{TRUNK}register = "yes"': (
        'tongdai.toml:4: trunk[0].register: expected true or false; got "yes"'
    ),
    f"{TRUNK}password = 1234": "tongdai.toml:4: trunk[0].password: expected text in quotes",
    f"{TRUNK}calls_per_second = 0": (
        "tongdai.toml:4: trunk[0].calls_per_second: expected more than 0; got 0"
    ),
    f'{TRUNK}prefix = "nine"': (
        'tongdai.toml:4: trunk[0].prefix: expected at most 16 of 0-9, "*", "#" and "+"; got "nine"'
    ),
    f'{TRUNK}allow = ["carrier"]': (
        "tongdai.toml:4: trunk[0].allow[0]: expected an IP address or a network such as "
        '"203.0.113.0/24"; got "carrier"'
    ),
    f"{TRUNK}register = true": (
        "tongdai.toml:4: trunk[0].register: is true, but there is no username to register with"
    ),
    f'{TRUNK}username = "u"': (
        "tongdai.toml:4: trunk[0].username: has no password: set password or password_env"
    ),
    f'{TRUNK}password = "p"': (
        "tongdai.toml:1: trunk[0].username: is missing: there is a password without one"
    ),
    f'{TRUNK}username = "u"\npassword = "p"\npassword_env = "P"': (
        "tongdai.toml:6: trunk[0].password_env: and password are both set: keep one of them"
    ),
    f'{TRUNK}failover = ["carrier"]': "tongdai.toml:4: trunk[0].failover[0]: is this trunk itself",
    f'{TRUNK}failover = ["other"]': (
        'tongdai.toml:4: trunk[0].failover[0]: there is no trunk "other"; the others are: none'
    ),
    TRUNK + TRUNK: 'tongdai.toml:5: trunk[1].name: "carrier" is already the name of trunk[0]',
    '[[user]]\nname = "agent 1"\npassword = "p"': (
        'tongdai.toml:2: user[0].name: expected a user name of letters, digits and ".", "_", '
        '"-", such as "agent1"; got "agent 1"'
    ),
    '[[user]]\nname = "agent1"': (
        "tongdai.toml:1: user[0].password: is missing: a phone without one is let in by nobody"
    ),
    '[sip]\nbind = "0.0.0.0:8080"': (
        "tongdai.toml: http.bind: is the same port as [sip] bind, 0.0.0.0:8080"
    ),
    '[sip]\nbind = "0.0.0.0:20000"': (
        "tongdai.toml: rtp.ports: port 20000 in this range is that of [sip] bind"
    ),
    f'{TRUNK}[rtp]\nports = "20000-20099"': (
        "tongdai.toml:5: rtp.ports: has 100 ports, and the trunks may carry 100 calls: every "
        "call takes an even port and the next"
    ),
    '[[inbound]]\nnumber = "*"\nflow = "a"\n[[inbound]]\nnumber = "*"\nflow = "b"': (
        'tongdai.toml:5: inbound[1].number: "*" is already the number of inbound[0]'
    ),
    "timezone =": "tongdai.toml: at its end: this is not TOML: invalid value",
    "[sip\n": (
        "tongdai.toml:1:5: this is not TOML: expected ']' at the end of a table declaration"
    ),
    'region = "VN"\nregion = "US"\n': (
        "tongdai.toml:2:14: this is not TOML: cannot overwrite a value"
    ),
}


@pytest.mark.parametrize(("text", "sentence"), REFUSED.items())
def test_what_is_wrong_is_said_in_one_sentence_with_its_place(text: str, sentence: str) -> None:
    assert problems(text) == [sentence]


def test_several_problems_come_in_the_order_of_the_file() -> None:
    text = '[http]\nbind = "x"\n[sip]\nbind = "y"\n'
    found = problems(text)
    assert [sentence.split(":")[1] for sentence in found] == ["2", "4"]
    with pytest.raises(ConfigError) as refused:
        config.parse(text)
    assert str(refused.value) == f"{found[0]} (and 1 more)"


def test_a_home_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        config.load(tmp_path)
    assert str(refused.value) == (
        f"There is no {tmp_path / 'tongdai.toml'}: run `tongdai init`, or name the folder with "
        "--home."
    )


def test_a_configuration_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "tongdai.toml").write_bytes(b'language = "vi" # \xff')
    with pytest.raises(ConfigError) as refused:
        config.load(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path / 'tongdai.toml'} is not UTF-8 text (byte 18): save it as UTF-8."
    )


def test_a_configuration_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "tongdai.toml").mkdir()
    with pytest.raises(ConfigError, match=r"tongdai\.toml cannot be read: Is a directory\.$"):
        config.load(tmp_path)


def said_of(text: str) -> tuple[str, ...]:
    """What is wrong with a text; nothing, where it is right."""
    try:
        config.parse(text)
    except ConfigError as error:
        return error.problems
    return ()


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_sentences(text: str) -> None:
    assert all(problem.startswith("tongdai.toml") for problem in said_of(text))


VALUES = st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just({}))


@given(st.sampled_from(["sip", "rtp", "http", "trunk", "user", "region"]), VALUES)
def test_any_value_in_any_place_is_taken_or_refused(key: str, value: Any) -> None:
    document = tomlkit.dumps({key: value})
    assert all(re.match(r"tongdai\.toml(:\d+)*: ", problem) for problem in said_of(document))


def test_the_line_of_a_key_is_not_that_of_a_namesake() -> None:
    text = '[sip]\nbind = "a"\n[http]\n# bind = "no"\n"bind" = "b"\n'
    assert line_of(text, ("http", "bind")) == 5
    assert line_of(text, ("sip", "bind")) == 2
    assert line_of(text, ("rtp", "ports")) is None


# -- the documentation ---------------------------------------------------------------------

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


def keys_of(model: type[BaseModel]) -> dict[str, Any]:
    """Every key of the model, dotted, with its default; lists of tables without an index."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        try:
            inner = _innermost(field.annotation)
        except AssertionError:
            found[key] = ... if field.is_required() else field.get_default()
        else:
            found |= {f"{key}.{below}": default for below, default in keys_of(inner).items()}
    return found


def documented() -> dict[str, str]:
    """The rows of the tables: | `key` | default | meaning |, under `## [table]` headings."""
    found, table = {}, ""
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = re.search(r"`\[+(\w+)\]+`", line)
            table = f"{heading[1]}." if heading else ""
        elif row := re.match(r"\| `(\w+)` \| (.*?) \|", line):
            found[table + row[1]] = row[2]
    return found


def shown(default: Any) -> str:
    """A default as the documentation shows it, in TOML."""
    if default is ...:
        return "required"
    if isinstance(default, range):
        return f'`"{default.start}-{default.stop - 1}"`'
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, int | float):
        return f"`{default:g}`"
    if isinstance(default, tuple):
        return "`[" + ", ".join(f'"{one}"' for one in default) + "]`"
    text = default.get_secret_value() if hasattr(default, "get_secret_value") else str(default)
    return f'`"{text}"`'


def test_every_key_is_documented_with_its_default() -> None:
    assert documented() == {key: shown(default) for key, default in keys_of(Config).items()}
