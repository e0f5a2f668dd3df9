"""A server without a phone: what the API needs, in a few lines."""

from __future__ import annotations

from datetime import UTC, datetime

from server.live import (
    CampaignLive,
    Health,
    LiveCall,
    MediaLive,
    Snapshot,
    TrunkCheck,
    TrunkStatus,
    UnknownTrunk,
)

NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
CALL = LiveCall(
    call_id="01a20045-d274-7ce7-b68d-a874a99cde81",
    campaign="tet",
    direction="out",
    number="+84912345678",
    trunk="carrier",
    state="ringing",
    started_at=NOON,
    answered_at=None,
    keys="",
)
TRUNK = TrunkStatus(
    name="carrier",
    host="udp:192.0.2.1:5060",
    state="up",
    reason="",
    since=NOON,
    calls=1,
    max_calls=100,
    calls_per_second=10.0,
    registered=None,
)
SNAPSHOT = Snapshot(
    version="0.1.0",
    pid=4711,
    started_at=NOON,
    at=NOON,
    stopping=False,
    calls=[CALL],
    calls_per_second=0.1,
    trunks=[TRUNK],
    campaigns={"tet": CampaignLive(0.1, "")},
    media=MediaLive(workers=1, replaced=0, sessions=1, late_ms=0.5),
)


class FakeLive:
    """Implements server.live.Live."""

    def __init__(self) -> None:
        self.condition = Health("ok", "ok", {"carrier": "up"})
        self.woken = 0
        self.fault: Exception | None = None

    def snapshot(self) -> Snapshot:
        """The same picture always."""
        if self.fault:
            raise self.fault
        return SNAPSHOT

    async def health(self) -> Health:
        """What the test says."""
        return self.condition

    def wake(self) -> None:
        """Count."""
        self.woken += 1

    async def check_trunk(self, name: str) -> TrunkCheck:
        """The one trunk there is."""
        if name != "carrier":
            raise UnknownTrunk(f"The server has no trunk “{name}”; it has: carrier.")
        return TrunkCheck(name, "up", "200 OK")
