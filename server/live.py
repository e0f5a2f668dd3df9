"""What is true only while the server runs, as plain values: calls, trunks, health.

`Live` is what the HTTP API and the metrics ask for; `server.telephony` answers it from the
running phone and dialler, tests from a few lines of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

Part = Literal["ok", "down"]


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call that is up, or being set up."""

    call_id: str
    campaign: str | None
    direction: str
    number: str
    trunk: str
    state: str  # calling, ringing, answered
    started_at: datetime
    answered_at: datetime | None
    keys: str


@dataclass(frozen=True, slots=True)
class TrunkStatus:
    """A trunk as it is now; `since` is when it came into this state."""

    name: str
    host: str
    state: str  # up, down, forbidden
    reason: str
    since: datetime
    calls: int
    max_calls: int
    calls_per_second: float
    registered: bool | None  # None: this trunk does not register


@dataclass(frozen=True, slots=True)
class CampaignLive:
    """A campaign the server dials, or would dial but for `condition`."""

    calls_per_second: float  # dialled in the last ten seconds, by ten
    condition: str  # why nothing is dialled now; "" where it dials


@dataclass(frozen=True, slots=True)
class MediaLive:
    """The media plane: processes, those that died and were replaced, and how punctual they are."""

    workers: int
    replaced: int
    sessions: int
    late_ms: float  # 99 % of all wake-ups came within this


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything live, at one instant."""

    version: str
    pid: int
    started_at: datetime
    at: datetime
    stopping: bool
    calls: Sequence[LiveCall] = ()
    calls_per_second: float = 0.0  # of all campaigns
    trunks: Sequence[TrunkStatus] = ()
    campaigns: Mapping[str, CampaignLive] = field(default_factory=dict)
    media: MediaLive = MediaLive(0, 0, 0, 0.0)

    def as_json(self) -> dict[str, Any]:
        """The snapshot with its times in ISO 8601."""
        return {name: _plain(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the parts work. Trunks that are down degrade the server; the rest stops it."""

    database: Part
    media: Part
    trunks: Mapping[str, str]

    @property
    def status(self) -> str:
        """`ok`, `degraded` (a trunk is not up) or `down`."""
        if "down" in (self.database, self.media):
            return "down"
        return "ok" if all(state == "up" for state in self.trunks.values()) else "degraded"

    def as_json(self) -> dict[str, Any]:
        """The health with its summary."""
        return {"status": self.status, **asdict(self)}


@dataclass(frozen=True, slots=True)
class TrunkCheck:
    """What a carrier said when it was asked just now."""

    name: str
    state: str
    said: str  # `200 OK`, or why there was no answer

    @property
    def well(self) -> bool:
        """Whether it answered just now, and takes calls."""
        return self.state == "up" and self.said[:3].isdigit()

    def as_json(self) -> dict[str, Any]:
        """The answer with the verdict."""
        return {"name": self.name, "well": self.well, "state": self.state, "said": self.said}


class UnknownTrunk(Exception):
    """A trunk the server does not have; the message names those it has."""


class Live(Protocol):
    """The running server, as the API sees it."""

    def snapshot(self) -> Snapshot:
        """What is live now."""

    async def health(self) -> Health:
        """Ask every part whether it works."""

    def wake(self) -> None:
        """Look at the database now: a campaign was started, paused, stopped…"""

    async def check_trunk(self, name: str) -> TrunkCheck:
        """Ask a carrier whether it is there. Raises UnknownTrunk."""


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
