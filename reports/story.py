"""One call with its whole story, for `call show`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import String, cast, select
from sqlalchemy.orm import Session

from reports.calls import CallLine, line_of
from reports.errors import UnknownCall
from store.models import CallEvent, CallRow

SHORT = re.compile(r"[0-9a-f]{6,12}")  # the end of an id: random, where its beginning is the time


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call's row, and what happened in it, in order."""

    line: CallLine
    sip_call_id: str | None
    events: Sequence[CallEvent]


def find(session: Session, text: str, zone: ZoneInfo) -> StoredCall:
    """The call with this id, or the one whose id ends so. Raises UnknownCall."""
    call_id = _id(session, text.lower())
    events = session.scalars(
        select(CallEvent).where(CallEvent.call_id == call_id).order_by(CallEvent.at, CallEvent.id)
    ).all()
    sip_call_id = session.get_one(CallRow, call_id).sip_call_id
    return StoredCall(line_of(session, call_id, zone), sip_call_id, events)


def _id(session: Session, text: str) -> uuid.UUID:
    try:
        same = CallRow.id == uuid.UUID(text)
    except ValueError:
        # SQLite stores an id as 32 digits, PostgreSQL shows it with hyphens: the last 12 agree.
        same = cast(CallRow.id, String).endswith(text)
        if not SHORT.fullmatch(text):
            raise UnknownCall(f"“{text}” is not the id of a call: {_ADVICE}") from None
    found = session.scalars(select(CallRow.id).where(same).limit(2)).all()
    if len(found) != 1:
        which = "More than one call has" if found else "No call has"
        raise UnknownCall(f"{which} the id “{text}”: {_ADVICE}")
    return found[0]


_ADVICE = "`tongdai call list` shows them."
