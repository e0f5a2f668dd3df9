"""Call lines without a database."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from reports.calls import CallLine

SAIGON = ZoneInfo("Asia/Ho_Chi_Minh")
START = datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=SAIGON)

ANSWERED = CallLine(
    call_id=uuid.UUID("01a20045-d274-7ce7-b68d-a874a99cde81"),
    campaign="tet",
    direction="out",
    number="+84912345678",
    contact="Nguyễn Văn An",
    caller_id="+842873000000",
    trunk="carrier",
    attempt=1,
    started_at=START,
    invited_at=START + timedelta(milliseconds=20),
    ringing_at=START + timedelta(seconds=1),
    answered_at=START + timedelta(seconds=4),
    ended_at=START + timedelta(seconds=16.5),
    pdd_seconds=0.98,
    ring_seconds=3.0,
    talk_seconds=12.5,
    result="answered",
    sip_code=200,
    sip_reason="OK",
    hangup_by="us",
    amd=None,
    keys="1",
    outcome="interested",
    codec="PCMA",
    packets_sent=825,
    packets_received=820,
    loss_percent=0.25,
    jitter_ms=1.234567,
    mos=4.1,
    recording="2026/11/20/a.wav",
    note=None,
)
BUSY = replace(
    ANSWERED,
    call_id=uuid.UUID(int=2),
    number="+84987654321",
    contact=None,
    started_at=START + timedelta(seconds=30),
    ended_at=START + timedelta(seconds=31),
    packets_sent=None,
    packets_received=None,
    ringing_at=None,
    answered_at=None,
    pdd_seconds=None,
    ring_seconds=None,
    talk_seconds=None,
    result="busy",
    sip_code=486,
    sip_reason="Busy Here",
    hangup_by="them",
    keys="",
    outcome=None,
    codec=None,
    loss_percent=None,
    jitter_ms=None,
    mos=None,
    recording=None,
)


def line(**changes: Any) -> CallLine:
    """The answered call, with changes."""
    return replace(ANSWERED, **changes)
