"""The call report: one row a call, streamed from the database."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from ivr.result import Result
from reports import metrics
from reports.errors import BadFilter
from reports.period import ALWAYS, Period
from store.models import CallRow, Campaign, Contact, Recording

CHUNK = 1000  # rows fetched at a time: memory stays flat whatever the size of the report


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls a report is about; what is None does not filter."""

    campaign: str | None = None
    period: Period = ALWAYS
    result: Result | None = None
    number: str | None = None  # E.164
    direction: str | None = None  # in | out
    contact: uuid.UUID | None = None

    def describe(self) -> dict[str, str]:
        """The filters in use, for the head of a report."""
        named = {
            "campaign": self.campaign,
            "period": str(self.period),
            "result": self.result,
            "number": self.number,
            "direction": self.direction,
            "contact": self.contact,
        }
        return {name: str(value) for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class CallLine:
    """One call of the report; times are in the operator's zone, durations in seconds."""

    call_id: uuid.UUID
    campaign: str | None
    direction: str
    number: str
    contact: str | None
    caller_id: str
    trunk: str
    attempt: int
    started_at: datetime
    invited_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    pdd_seconds: float | None
    ring_seconds: float | None
    talk_seconds: float | None
    result: str | None
    sip_code: int | None
    sip_reason: str | None
    hangup_by: str | None
    amd: str | None
    keys: str
    outcome: str | None
    codec: str | None
    packets_sent: int | None
    packets_received: int | None
    loss_percent: float | None
    jitter_ms: float | None
    mos: float | None
    recording: str | None
    note: str | None


def parse_result(text: str) -> Result:
    """A result by its name. Raises BadFilter, naming every result there is."""
    try:
        return Result(text)
    except ValueError:
        known = ", ".join(Result)
        raise BadFilter(f'"{text}" is not a result of a call: expected one of {known}.') from None


def lines(session: Session, which: CallFilter, zone: ZoneInfo) -> Iterator[CallLine]:
    """The calls that pass the filter, oldest first, a chunk at a time."""
    query = _query(_conditions(which)).order_by(CallRow.started_at, CallRow.id)
    for row in session.execute(query.execution_options(yield_per=CHUNK)):
        yield _line(zone, *row)


def latest(session: Session, which: CallFilter, zone: ZoneInfo, limit: int) -> list[CallLine]:
    """The last calls that pass the filter, the newest first."""
    query = _query(_conditions(which)).order_by(CallRow.started_at.desc(), CallRow.id.desc())
    return [_line(zone, *row) for row in session.execute(query.limit(limit))]


def line_of(session: Session, call_id: uuid.UUID, zone: ZoneInfo) -> CallLine:
    """One call, which must exist."""
    return _line(zone, *session.execute(_query([CallRow.id == call_id])).one())


def contacts_of(session: Session, call_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The names of the customers of some calls; who has none is left out."""
    query = select(CallRow.id, Contact.name).join(Contact, Contact.id == CallRow.contact_id)
    found = session.execute(query.where(CallRow.id.in_([*call_ids]), Contact.name != ""))
    return {row.id: row.name for row in found}


def count(session: Session, which: CallFilter) -> int:
    """How many calls pass the filter."""
    return session.execute(
        select(func.count())
        .select_from(CallRow)
        .outerjoin(Campaign, Campaign.id == CallRow.campaign_id)
        .where(*_conditions(which))
    ).scalar_one()


def _query(conditions: Iterable[ColumnElement[bool]]) -> Select[Any]:
    # A call that was recorded twice is still one row: the first recording stands for it.
    recording = (
        select(func.min(Recording.path))
        .where(Recording.call_id == CallRow.id)
        .correlate(CallRow)
        .scalar_subquery()
    )
    return (
        select(CallRow, Campaign.name, Contact.name, recording)
        .outerjoin(Campaign, Campaign.id == CallRow.campaign_id)
        .outerjoin(Contact, Contact.id == CallRow.contact_id)
        .where(*conditions)
    )


def _conditions(which: CallFilter) -> Iterator[ColumnElement[bool]]:
    if which.campaign is not None:
        yield Campaign.name == which.campaign
    if which.period.start is not None:
        yield CallRow.started_at >= which.period.start
    if which.period.end is not None:
        yield CallRow.started_at < which.period.end
    if which.result is not None:
        yield CallRow.result == which.result
    if which.number is not None:
        yield CallRow.number == which.number
    if which.direction is not None:
        yield CallRow.direction == which.direction
    if which.contact is not None:
        yield CallRow.contact_id == which.contact


def _line(
    zone: ZoneInfo, call: CallRow, campaign: str | None, contact: str | None, recording: str | None
) -> CallLine:
    def local(at: datetime | None) -> datetime | None:
        return at.astimezone(zone) if at else None

    return CallLine(
        call_id=call.id,
        campaign=campaign,
        direction=call.direction,
        number=call.number,
        contact=contact or None,
        caller_id=call.caller_id,
        trunk=call.trunk,
        attempt=call.attempt,
        started_at=call.started_at.astimezone(zone),
        invited_at=local(call.invited_at),
        ringing_at=local(call.ringing_at),
        answered_at=local(call.answered_at),
        ended_at=local(call.ended_at),
        pdd_seconds=metrics.post_dial_delay(call.invited_at, call.ringing_at),
        ring_seconds=metrics.ring_time(call.ringing_at, call.answered_at, call.ended_at),
        talk_seconds=metrics.talk_time(call.answered_at, call.ended_at),
        result=call.result,
        sip_code=call.sip_code,
        sip_reason=call.sip_reason,
        hangup_by=call.hangup_by,
        amd=call.amd,
        keys=call.keys,
        outcome=call.outcome,
        codec=call.codec,
        packets_sent=call.packets_sent,
        packets_received=call.packets_received,
        loss_percent=metrics.loss_percent(call.packets_received, call.packets_lost),
        jitter_ms=call.jitter_ms,
        mos=call.mos,
        recording=recording,
        note=call.note,
    )
