"""Incoming calls on record: one row a call, whoever takes it and however it ends.

The record only listens to what the phone tells of its calls. It neither delays a call nor fails
one: what it hears goes through an outbox, so a database that is busy or gone for a while costs
nothing but the wait. What becomes of a call is for the phone's `on_call` to decide.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import insert, or_, update
from sqlalchemy.orm import Session

from campaigns.outbox import Job, Outbox
from campaigns.settle import LOST
from crm import contacts
from ivr.story import CallStory, StoryEvent
from store.database import Database
from store.models import CallEvent, CallRow

STORE_LIMIT = 30.0  # seconds for what was heard to be stored when the server stops
# What a story and a call's row have in common.
FACTS = tuple(one.name for one in fields(CallStory) if one.name in CallRow.__table__.columns)


@dataclass(frozen=True, slots=True)
class Heard:
    """A call as it was when it came, or when it had ended: its facts, and its story so far."""

    call_id: uuid.UUID
    facts: Mapping[str, Any]
    events: Sequence[StoryEvent] = ()

    @classmethod
    def of(cls, story: CallStory, events: Sequence[StoryEvent] = ()) -> Heard:
        """Copy what a story says now: the call goes on, and another thread stores this."""
        facts = {name: getattr(story, name) for name in FACTS}
        return cls(story.call_id, facts, tuple(events))


class InboundRecord:
    """Puts every incoming call into the database. `owner` names this process, as in leases."""

    def __init__(self, db: Database, owner: str) -> None:
        self._outbox = Outbox(db)
        self._owner = owner
        self._events: dict[uuid.UUID, list[StoryEvent]] = {}  # of the calls that are up

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Store what is heard; at the end of the block, wait until all of it is stored."""
        self._outbox.start()
        try:
            yield
        finally:
            await self._outbox.flush(STORE_LIMIT)
            await self._outbox.close()

    def tell(self, story: CallStory, event: StoryEvent) -> None:
        """Hear an event of a call, incoming or not; fits the phone's `on_story`."""
        if story.direction != "in":
            return
        if event.kind == "incoming":
            self._events[story.call_id] = [event]
            self._put("came", Heard.of(story))
        elif (events := self._events.get(story.call_id)) is not None:
            events.append(event)
            if event.kind == "end":
                self._put("ended", Heard.of(story, self._events.pop(story.call_id)))

    def _put(self, what: str, heard: Heard) -> None:
        facts = heard.facts
        self._outbox.put(
            Job(
                f"incoming call {heard.call_id} from {facts['number']} {what}, "
                f"result {facts['result']}, keys {facts['keys']!r}",
                lambda session: store(session, heard, self._owner),
            )
        )


def store(session: Session, heard: Heard, owner: str) -> None:
    """Bring a call's row up to what was heard; it is made if it is new.

    Storing the same twice does no harm, so what was lost with a commit can be stored again. A row
    that was closed because its end was not seen takes the true end.
    """
    if session.get(CallRow, heard.call_id) is None:
        contact = contacts.by_number(session, heard.facts["number"])
        row = {"id": heard.call_id, "owner": owner, "contact_id": contact and contact.id}
        session.execute(insert(CallRow), {**row, **heard.facts, "result": None, "ended_at": None})
    if heard.facts["ended_at"] is None:
        return
    unfinished = or_(CallRow.ended_at.is_(None), CallRow.note == LOST)
    ended: Any = session.execute(
        update(CallRow).where(CallRow.id == heard.call_id, unfinished).values(**heard.facts)
    )
    if ended.rowcount:
        session.add_all(
            CallEvent(call_id=heard.call_id, at=event.at, kind=event.kind, data=event.data)
            for event in heard.events
        )
