"""Reading tongdai.toml.

A key nobody knows, a value of the wrong type and two settings that contradict each other are
refused with one sentence naming the line and the path of the key
(`tongdai.toml:12: trunk[0].host: …`).
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from server.config import errors
from server.config.errors import FILE, ConfigError
from server.config.model import Account, Config, Trunk, User
from server.config.rules import contradictions

__all__ = ["FILE", "Account", "Config", "ConfigError", "Trunk", "User", "load", "parse", "template"]


def load(home: Path) -> Config:
    """Read HOME/tongdai.toml. Raises ConfigError with every problem found."""
    path = home / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            [f"There is no {path}: run `tongdai init`, or name the folder with --home."]
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            [f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8."]
        ) from error
    except OSError as error:
        raise ConfigError([f"{path} cannot be read: {error.strerror}."]) from error
    return parse(text, str(path))


def parse(text: str, name: str = FILE) -> Config:
    """Read the text of a configuration; `name` is what to call the file. Raises ConfigError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([errors.syntax(error, name)]) from error
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError(errors.placed(errors.problems(error, Config), text, name)) from None
    if found := list(contradictions(config)):
        raise ConfigError(errors.placed(found, text, name))
    return config


def template() -> str:
    """The commented configuration that `tongdai init` writes."""
    return resources.files(__name__).joinpath("template.toml").read_text(encoding="utf-8")
