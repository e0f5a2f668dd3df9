"""Running the command line in process, on a home of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from ivr.media.errors import PromptError, SpeechError
from ivr.media.prompts import Prompt
from server import prompts


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it printed, by line."""
        return self.out.splitlines()


Run = Callable[..., Ran]


def invoke(*args: object) -> Ran:
    """Run a command line as it would be typed."""
    result = CliRunner().invoke(app, [str(arg) for arg in args], prog_name="tongdai")
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as `tongdai init` makes it."""
    home = tmp_path_factory.mktemp("made") / "home"
    assert invoke("init", "--home", home).code == 0
    return home


@pytest.fixture
def home(made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home with one trunk, in TONGDAI_HOME; the current folder is an empty one."""
    home = tmp_path / "home"
    shutil.copytree(made_home, home)
    config = home / "tongdai.toml"
    text = config.read_text().replace("0.0.0.0:5060", "127.0.0.1:0")
    text = text.replace("127.0.0.1:8080", "127.0.0.1:0")
    config.write_text(
        f'{text}\n[[trunk]]\nname = "carrier"\nhost = "127.0.0.1:5099"\n'
        'caller_ids = ["+842873000000"]\n'
    )
    monkeypatch.setenv("TONGDAI_HOME", str(home))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return home


class Prompts:
    """Prepares every text and every WAV file, without a look at it."""

    async def say(self, text: str, language: str = "vi") -> Prompt:
        if language not in {"vi", "en"}:
            raise SpeechError(f"no voice speaks {language!r}")
        return Prompt(text, {}, 50)

    async def load(self, path: Path) -> Prompt:
        if path.suffix != ".wav":
            raise PromptError(f"{path} is not a sound file that ffmpeg can read")
        return Prompt(path.name, {}, 50)


@pytest.fixture(autouse=True)
def no_real_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No espeak-ng and no ffmpeg are needed here; tests/ivr/media has the real thing."""
    monkeypatch.setattr(prompts, "prompts_of", lambda _home: Prompts())


@pytest.fixture
def run(home: Path) -> Run:
    """Run a command on that home."""
    return invoke
