"""The server's log: lines for people or JSON, on stderr, each with what it is about.

Records are handed to a thread that writes, so that a slow terminal or a full pipe never stalls a
call. Every secret the configuration holds is masked, wherever it turns up in a line.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from typing import IO
from zoneinfo import ZoneInfo

from ivr.about import CALL, CAMPAIGN

MASK = "***"
SHORTEST_SECRET = 3  # characters: masking a shorter one would make the log unreadable
# What a peer sent must not forge a line or drive the terminal: controls are shown escaped.
_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


class Marking(QueueHandler):
    """Notes what a record is about in the task that logs it, before another thread writes it."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy that no longer depends on anything the caller may change."""
        record = copy.copy(record)
        record.msg, record.args = record.getMessage(), None
        record.call = getattr(record, "call", None) or CALL.get()
        record.campaign = getattr(record, "campaign", None) or CAMPAIGN.get()
        return record


class _Masked(logging.Formatter):
    """What both formats share: local time with offset, and secrets masked."""

    def __init__(self, zone: ZoneInfo, secrets: Iterable[str]) -> None:
        super().__init__()
        self._zone = zone
        usable = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._secrets = sorted(usable, key=len, reverse=True)

    def time(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, self._zone)
        return moment.isoformat(timespec="milliseconds")

    def mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def trouble(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""

    def attached(self, record: logging.LogRecord) -> str:
        """A text of several lines that came along (`extra={"text": …}`), such as a message."""
        return str(record.__dict__.get("text", ""))


class Lines(_Masked):
    """One line a record, for people; a message or a traceback that belongs to it is indented."""

    def format(self, record: logging.LogRecord) -> str:
        """2026-11-21T15:04:05.123+07:00 WARNING trunk carrier is down [campaign=tet call=…]"""
        named = {"campaign": record.__dict__["campaign"], "call": record.__dict__["call"]}
        marks = " ".join(f"{name}={value}" for name, value in named.items() if value)
        message = record.getMessage().translate(_VISIBLE)
        line = f"{self.time(record)} {record.levelname:<7} {message}"
        if marks:
            line += f" [{marks}]"
        attached = [text.translate(_VISIBLE) for text in self.attached(record).splitlines()]
        below = [*attached, *self.trouble(record).splitlines()]
        return self.mask("\n  ".join([line, *below]))


class Json(_Masked):
    """One JSON object a line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """The same facts as `Lines`, by name."""
        facts = {
            "time": self.time(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            "campaign": record.__dict__["campaign"],
            "call": record.__dict__["call"],
            "text": self.attached(record),
            "exception": self.trouble(record),
        }
        known = {name: self.mask(value) for name, value in facts.items() if value}
        return json.dumps(known, ensure_ascii=False)


FORMATS: dict[str, type[_Masked]] = {"text": Lines, "json": Json}


def start(
    style: str,
    level: str,
    zone: ZoneInfo,
    secrets: Iterable[str] = (),
    stream: IO[str] | None = None,
) -> Callable[[], None]:
    """Send the whole program's log to `stream` (stderr); return what stops it.

    Stopping writes out everything logged before, and leaves logging as it was found.
    """
    writer = logging.StreamHandler(stream or sys.stderr)
    writer.setFormatter(FORMATS[style](zone, secrets))
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    listener = QueueListener(queue, writer)
    handler = Marking(queue)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    listener.start()

    def stop() -> None:
        root.removeHandler(handler)
        root.setLevel(before)
        logging.captureWarnings(False)
        listener.stop()

    return stop
