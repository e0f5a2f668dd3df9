"""The log: lines for people and for programs."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest

from ivr.about import CALL, about
from server import logs

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
log = logging.getLogger("test")


def written(style: str, act: Callable[[], object], *secrets: str, level: str = "info") -> str:
    stream = io.StringIO()
    stop = logs.start(style, level, ZONE, secrets, stream)
    try:
        act()
    finally:
        stop()
    return stream.getvalue()


def test_a_line_for_people() -> None:
    line = written("text", lambda: log.warning("trunk %s is down", "carrier"))
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+07:00 WARNING trunk carrier is down\n", line
    )


def test_a_line_names_what_it_is_about() -> None:
    def act() -> None:
        with about(campaign="tet"), about(call="c-1"):
            log.info("dialling")
        log.info("idle")

    dialling, idle = written("text", act).splitlines()
    assert dialling.endswith("INFO    dialling [campaign=tet call=c-1]")
    assert idle.endswith("INFO    idle")


def test_a_record_may_name_it_by_itself() -> None:
    line = written("text", lambda: log.info("ended", extra={"call": "c-2"}))
    assert line.endswith("ended [call=c-2]\n")


async def test_every_task_under_a_call_is_about_it() -> None:
    async def inner() -> str:
        return CALL.get()

    with about(call="c-3"):
        task = asyncio.create_task(inner())
    assert (await task, CALL.get()) == ("c-3", "")


def test_json_has_the_same_facts_by_name() -> None:
    def act() -> None:
        with about(call="c-1"):
            log.error("Hỏng: %s", 'a "quote"')

    record = json.loads(written("json", act))
    time = record.pop("time")
    assert time.endswith("+07:00")
    assert record == {
        "level": "error",
        "message": 'Hỏng: a "quote"',
        "logger": "test",
        "call": "c-1",
    }


def fail() -> None:
    try:
        raise KeyError("s3cret")
    except KeyError:
        log.exception("it failed")


def test_a_traceback_follows_indented() -> None:
    lines = written("text", fail).splitlines()
    assert lines[0].endswith("it failed")
    assert lines[1] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in lines[1:])


MESSAGE = "INVITE sip:a@b SIP/2.0\r\nFrom: x\x1b[31m\r\n\r\nv=0\r\n"


def test_a_sip_message_follows_indented() -> None:
    lines = written("text", lambda: log.info("--> peer", extra={"text": MESSAGE})).splitlines()
    assert lines[0].endswith("INFO    --> peer")
    assert lines[1:] == ["  INVITE sip:a@b SIP/2.0", r"  From: x\x1b[31m", "  ", "  v=0"]


def test_a_sip_message_in_json_is_one_text() -> None:
    record = json.loads(written("json", lambda: log.info("-->", extra={"text": MESSAGE})))
    assert record["text"] == MESSAGE


def test_a_traceback_in_json_is_part_of_the_object() -> None:
    assert "KeyError" in json.loads(written("json", fail))["exception"]


@pytest.mark.parametrize("style", ["text", "json"])
def test_secrets_are_masked_wherever_they_turn_up(style: str) -> None:
    def act() -> None:
        log.info("logging in with %s", 's3cret"x')
        fail()

    text = written(style, act, "s3cret", 's3cret"x')
    assert "s3cret" not in text
    assert "logging in with ***" in text


def test_a_secret_of_two_letters_does_not_eat_the_log() -> None:
    assert "an answer" in written("text", lambda: log.info("an answer"), "an")


def test_what_a_peer_sent_cannot_forge_a_line() -> None:
    hostile = "x\n2026 ERROR all is lost\x1b[31m"
    [line] = written("text", lambda: log.info("From: %s", hostile)).splitlines()
    assert line.endswith(r"From: x\x0a2026 ERROR all is lost\x1b[31m")


def test_the_level_holds() -> None:
    def act() -> None:
        log.debug("no")
        log.info("yes")

    assert "no" not in written("text", act).split()
    assert "no" in written("text", act, level="debug").split()


def test_stopping_leaves_logging_as_it_was() -> None:
    root = logging.getLogger()
    before = root.level, [*root.handlers]
    written("text", lambda: log.info("x"))
    assert (root.level, [*root.handlers]) == before


async def test_a_log_nobody_reads_does_not_stall_the_loop() -> None:
    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            release.wait(10)
            return super().write(text)

    import threading

    release, stream = threading.Event(), Stuck()
    stop = logs.start("text", "info", ZONE, (), stream)
    for number in range(100):
        log.info("line %d", number)
    await asyncio.sleep(0)  # the loop goes on while not one line has been written
    assert stream.getvalue() == ""
    release.set()
    await asyncio.to_thread(stop)
    assert len(stream.getvalue().splitlines()) == 100
