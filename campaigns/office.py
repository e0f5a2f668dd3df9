"""What every running campaign of one server process shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.outbox import Outbox
from campaigns.ports import Call, Phone, Prompts
from campaigns.presets import Compliance
from recordings import catalogue
from store.database import Database
from store.models import Recording


def utc_now() -> datetime:
    """The wall clock: what due times, hours and the caps are measured by."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Office:
    """The phone, the database and the house rules. Times in seconds.

    `owner` names this process in leases and calls; `now` is the wall clock (delays and time-outs
    use the event loop's); `poll`: how often the database is looked at without being woken.
    """

    db: Database
    phone: Phone
    prompts: Prompts
    outbox: Outbox
    owner: str
    home: Path
    compliance: Compliance
    recordings: Path | None = None  # the folder of recordings; None: none are made
    now: Callable[[], datetime] = utc_now
    lease: timedelta = timedelta(seconds=60)
    poll: float = 2.0

    async def record(self, call: Call) -> None:
        """Enter a call in the catalogue of recordings and begin to record it."""
        if self.recordings is None:
            return
        story, root = call.story, self.recordings
        # In a folder by the day on the operator's own calendar.
        day = story.started_at.astimezone(ZoneInfo(self.compliance.home))
        path = catalogue.relative_path(story.call_id, day)

        def enter(session: Session) -> None:
            (root / path.parent).mkdir(parents=True, exist_ok=True)
            catalogue.start(session, story.call_id, path, self.now())

        await self.db.run(enter)
        await call.record(root / path)

    def settle_recordings(self, session: Session, call: Call | None) -> None:
        """Finish what was recorded of a call, by the files on disk."""
        if self.recordings is None or call is None:
            return
        open_ones = select(Recording.id).where(
            Recording.call_id == call.story.call_id, Recording.state == "recording"
        )
        for recording_id in session.scalars(open_ones).all():
            catalogue.settle(session, recording_id, self.recordings)
