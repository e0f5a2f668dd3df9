"""What the media plane tells about a call, and the figures it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

# "failed": its file could not be read
PlayReason: TypeAlias = Literal["completed", "stopped", "barged", "failed"]


@dataclass(frozen=True, slots=True)
class Digit:
    """The other party pressed a key. In-band keys are reported when they begin: 0 ms or more."""

    digit: str
    duration_ms: int
    source: Literal["rfc4733", "inband"]


@dataclass(frozen=True, slots=True)
class PlayEnded:
    """The prompt that `MediaSession.play` numbered `id` is over."""

    id: int
    reason: PlayReason


@dataclass(frozen=True, slots=True)
class RtpStopped:
    """Nothing has been received for the configured time although it should have been."""

    silent_for: float  # seconds


@dataclass(frozen=True, slots=True)
class Amd:
    """Who answered, as `ivr.media.amd` hears it."""

    verdict: str
    detail: str


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """The recording has ended early; the call goes on and the file is valid up to here."""

    reason: str


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """The session has no media any more; all that is left to do is to close it."""

    reason: str


MediaEvent: TypeAlias = Digit | PlayEnded | RtpStopped | Amd | RecordingFailed | WorkerDied


@dataclass(frozen=True, slots=True)
class MediaReport:
    """The figures of one session so far: what `call` rows and the RFC 3550 counters hold."""

    codec: str = ""
    remote: str = ""  # host:port that our packets go to
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    duplicates: int = 0
    reordered: int = 0
    jitter_ms: float = 0.0
    max_jitter_ms: float = 0.0
    mos: float | None = None  # None: nothing was received
    dropped: int = 0  # datagrams of no use: garbage, other payload types, strangers
    unsent: int = 0  # packets that the system refused to send
    skipped: int = 0  # packets never made, because the pump woke a whole period late
