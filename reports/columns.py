"""The columns of the call report: order, title, type, width. Every format reads this table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from reports.calls import CallLine


class Kind(Enum):
    """What a column holds, which decides how each format writes it."""

    TEXT = auto()
    TIME = auto()
    WHOLE = auto()
    DECIMAL = auto()  # one place
    FINE = auto()  # two places

    @property
    def is_number(self) -> bool:
        """Whether it stands at the right of its column."""
        return self not in (Kind.TEXT, Kind.TIME)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `key` is the attribute of CallLine and the name in CSV and JSON."""

    key: str
    title: str
    kind: Kind = Kind.TEXT
    width: int = 12  # of a spreadsheet's column, in characters
    brief: str = ""  # its title in the table for a terminal; empty: it is not shown there


CALL_COLUMNS = (
    Column("started_at", "Started", Kind.TIME, 20, brief="Started"),
    Column("campaign", "Campaign", width=18),
    Column("direction", "Direction", width=9, brief="Way"),
    Column("number", "Number", width=16, brief="Number"),
    Column("contact", "Contact", width=24, brief="Contact"),
    Column("caller_id", "Caller ID", width=16),
    Column("trunk", "Trunk"),
    Column("attempt", "Attempt", Kind.WHOLE, 8),
    Column("result", "Result", width=15, brief="Result"),
    Column("sip_code", "SIP", Kind.WHOLE, 6, brief="SIP"),
    Column("sip_reason", "SIP reason", width=20),
    Column("invited_at", "Invited", Kind.TIME, 20),
    Column("ringing_at", "Ringing", Kind.TIME, 20),
    Column("answered_at", "Answered", Kind.TIME, 20),
    Column("ended_at", "Ended", Kind.TIME, 20),
    Column("pdd_seconds", "PDD", Kind.FINE, 8),
    Column("ring_seconds", "Ring", Kind.DECIMAL, 8, brief="Ring"),
    Column("talk_seconds", "Talk", Kind.DECIMAL, 8, brief="Talk"),
    Column("hangup_by", "Hung up by", width=10),
    Column("amd", "AMD", width=10),
    Column("keys", "Keys", width=8, brief="Keys"),
    Column("outcome", "Outcome", width=16, brief="Outcome"),
    Column("codec", "Codec", width=8),
    Column("packets_sent", "Sent", Kind.WHOLE, 8),
    Column("packets_received", "Received", Kind.WHOLE, 8),
    Column("loss_percent", "Loss %", Kind.FINE, 8),
    Column("jitter_ms", "Jitter ms", Kind.FINE, 9),
    Column("mos", "MOS", Kind.FINE, 6),
    Column("recording", "Recording", width=56),
    Column("note", "Note", width=40),
    Column("call_id", "Call", width=38),
)

Cell = str | int | float | object | None


def cells(line: CallLine) -> list[Cell]:
    """The values of one call, in the order of the columns."""
    return [getattr(line, column.key) for column in CALL_COLUMNS]
