"""The media of one call, as the rest of the server handles it."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ivr.media import protocol
from ivr.media.crew import MediaWorker
from ivr.media.dtmf import digit_packets
from ivr.media.errors import MediaError, PlaneDown
from ivr.media.events import MediaEvent, MediaReport, WorkerDied
from ivr.media.g711 import LAWS, Law
from ivr.media.prompts import Prompt

log = logging.getLogger(__name__)

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_SENDING: Final = ("sendrecv", "sendonly")
_RECEIVING: Final = ("sendrecv", "recvonly")


class PortTaken(MediaError):
    """Another program holds the port."""


class MediaSession:
    """One call's media in a worker. `MediaPlane.open` makes it; `close` must end it.

    No method blocks or waits but those marked async. When the worker dies, `on_event` is told
    `WorkerDied`; from then on methods do nothing and `close` returns what is known.
    """

    def __init__(
        self,
        number: int,
        worker: MediaWorker,
        *,
        call_id: str,
        host: str,
        port: int,
        recordings: Path,
    ) -> None:
        self.number = number
        self.call_id = call_id
        self.host = host  # what the SDP says
        self.port = port
        self.worker = worker
        self.on_event: Callable[[MediaEvent], None] = _ignore
        self._recordings = recordings
        self._partner: MediaSession | None = None
        self._plays = itertools.count(1)
        self._closing = False
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[int] = loop.create_future()
        self._final: asyncio.Future[MediaReport] = loop.create_future()
        self._reports: list[asyncio.Future[MediaReport]] = []
        self._last = MediaReport()
        worker.sessions[number] = self

    def __repr__(self) -> str:
        return f"<MediaSession {self.number} of call {self.call_id} at {self.host}:{self.port}>"

    def connect(
        self,
        *,
        host: str,
        port: int,
        codec: str,
        payload_type: int,
        dtmf_payload_type: int | None = None,
        direction: Direction = "sendrecv",
        ptime: int = 20,
    ) -> None:
        """Talk as the SDP negotiation has decided; again after every re-INVITE.

        `host` and `port` are the peer's, `direction` is ours: on hold by the peer it is
        `recvonly` or `inactive`. The host 0.0.0.0 or port 0 is hold too (RFC 3264 §8.4). `ptime`
        is the peer's wish (RFC 8866 §6.4); packets are of 20 ms all the same, which every peer
        takes. Raises MediaError for a codec that is not G.711 and a host that is no IPv4 address.
        """
        del ptime
        hold = port == 0 or _ipv4(host) == IPv4Address(0)
        self._send(
            protocol.Connect(
                self.number,
                host,
                port,
                _law(codec),
                payload_type,
                dtmf_payload_type,
                sends=direction in _SENDING and not hold,
                receives=direction in _RECEIVING and not hold,
            )
        )

    def play(self, prompt: Prompt, *, loop: bool = False, barge_in: bool = True) -> int:
        """Play a prompt after those that play already; return the number `PlayEnded` will name.

        With `barge_in` a key ends it the moment it goes down: the `Digit` comes when the key is
        let go, after `PlayEnded`. A looping prompt plays until `stop`, a key, or the next prompt.
        """
        number = next(self._plays)
        files = {law: str(path) for law, path in prompt.files.items()}
        self._send(protocol.Play(self.number, number, files, loop, barge_in))
        return number

    def stop(self) -> None:
        """End all prompts."""
        self._send(protocol.StopPlaying(self.number))

    def send_digits(self, digits: str, duration_ms: int = 100) -> None:
        """Press keys; in the audio when the peer does not take telephone-events.

        Raises ValueError for what is not a key, or for a duration outside 40-8000 ms.
        """
        digit_packets(digits, duration_ms)
        self._send(protocol.SendDigits(self.number, digits, duration_ms))

    def detect_inband(self, on: bool) -> None:
        """Listen for keys in the audio too: for peers that send no telephone-events."""
        self._send(protocol.DetectInband(self.number, on))

    def detect_machine(self) -> None:
        """Find out who has answered, from this moment on; the verdict comes as `Amd`."""
        self._send(protocol.DetectMachine(self.number))

    def bridge(self, other: MediaSession) -> None:
        """Let the two calls hear each other until one of them unbridges or closes."""
        for session in (self, other):
            session.unbridge()
        for session, far in ((self, other), (other, self)):
            session._partner = far
            session._send(protocol.Bridge(session.number, far.number, far.worker.rim))

    def unbridge(self) -> None:
        """Part the two calls: each hears silence, or the prompt that plays."""
        partner, self._partner = self._partner, None
        if partner:
            partner._partner = None
            for session in (self, partner):
                session._send(protocol.Unbridge(session.number))

    def record(self, path: Path) -> None:
        """Record into a new WAV file: left what the caller hears, right what he says."""
        self._send(protocol.Record(self.number, str(self._recordings / path)))

    def stop_recording(self) -> None:
        """Finish the recording; `close` does so too, and returns when it is on disk."""
        self._send(protocol.StopRecording(self.number))

    async def report(self) -> MediaReport:
        """Return the figures so far; the last known ones when the worker is gone."""
        if self._final.done() or self._closing:
            return await asyncio.shield(self._final)
        answer: asyncio.Future[MediaReport] = asyncio.get_running_loop().create_future()
        self._reports.append(answer)
        self._send(protocol.Report(self.number))
        return await answer

    async def close(self) -> MediaReport:
        """End the media; return the final figures when port and recording are free. Idempotent."""
        if not self._closing:
            self.unbridge()
            self._send(protocol.Close(self.number))
            self._closing = True
        return await asyncio.shield(self._final)

    async def opened(self) -> None:
        """Wait for the socket; for the plane. Raises PortTaken, MediaError, PlaneDown."""
        try:
            self.port = await self._opened
        except asyncio.CancelledError:
            self._opened.cancel()
            self._send(protocol.Close(self.number))
            self._closing = True
            raise

    def take(self, notice: protocol.SessionNotice) -> None:
        """Take in what the worker says about this session; for the plane."""
        match notice:
            case protocol.Opened(_, port) if not self._opened.done():
                self._opened.set_result(port)
            case protocol.Refused(_, reason, port_taken):
                self._refuse(reason, port_taken)
            case protocol.Happened(_, event) if not self._closing:
                self._tell(event)
            case protocol.Reported(_, report):
                self._last = report
                _resolve(self._reports.pop(0), report)
            case protocol.Closed(_, report):
                self._end(report)

    def lose(self, reason: str) -> None:
        """Take in that the worker is gone; for the plane."""
        if not self._opened.done():
            self._opened.set_exception(PlaneDown(reason))
            self._closing = True
        silent = self._closing
        self._end(self._last)
        if not silent:
            self._tell(WorkerDied(reason))

    def _send(self, command: protocol.Command) -> None:
        if not self._closing:
            self.worker.send(command)

    def _refuse(self, reason: str, port_taken: bool) -> None:
        kind = PortTaken if port_taken else MediaError
        if not self._opened.done():
            self._opened.set_exception(
                kind(
                    f"No RTP socket for call {self.call_id} at port {self.port}: {reason}; "
                    "check the address and the ports of [rtp]."
                )
            )
        self._end(self._last)

    def _end(self, report: MediaReport) -> None:
        self.unbridge()
        self._closing = True
        for answer in (self._final, *self._reports):
            _resolve(answer, report)
        self._reports.clear()

    def _tell(self, event: MediaEvent) -> None:
        try:
            self.on_event(event)
        except Exception:
            log.exception("The handler of %s of call %s failed", event, self.call_id)


def _resolve(answer: asyncio.Future[MediaReport], report: MediaReport) -> None:
    if not answer.done():  # whoever asked may have been cancelled
        answer.set_result(report)


def _ignore(event: MediaEvent) -> None:
    """Nobody listens yet."""


def _ipv4(host: str) -> IPv4Address:
    try:
        return IPv4Address(host)
    except ValueError as error:
        raise MediaError(
            f"RTP cannot be sent to {host!r}: it is no IPv4 address; resolve names before."
        ) from error


def _law(codec: str) -> Law:
    for law in LAWS:
        if law == codec:
            return law
    raise MediaError(f"The codec {codec!r} is not spoken here; negotiate one of {', '.join(LAWS)}.")
