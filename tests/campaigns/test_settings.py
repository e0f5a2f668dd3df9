"""A campaign's settings: what is accepted, and one sentence for what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from campaigns.errors import BadSettings
from campaigns.presets import Compliance, Preset
from campaigns.settings import DO_NOT_CALL, Settings, message


def test_the_defaults_are_those_of_a_broadcast_in_vietnam() -> None:
    settings = Settings()
    assert settings.keys == {"1": "interested", "2": "do_not_call"}
    assert (settings.attempts, settings.ring_timeout) == (3, 30)
    law = settings.law(Compliance())
    assert law.window is not None
    assert (str(law.window.hours), law.cap) == ("08:00-17:00", 1)


def test_they_survive_being_stored() -> None:
    settings = Settings.load(
        {
            "message_text": "Xin chào",
            "retry": {"busy": 60},
            "days": ["fri", "mon"],
            "hours": "9:00-10:00",
        }
    )
    assert settings.days == ("mon", "fri")
    assert settings.hours == "09:00-10:00"
    assert Settings.load(json.loads(json.dumps(settings.model_dump(mode="json")))) == settings


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"attempts": 0}, "attempts: input should be greater than or equal to 1 (not 0)"),
        ({"atempts": 3}, "atempts: extra inputs are not permitted"),
        ({"keys": {"12": "x"}}, "keys: `12` is no key of a phone: use one of 0-9, * and #"),
        ({"keys": {"1": ""}}, "keys: key 1 needs an outcome"),
        ({"keys": {"2": "donotcall"}}, "keys: key 2: write do_not_call, not donotcall"),
        ({"keys": {"2": "DNC"}}, "keys: key 2: write do_not_call, not DNC"),
        ({"keys": {"2": "do-not-cal"}}, "keys: key 2: write do_not_call, not do-not-cal"),
        ({"hours": "17:00-08:00"}, "hours: `17:00-08:00` must start before it ends"),
        ({"days": ["monday"]}, "days: name at least one of mon, tue"),
        ({"days": []}, "days: name at least one of"),
        ({"retry": {"answered": 60}}, "retry: answered has no delay to set; busy, no_answer"),
        ({"retry": {"failed": 10}}, "retry: after failed at least 300 seconds must pass"),
        ({"retry": {"busy": 0}}, "retry: the delay after busy must be more than 0 seconds"),
        ({"ring_timeout": 1}, "ring_timeout: input should be greater than or equal to 5"),
        ({"cps": 0}, "cps: input should be greater than 0 (not 0)"),
        ({"machine": "shout"}, "machine: input should be 'hang_up' or 'leave_message'"),
        ({"message_text": "a", "message_file": "b"}, "give message_text or message_file, not both"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadSettings) as error:
        Settings.load(values)
    assert str(error.value).startswith("The campaign's settings are not right: ")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("pressed", "outcome"),
    [
        ("", None),
        ("9", None),
        ("1", "interested"),
        ("91", "interested"),
        ("13", "interested"),
        ("31", "later"),
        ("12", DO_NOT_CALL),  # refusing wins, whatever was pressed before
        ("2", DO_NOT_CALL),
    ],
)
def test_what_the_keys_mean(pressed: str, outcome: str | None) -> None:
    settings = Settings(keys={"1": "interested", "2": DO_NOT_CALL, "3": "later"})
    assert settings.outcome(pressed) == outcome


def test_confirmations() -> None:
    vietnamese = Settings()
    assert "không gọi lại" in vietnamese.confirmation(DO_NOT_CALL)
    assert "cảm ơn" in vietnamese.confirmation("interested")
    english = Settings(language="en", confirmations={"interested": "We will call you."})
    assert english.confirmation("interested") == "We will call you."
    assert english.confirmation(DO_NOT_CALL) == "We will not call you again. Thank you."


def test_hours_of_the_campaign_replace_the_presets() -> None:
    settings = Settings(hours="00:00-24:00", days=("sat",))
    law = settings.law(Compliance(Preset.US))
    assert law.window is not None
    assert law.window.days == {5}
    assert law.window.hours.end == 1440
    assert Settings(days=("sat",)).law(Compliance(Preset.NONE)).window == law.window


def test_a_file_is_told_from_a_text(tmp_path: Path) -> None:
    (tmp_path / "hello.mp3").write_bytes(b"x")
    assert message("hello.mp3", tmp_path) == {"message_file": str(tmp_path / "hello.mp3")}
    assert message("Xin chào quý khách.", tmp_path) == {"message_text": "Xin chào quý khách."}
    assert message("Alo", tmp_path) == {"message_text": "Alo"}
    long = "Xin chào. " * 500
    assert message(long, tmp_path) == {"message_text": long}
    with pytest.raises(BadSettings, match=r"There is no sound file .*missing\.wav"):
        message("missing.wav", tmp_path)
    with pytest.raises(BadSettings, match="The message is empty"):
        message("  ", tmp_path)


def test_a_folder_is_neither_a_sound_nor_a_text(tmp_path: Path) -> None:
    (tmp_path / "loi-chao").mkdir()
    with pytest.raises(BadSettings, match="is a folder"):
        message("loi-chao", tmp_path)
