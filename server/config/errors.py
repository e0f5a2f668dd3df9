"""What is wrong with a configuration, in sentences: the place, what was expected, what came.

tongdai.toml:12: trunk[0].host: expected a host and perhaps a port, such as …; got "a b"
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

FILE = "tongdai.toml"
Path = tuple[str | int, ...]


class ConfigError(Exception):
    """A configuration that cannot be used: one sentence a problem, in the order of the file."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(self.problems[0] + more)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: the path of its key, and what is the matter."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{show_path(self.path)}: {self.message}" if self.path else self.message


def show_path(path: Path) -> str:
    """A key's path as people read it: trunk[0].host."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def syntax(error: tomllib.TOMLDecodeError, name: str) -> str:
    """The sentence for text that is not TOML."""
    match = re.fullmatch(
        r"(?s)(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error)
    )
    if match is None:
        return f"{name}: this is not TOML: {error}"
    place = f"{name}:{match[2]}:{match[3]}" if match[2] else f"{name}: at its end"
    return f"{place}: this is not TOML: {match[1][:1].lower()}{match[1][1:]}"


def problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Every problem pydantic found, in our words. Values of passwords are left out."""
    return [
        Problem(_path(detail), _message(detail, model))
        for detail in error.errors(include_url=False)
    ]


def placed(found: Iterable[Problem], text: str, name: str) -> list[str]:
    """The problems as sentences with the file and, where it can be told, the line; in order."""
    lines = [(line_of(text, problem.path), problem) for problem in found]
    lines.sort(key=lambda pair: pair[0] or 0)
    return [
        f"{name}:{line}: {problem}" if line else f"{name}: {problem}" for line, problem in lines
    ]


def line_of(text: str, path: Path) -> int | None:
    """The line where a key is set; else that of its table; None where neither is written.

    Reads table headers and `key =` lines, which is how such a file is written; tomllib keeps no
    positions.
    """
    table: Path = ()
    counts: dict[str, int] = {}
    best: tuple[int, int] | None = None  # (parts of the path that match, line)
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]", line):
            table = _enter(header[2], header[1] == "[[", counts)
            here = table
        elif key := re.match(r"""\s*["']?([A-Za-z0-9_-]+)["']?\s*=""", line):
            here = (*table, key[1])
        else:
            continue
        if path[: len(here)] == here and len(here) > (best[0] if best else 0):
            best = len(here), number
    return best[1] if best else None


def _enter(name: str, array: bool, counts: dict[str, int]) -> Path:
    if not array:
        return tuple(name.split("."))
    counts[name] = counts.get(name, -1) + 1
    return (name, counts[name])


def _path(detail: ErrorDetails) -> Path:
    return tuple(detail["loc"])


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown(_path(detail), model)
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    return _EXPECTED.get(kind, _as_pydantic)(detail) + _got(detail)


def _as_pydantic(detail: ErrorDetails) -> str:
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _choices(detail: ErrorDetails) -> str:
    choices = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
    near = difflib.get_close_matches(str(detail["input"]), choices, n=1)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    return f"expected one of {_quoted(choices)}{hint}"


def _array(detail: ErrorDetails) -> str:
    if isinstance(detail["input"], dict):
        name = detail["loc"][-1]
        return f"expected [[{name}]], in double brackets: there may be several"
    return "expected a list in brackets, such as [ … ]"


def _fixed(text: str) -> Callable[[ErrorDetails], str]:
    return lambda _detail: text


def _limit(text: str, key: str) -> Callable[[ErrorDetails], str]:
    return lambda detail: f"expected {text} {detail['ctx'][key]:g}"


_EXPECTED: dict[str, Callable[[ErrorDetails], str]] = {
    "missing": _fixed("is missing, and there is no default"),
    "string_type": _fixed("expected text in quotes"),
    "int_type": _fixed("expected a whole number"),
    "float_type": _fixed("expected a number"),
    "finite_number": _fixed("expected a number"),
    "bool_type": _fixed("expected true or false"),
    "model_type": _fixed("expected a table"),
    "model_attributes_type": _fixed("expected a table"),
    "tuple_type": _array,
    "literal_error": _choices,
    "greater_than": _limit("more than", "gt"),
    "greater_than_equal": _limit("at least", "ge"),
    "less_than_equal": _limit("at most", "le"),
}


def _got(detail: ErrorDetails) -> str:
    if detail["type"] == "missing" or "password" in detail["loc"]:
        return ""
    value = detail["input"]
    if isinstance(value, dict | list):
        return ""
    return f"; got {json.dumps(value, ensure_ascii=False, default=str)}"


def _unknown(path: Path, model: type[BaseModel]) -> str:
    known = _keys(_model_at(path[:-1], model))
    near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    if near:
        return f'unknown key; did you mean "{near[0]}"?'
    return f"unknown key; expected one of {', '.join(known)}"


def _model_at(path: Path, model: type[BaseModel]) -> type[BaseModel]:
    """The model of a table, following the path through lists of tables."""
    for part in path:
        if isinstance(part, int):
            continue
        field = next(f for name, f in model.model_fields.items() if (f.alias or name) == part)
        model = _innermost(field.annotation)
    return model


def _innermost(annotation: Any) -> type[BaseModel]:
    while args := get_args(annotation):
        annotation = args[0]
    assert isinstance(annotation, type)
    assert issubclass(annotation, BaseModel)
    return annotation


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
