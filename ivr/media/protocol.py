"""The messages between the server and its media workers: one JSON object a line.

Nothing else crosses the border between the processes. A session is known to both sides by its
number. Commands go to the worker, everything else comes from it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_args

from ivr.media import events
from ivr.media.events import MediaEvent, MediaReport
from ivr.media.g711 import Law


@dataclass(frozen=True, slots=True)
class Open:
    """Bind a socket; answered by `Opened` or `Refused`. Port 0: any."""

    session: int
    host: str
    port: int
    rtp_timeout: float


@dataclass(frozen=True, slots=True)
class Connect:
    """Talk as the SDP says; the direction is ours."""

    session: int
    host: str
    port: int
    codec: Law
    payload_type: int
    dtmf_payload_type: int | None
    sends: bool
    receives: bool


@dataclass(frozen=True, slots=True)
class Play:
    """Play a prompt after those that wait already; `files` are by codec."""

    session: int
    id: int
    files: dict[Law, str]
    loop: bool
    barge_in: bool


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """End the prompt that plays and all that wait."""

    session: int


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Press keys."""

    session: int
    digits: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class DetectInband:
    """Listen for keys in the audio, or do so no more."""

    session: int
    on: bool


@dataclass(frozen=True, slots=True)
class DetectMachine:
    """Find out who answered."""

    session: int


@dataclass(frozen=True, slots=True)
class Bridge:
    """Pass what this session receives on to another, of the worker whose rim has this port."""

    session: int
    far_session: int
    far_rim: int


@dataclass(frozen=True, slots=True)
class Unbridge:
    """Pass nothing on any more."""

    session: int


@dataclass(frozen=True, slots=True)
class Record:
    """Record both directions into a new file."""

    session: int
    path: str


@dataclass(frozen=True, slots=True)
class StopRecording:
    """Finish the file."""

    session: int


@dataclass(frozen=True, slots=True)
class Report:
    """Answered by `Reported`."""

    session: int


@dataclass(frozen=True, slots=True)
class Close:
    """End the session; answered by `Closed` when its recording is on disk."""

    session: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker runs; other workers reach its bridges at this port of the loopback."""

    rim: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The session has a socket."""

    session: int
    port: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The session has no socket and is forgotten."""

    session: int
    reason: str
    port_taken: bool


@dataclass(frozen=True, slots=True)
class Happened:
    """Something happened in a session."""

    session: int
    event: MediaEvent


@dataclass(frozen=True, slots=True)
class Reported:
    """The figures of a session so far."""

    session: int
    report: MediaReport


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over: its port is free, its recording complete."""

    session: int
    report: MediaReport


@dataclass(frozen=True, slots=True)
class Pulse:
    """Once a second: the worker lives, and this late its pump has woken since it started."""

    late: list[int]  # wake-ups by `lateness.BOUNDS_MS`
    latest_ms: float


Command: TypeAlias = (
    Open
    | Connect
    | Play
    | StopPlaying
    | SendDigits
    | DetectInband
    | DetectMachine
    | Bridge
    | Unbridge
    | Record
    | StopRecording
    | Report
    | Close
)
SessionNotice: TypeAlias = Opened | Refused | Happened | Reported | Closed
Notice: TypeAlias = Ready | Pulse | SessionNotice

_KIND: Final = "kind"
_KINDS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind
    for union in (Command, Notice, events.MediaEvent)
    for kind in get_args(union)
} | {MediaReport.__name__: MediaReport}


def encode(message: Command | Notice) -> bytes:
    """Return the message as one line."""
    return json.dumps(message, default=_to_dict, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Any:
    """Return the message of one line; the inverse of `encode`."""
    return json.loads(line, object_hook=_from_dict)


def _to_dict(value: Any) -> dict[str, Any]:
    fields = {name: getattr(value, name) for name in value.__dataclass_fields__}
    return {_KIND: type(value).__name__, **fields}


def _from_dict(fields: dict[str, Any]) -> Any:
    kind = fields.pop(_KIND, None)
    return _KINDS[kind](**fields) if kind else fields
