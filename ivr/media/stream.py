"""One call in a media worker: its socket, what it hears, what it says, and its recording."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ivr.media.clips import ClipLibrary
from ivr.media.disk import Disk
from ivr.media.events import MediaEvent, MediaReport, RecordingFailed
from ivr.media.g711 import Law
from ivr.media.incoming import Far, Incoming
from ivr.media.line import Line
from ivr.media.outgoing import Outgoing
from ivr.media.player import Player
from ivr.media.protocol import Connect, Happened
from ivr.media.quality import estimate_mos
from ivr.media.recorder import Recorder


class Stream:
    """The media of one call. The pump ticks it every 20 ms once it is `connected`."""

    __slots__ = (
        "_codec",
        "_disk",
        "_recorder",
        "_tell",
        "connected",
        "id",
        "incoming",
        "line",
        "outgoing",
        "player",
    )

    def __init__(
        self,
        session: int,
        line: Line,
        *,
        rtp_timeout: float,
        prompts: ClipLibrary,
        disk: Disk,
        notify: Callable[[Happened], None],
    ) -> None:
        tell = self._tell = partial(_tell, notify, session)
        self.id = session
        self.line = line
        self.player = Player(prompts, tell)
        self.outgoing = Outgoing(line, self.player)
        self.incoming = Incoming(rtp_timeout, tell, self.player.barge)
        self.connected = False
        self._disk = disk
        self._codec: Law = "PCMA"
        self._recorder: Recorder | None = None

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self.line.fileno()

    def connect(self, order: Connect, now: float) -> None:
        """Talk as the SDP says. Raises OSError for an address that cannot be reached at all."""
        self._codec = order.codec
        if order.sends or order.receives:  # a call on hold keeps the peer it has
            self.line.aim(order.host, order.port)
        self.incoming.connect(
            order.codec,
            order.payload_type,
            order.dtmf_payload_type,
            receives=order.receives,
            now=now,
        )
        self.outgoing.connect(
            order.codec, order.payload_type, order.dtmf_payload_type, sends=order.sends
        )
        self.connected = True

    def tick(self, now: float) -> None:
        """Do what this period asks for."""
        self.outgoing.tick(now)
        incoming = self.incoming
        if incoming.pressed or incoming.machine:
            incoming.tick(now)

    def miss(self, periods: int) -> None:
        """Let periods pass without packets."""
        self.outgoing.miss(periods)

    def receive(self, now: float) -> None:
        """Take in one datagram."""
        try:
            data = self.line.read(self.incoming.encodings)
        except OSError:  # nothing there after all, or an ICMP error about a packet of ours
            return
        if data is not None:
            self.incoming.take(data, now)

    def review(self, now: float) -> None:
        """Do what once a second is enough for."""
        self.incoming.review(now)
        if self._recorder:
            self._recorder.flush(now)

    def bridge(self, far: Far | None, far_session: int | None) -> None:
        """Pass packets on to the far call and take those of its session; None: neither."""
        self.incoming.far = far
        self.outgoing.bridge(far_session)

    def record(self, path: str, now: float) -> None:
        """Record into a new file; a recording that runs already ends."""
        self.stop_recording(now)
        recorder = Recorder(Path(path), self._codec, now, self._disk, self._recording_failed)
        self._recorder = self.incoming.recorder = self.outgoing.recorder = recorder

    def stop_recording(self, now: float, done: Callable[[], None] = lambda: None) -> None:
        """Finish the recording, if any; `done` is called when it is on disk."""
        recorder, self._recorder = self._recorder, None
        self.incoming.recorder = self.outgoing.recorder = None
        if recorder:
            recorder.finish(now, done)
        else:
            done()

    def _recording_failed(self, reason: str) -> None:
        self._tell(RecordingFailed(reason))

    def close(self) -> None:
        """Free the socket. The figures stay."""
        self.bridge(None, None)
        self.line.close()

    def report(self) -> MediaReport:
        """Return the figures so far."""
        heard = self.incoming.stats.snapshot()
        return MediaReport(
            codec=self._codec if self.connected else "",
            remote="{}:{}".format(*self.line.peer) if self.line.peer else "",
            packets_sent=self.outgoing.sent,
            packets_received=heard.received,
            packets_lost=heard.lost,
            duplicates=heard.duplicates,
            reordered=heard.reordered,
            jitter_ms=round(heard.jitter_ms, 2),
            max_jitter_ms=round(heard.max_jitter_ms, 2),
            mos=round(estimate_mos(heard), 2) if heard.received else None,
            dropped=self.line.dropped + self.incoming.unused,
            unsent=self.outgoing.unsent,
            skipped=self.outgoing.skipped,
        )


def _tell(notify: Callable[[Happened], None], session: int, event: MediaEvent) -> None:
    notify(Happened(session, event))
