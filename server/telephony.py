"""The phone and the dialler of a running server, built from the configuration."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import text

from campaigns.dialler import Dialler
from campaigns.presets import Compliance, Preset
from ivr.about import CALL
from ivr.call import Call
from ivr.media.plane import MediaConfig
from ivr.phone import Phone, PhoneConfig
from ivr.sip.authenticator import Secret
from ivr.sip.trace import TraceRecord
from ivr.slots import Slot
from ivr.story import CallStory, OnStory, StoryEvent
from ivr.trunks import Trunk
from server.config import Config
from server.inbound import InboundRecord
from server.live import (
    CampaignLive,
    Health,
    LiveCall,
    MediaLive,
    Part,
    Snapshot,
    TrunkCheck,
    TrunkStatus,
    UnknownTrunk,
)
from server.metrics import Metrics
from server.prompts import prompts_of
from store.database import Database
from store.errors import StoreError

log = logging.getLogger(__name__)
VERSION = version("tongdai")
sip_log = logging.getLogger("sip")


def make_phone(config: Config, home: Path, *, trace: bool, environment: Mapping[str, str]) -> Phone:
    """The phone as configured. Raises ConfigError where a password's variable is not set."""
    realm = PhoneConfig().realm
    users = {
        user.name: Secret.of(user.name, realm, user.secret(environment)) for user in config.users
    }
    return Phone(
        PhoneConfig(
            bind=str(config.sip.bind),
            external_address=config.sip.external_address,
            realm=realm,
            max_calls=config.sip.max_calls,
            max_seconds=config.sip.max_call_seconds,
            users=users,
        ),
        [config.trunk_config(trunk, environment) for trunk in config.trunks],
        MediaConfig(
            bind=config.rtp.bind or config.sip.bind.host,
            ports=config.rtp.ports,
            external_address=config.rtp.external_address or config.sip.external_address,
            workers=config.rtp.workers,
            recordings=home / "recordings",
            rtp_timeout=config.rtp.timeout,
        ),
        trace=_trace if trace else None,
    )


def make_dialler(config: Config, home: Path, db: Database, phone: Phone, *, node: str) -> Dialler:
    """The dialler of every running campaign; `node` as `campaigns.dialler.node_name` gives it."""
    compliance = Compliance(Preset(config.compliance.preset), home=str(config.timezone))
    return Dialler(
        db,
        MarkedPhone(phone),
        prompts_of(home),
        home=home,
        node=node,
        compliance=compliance,
        recordings=home / "recordings",
    )


class MarkedPhone:
    """The phone as the dialler has it: each call marks what its task logs."""

    def __init__(self, phone: Phone) -> None:
        self.reserve = phone.reserve
        self._phone = phone

    async def dial(
        self,
        number: str,
        *,
        slot: Slot,
        caller_id: str,
        ring_timeout: float,
        call_id: uuid.UUID,
        on_event: OnStory,
    ) -> Call:
        """Dial, in a task that is about this call from here on."""
        CALL.set(str(call_id))
        return await self._phone.dial(
            number,
            slot=slot,
            caller_id=caller_id,
            ring_timeout=ring_timeout,
            call_id=call_id,
            on_event=on_event,
        )


class Telephony:
    """The running parts as the API sees them: `server.live.Live`."""

    def __init__(
        self,
        db: Database,
        phone: Phone,
        dialler: Dialler,
        metrics: Metrics,
        inbound: InboundRecord,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db, self._phone, self._dialler, self._now = db, phone, dialler, now
        self._started_at = now()
        self.stopping = False
        phone.on_story = self._tell
        self._metrics, self._inbound = metrics, inbound
        metrics.watch(self.snapshot)

    def snapshot(self) -> Snapshot:
        """What is live now."""
        figures = self._dialler.snapshot()
        conditions = self._dialler.conditions()
        campaign_of = {str(call): one.name for one in figures for call in one.calls}
        rates = {one.name: one.calls_per_second for one in figures}
        stats = self._phone.plane.stats()
        return Snapshot(
            version=VERSION,
            pid=os.getpid(),
            started_at=self._started_at,
            at=self._now(),
            stopping=self.stopping,
            calls=[_live_call(call, campaign_of) for call in self._phone.calls.values()],
            calls_per_second=sum(rates.values()),
            trunks=[_trunk_status(trunk) for trunk in self._phone.trunks.values()],
            campaigns={
                name: CampaignLive(rates.get(name, 0.0), conditions.get(name, ""))
                for name in {**rates, **conditions}
            },
            media=MediaLive(stats.workers, stats.replaced, stats.sessions, stats.late_ms),
        )

    async def health(self) -> Health:
        """Ask the database, and look at the rest."""
        database: Part = "ok"
        try:
            await self._db.run(lambda session: session.execute(text("select 1")), write=False)
        except StoreError as error:
            log.warning("health: %s", error)
            database = "down"
        return Health(
            database=database,
            media="ok" if self._phone.plane.stats().workers else "down",
            trunks={name: str(trunk.state) for name, trunk in self._phone.trunks.items()},
        )

    def wake(self) -> None:
        """Let the dialler look at the database now."""
        self._dialler.wake()

    async def check_trunk(self, name: str) -> TrunkCheck:
        """Ask a carrier whether it is there. Raises UnknownTrunk."""
        trunk = self._phone.trunks.get(name)
        if trunk is None:
            known = ", ".join(self._phone.trunks) or "none"
            raise UnknownTrunk(f"The server has no trunk “{name}”; it has: {known}.")
        said = await trunk.check()
        return TrunkCheck(name, str(trunk.state), said)

    def _tell(self, story: CallStory, event: StoryEvent) -> None:
        self._metrics.tell(story, event)
        self._inbound.tell(story, event)
        about = {"call": str(story.call_id)}
        if event.kind == "end":
            log.info("%s", _ended(story), extra=about)
        else:
            log.debug("%s %s", event.kind, event.data, extra=about)


def _state(story: CallStory) -> str:
    if story.answered_at:
        return "answered"
    return "ringing" if story.ringing_at else "calling"


def _live_call(call: Call, campaign_of: Mapping[str, str]) -> LiveCall:
    story = call.story
    return LiveCall(
        call_id=str(story.call_id),
        campaign=campaign_of.get(str(story.call_id)),
        direction=story.direction,
        number=story.number,
        trunk=story.trunk,
        state=_state(story),
        started_at=story.started_at,
        answered_at=story.answered_at,
        keys=story.keys,
    )


def _trunk_status(trunk: Trunk) -> TrunkStatus:
    config = trunk.config
    return TrunkStatus(
        name=config.name,
        host=str(trunk.peer),
        state=str(trunk.state),
        reason=trunk.reason,
        since=trunk.since,
        calls=trunk.calls,
        max_calls=config.max_calls,
        calls_per_second=config.calls_per_second,
        registered=trunk.registered if config.register else None,
    )


def _ended(story: CallStory) -> str:
    """One line of the log; the number is left out: the record has it."""
    said = f"call over {story.trunk or 'no trunk'} ended: {story.result}"
    if story.sip_code and story.sip_code != 200:
        said += f" ({story.sip_code} {story.sip_reason})"
    if story.keys:
        said += f", keys {story.keys}"
    return f"{said}: {story.note}" if story.note else said


def _trace(record: TraceRecord) -> None:
    """Log a SIP message, which has its secrets masked already."""
    arrow = "<--" if record.direction == "in" else "-->"
    sip_log.info("%s %s", arrow, record.peer, extra={"text": record.text})
