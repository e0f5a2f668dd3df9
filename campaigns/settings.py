"""A campaign's settings: everything but its name, mode, list and trunk. Kept as JSON in the row."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from campaigns.errors import BadSettings
from campaigns.hours import DAYS, Hours
from campaigns.presets import Compliance, Law, Purpose, law_for
from campaigns.retry import DELAYS, FAILED_AT_LEAST
from ivr.result import Result

DO_NOT_CALL = "do_not_call"  # the one outcome with a meaning of its own: see campaigns.broadcast

Seconds = Annotated[float, Field(gt=0, le=3600)]

_CONFIRMATIONS = {
    "vi": ("Xin cảm ơn quý khách.", "Chúng tôi sẽ không gọi lại cho quý khách. Xin cảm ơn."),
    "en": ("Thank you.", "We will not call you again. Thank you."),
}


class Settings(BaseModel):
    """How a campaign calls. Times in seconds unless the name says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # What is said: a text spoken in `language`, or a sound file.
    message_text: str | None = None
    message_file: str | None = None
    language: str = "vi"
    # What the customer may press, and what it means; `do_not_call` acts at once.
    keys: dict[str, str] = {"1": "interested", "2": DO_NOT_CALL}
    confirmations: dict[str, str] = {}  # outcome -> what is said after its key, if not the usual
    key_timeout: Seconds = 5.0
    repeats: int = Field(default=1, ge=0, le=10)  # how often more where no valid key comes
    amd: bool = False  # listen whether a machine answers, before speaking
    machine: Literal["hang_up", "leave_message"] = "hang_up"
    record: bool = False

    # When: None leaves the hours to the compliance preset.
    purpose: Purpose = Purpose.ADVERTISING
    hours: str | None = None
    days: tuple[str, ...] = DAYS

    # How often and how fast.
    ring_timeout: float = Field(default=30.0, ge=5, le=180)
    attempts: int = Field(default=3, ge=1, le=50)
    retry: dict[Result, float] = {}  # result -> delay; what is not here is retry.DELAYS'
    max_calls: int | None = Field(default=None, ge=1)  # beside the trunk's own limit
    cps: float | None = Field(default=None, gt=0)
    caller_ids: tuple[str, ...] = ()  # in place of the trunk's

    @field_validator("keys")
    @classmethod
    def _are_keys(cls, keys: dict[str, str]) -> dict[str, str]:
        for key, outcome in keys.items():
            if len(key) != 1 or key not in "0123456789*#":
                raise ValueError(f"`{key}` is no key of a phone: use one of 0-9, * and #")
            if not outcome:
                raise ValueError(f"key {key} needs an outcome, such as interested")
            if outcome != DO_NOT_CALL and _means_do_not_call(outcome):
                # Taken for a word of the operator's own it would put nobody on the list.
                raise ValueError(f"key {key}: write {DO_NOT_CALL}, not {outcome}")
        return keys

    @field_validator("hours")
    @classmethod
    def _are_hours(cls, hours: str | None) -> str | None:
        return None if hours is None else str(Hours.parse(hours))

    @field_validator("days")
    @classmethod
    def _are_days(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        if not days or set(days) - set(DAYS):
            raise ValueError(f"name at least one of {', '.join(DAYS)}")
        return tuple(day for day in DAYS if day in days)

    @field_validator("retry")
    @classmethod
    def _may_be_retried(cls, retry: dict[Result, float]) -> dict[Result, float]:
        for result, delay in retry.items():
            if result not in DELAYS:
                raise ValueError(f"{result} has no delay to set; {', '.join(DELAYS)} have one")
            if delay <= 0:
                raise ValueError(f"the delay after {result} must be more than 0 seconds")
            if result is Result.FAILED and delay < FAILED_AT_LEAST:
                raise ValueError(
                    f"after failed at least {FAILED_AT_LEAST:.0f} seconds must pass, because "
                    "nobody knows whether the phone rang"
                )
        return retry

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.message_text and self.message_file:
            raise ValueError("give message_text or message_file, not both")
        return self

    @classmethod
    def load(cls, values: dict[str, Any]) -> Self:
        """Check settings; BadSettings is one sentence naming each wrong place."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = "; ".join(_sentence(dict(detail)) for detail in error.errors())
            raise BadSettings(f"The campaign's settings are not right: {wrong}.") from None

    def law(self, compliance: Compliance) -> Law:
        """The law of this campaign's calls."""
        hours = Hours.parse(self.hours) if self.hours else None
        days = frozenset(DAYS.index(day) for day in self.days)
        return law_for(
            compliance.preset, self.purpose, home=compliance.home, hours=hours, days=days
        )

    def outcome(self, pressed: str) -> str | None:
        """What the keys pressed in a call mean: the first with a meaning, but "never call me
        again" wins over whatever was pressed before it.
        """
        meant = [self.keys[key] for key in pressed if key in self.keys]
        return DO_NOT_CALL if DO_NOT_CALL in meant else next(iter(meant), None)

    def confirmation(self, outcome: str) -> str:
        """What is said once a key with this outcome was pressed."""
        usual, never_again = _CONFIRMATIONS.get(self.language, _CONFIRMATIONS["en"])
        return self.confirmations.get(outcome, never_again if outcome == DO_NOT_CALL else usual)


def message(file_or_text: str, folder: Path) -> dict[str, str]:
    """Tell a sound file from a text to speak, as the settings that say so.

    A value that names a file in `folder` (or an absolute path) is a file. Raises BadSettings
    where it looks like a file's name and no such file is there.
    """
    path = folder / file_or_text
    if _is_file(path):
        return {"message_file": str(path.resolve())}
    if file_or_text.strip() and _is_folder(path):
        raise BadSettings(f"{path} is a folder: give a sound file, or a text to be spoken.")
    if " " not in file_or_text.strip() and Path(file_or_text).suffix:
        raise BadSettings(f"There is no sound file {path}: give a file, or a text to be spoken.")
    if not file_or_text.strip():
        raise BadSettings("The message is empty: give a sound file, or a text to be spoken.")
    return {"message_text": file_or_text}


def _means_do_not_call(outcome: str) -> bool:
    """Whether an outcome is a way of writing do_not_call, or close to it."""
    plain = "".join(filter(str.isalpha, outcome.lower()))
    ways = ("donotcall", "dontcall", "nevercall", "donotcallme", "dnc", "optout")
    return bool(get_close_matches(plain, ways, n=1, cutoff=0.8))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a long text is no file name at all
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _sentence(detail: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    said = detail["msg"].removeprefix("Value error, ")
    if not place:
        return str(said)
    got = "" if isinstance(detail["input"], dict | list | tuple) else f" (not {detail['input']!r})"
    return f"{place}: {said[:1].lower()}{said[1:]}{got}"
