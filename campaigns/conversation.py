"""One claimed call from the INVITE to its settled result.

Whatever happens to it (refusal, hang-up, a fault in the script, the server stopping), its story
goes to the outbox, exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from campaigns import broadcast
from campaigns.claim import Claim
from campaigns.figures import Figures
from campaigns.office import Office
from campaigns.outbox import Job
from campaigns.ports import Call, RunningCall
from campaigns.settings import DO_NOT_CALL, Settings
from campaigns.settle import Settled, never_again, settle
from ivr.result import Result
from ivr.slots import Slot
from ivr.story import CallFailed, CallStory, StoryEvent
from store.errors import StoreError

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Conversation:
    """A claimed call. `settled` is told once its result is on record."""

    office: Office
    claim: Claim
    settings: Settings
    sounds: broadcast.Broadcast
    figures: Figures
    settled: Callable[[Claim, Settled | None], None]
    events: list[StoryEvent] = field(default_factory=list)
    call: RunningCall | None = None

    async def hold(self, slot: Slot) -> None:
        """Dial, run the script, and see to it that the result is stored."""
        claim, story = self.claim, None
        self.figures.dialled(claim.call_id, asyncio.get_running_loop().time())
        try:
            story = await self._talk(slot)
        except CallFailed as failed:
            story = failed.story
        except asyncio.CancelledError:
            story = self._cut_short("The server was stopped while this call was up.")
            raise
        except Exception as error:
            log.exception("call %s to %s failed", claim.call_id, claim.number)
            story = self._cut_short(f"Our own fault: {type(error).__name__}: {error}")
        finally:
            self.figures.ended(claim.call_id)
            self._file(story or self._cut_short("The call ended unseen."))

    def give_back(self) -> None:
        """Settle a claim that is not going to be dialled: its lead waits again."""
        self._file(self._cut_short("The server was stopped before this call was dialled."))

    async def _talk(self, slot: Slot) -> CallStory:
        self.call = await self.office.phone.dial(
            self.claim.number,
            slot=slot,
            caller_id=self.claim.caller_id,
            ring_timeout=self.settings.ring_timeout,
            call_id=self.claim.call_id,
            on_event=self.events.append,
        )
        self.figures.answered(self.claim.call_id)
        return await self.call.run(self._script)

    async def _script(self, call: Call) -> None:
        if self.settings.record:
            try:
                await self.office.record(call)
            except (OSError, StoreError) as error:
                # A call without its recording is better than no call.
                log.error("call %s is not recorded: %s", self.claim.call_id, error)
                call.story.note = f"Not recorded: {error}"
        await broadcast.script(self.settings, self.sounds, self._pressed)(call)

    def _pressed(self, key: str) -> None:
        """Act on a key at once: who asked not to be called is listed before the next dial."""
        if self.settings.keys[key] != DO_NOT_CALL:
            return
        office, claim = self.office, self.claim
        office.outbox.put(
            Job(
                f"do not call {claim.number} (call {claim.call_id})",
                lambda session: never_again(session, claim, key, office.now()),
            )
        )

    def _cut_short(self, note: str) -> CallStory:
        """The story of a call that did not come to its own end."""
        if self.call is not None and self.call.story.result is not None:
            return self.call.story
        claim = self.claim
        invited = self.call is not None or any(event.kind == "invite" for event in self.events)
        story = self.call.story if self.call else CallStory(claim.call_id, "out", claim.number)
        story.invited_at = story.invited_at or (claim.claimed_at if invited else None)
        story.result, story.note = Result.FAILED, story.note or note
        story.hangup_by = story.hangup_by or "us"
        return story

    def _file(self, story: CallStory) -> None:
        """Send the story to the outbox."""
        office, claim, events = self.office, self.claim, tuple(self.events)

        def store(session: Session) -> Settled | None:
            office.settle_recordings(session, self.call)
            return settle(
                session,
                claim,
                story,
                events,
                settings=self.settings,
                owner=office.owner,
                now=office.now(),
            )

        def then(moved: Settled | None) -> None:
            self.figures.settled(
                story.result or Result.FAILED, story.keys, self.settings.outcome(story.keys)
            )
            self.settled(claim, moved)

        what = f"call {claim.call_id} to {claim.number}: {story.result}, keys {story.keys!r}"
        office.outbox.put(Job(what, store, then))
