"""A media worker: the process that pumps the audio of many calls.

    python -m ivr.media.worker FD

It takes commands on the stream socket FD, answers there, and exits when the other end closes,
so it cannot outlive the server. Started by `ivr.media.crew`; of no use by hand.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
from functools import partial
from typing import Final

from ivr.media import protocol
from ivr.media.bridge import NearEnd, Rim
from ivr.media.clips import ClipLibrary
from ivr.media.control import Control
from ivr.media.disk import Disk
from ivr.media.events import MediaReport, WorkerDied
from ivr.media.line import Line
from ivr.media.outgoing import Encoding
from ivr.media.protocol import Closed, Happened, Opened, Pulse, Ready, Refused, Reported
from ivr.media.pump import Pump, Source
from ivr.media.rtp import RtpPacket
from ivr.media.stream import Stream

log = logging.getLogger(__name__)

PULSE_INTERVAL: Final = 1.0  # seconds
_COMMANDS_AT_ONCE: Final = 16  # in one phase, if they are as quick as they should be
_PRIORITY: Final = os.sched_param(1)  # of SCHED_RR: above everything that is not real-time
_SWITCH_INTERVAL: Final = 0.0005  # seconds for which the disk threads may hold up the pump


class Worker:
    """The calls of one worker process and what the server may ask of them."""

    def __init__(self, connection: socket.socket) -> None:
        self._control = Control(connection)
        self._prompt_disk = Disk()
        self._recording_disk = Disk()  # its own: a slow one must not keep prompts waiting
        self._prompts = ClipLibrary(self._prompt_disk)
        self._rim = Rim(self._deliver)
        self._pump = Pump(self._between, self._broken)
        self._streams: dict[int, Stream] = {}
        self._now = 0.0
        self._next_pulse = 0.0

    def run(self) -> None:
        """Work until the server is gone; then finish the recordings."""
        self._pump.watch(self._control)
        self._pump.watch(self._rim)
        self._control.notify(Ready(self._rim.port))
        self._pump.run()
        for stream in list(self._streams.values()):
            self._close(stream)
        self._recording_disk.close()
        self._prompt_disk.close()
        self._rim.close()
        self._pump.close()

    def _between(self, now: float, until: float) -> bool:
        """Carry out commands while there is time; answer whether work is left."""
        self._now = now
        self._prompt_disk.settle()
        self._recording_disk.settle()
        for _ in range(_COMMANDS_AT_ONCE):
            command = self._control.next_command()
            if command is None:
                break
            self._carry_out(command)
            if self._pump.time() >= until:
                break
        if now >= self._next_pulse:
            self._pulse(now)
        self._control.flush()
        if self._control.gone:
            self._pump.stop()
        return self._control.waiting or self._prompt_disk.busy or self._recording_disk.busy

    def _pulse(self, now: float) -> None:
        self._next_pulse = now + PULSE_INTERVAL
        lateness = self._pump.lateness
        self._control.notify(Pulse(list(lateness.counts), lateness.latest * 1000))
        if not self._streams:
            gc.collect()  # never while somebody listens: see main()

    def _carry_out(self, command: protocol.Command) -> None:
        stream = self._streams.get(command.session)
        if stream is None:
            self._answer_unknown(command)
            return
        try:
            self._order(stream, command)
        except Exception as error:
            self._broken(stream, error)

    def _answer_unknown(self, command: protocol.Command) -> None:
        """Open a session; let others go by, for a broken session is closed already."""
        if isinstance(command, protocol.Open):
            self._open(command)
        elif isinstance(command, protocol.Close):
            self._control.notify(Closed(command.session, MediaReport()))

    def _order(self, stream: Stream, command: protocol.Command) -> None:
        match command:
            case protocol.Connect():
                self._connect(stream, command)
            case protocol.Play(_, number, files, loop, barge_in):
                stream.player.play(number, files, loop=loop, barge_in=barge_in)
            case protocol.StopPlaying():
                stream.player.stop()
            case protocol.SendDigits(_, digits, duration_ms):
                stream.outgoing.press(digits, duration_ms)
            case protocol.DetectInband(_, on):
                stream.incoming.detect_inband(on)
            case protocol.DetectMachine():
                stream.incoming.detect_machine()
            case protocol.Bridge():
                self._bridge(stream, command)
            case protocol.Unbridge():
                stream.bridge(None, None)
            case protocol.Record(_, path):
                stream.record(path, self._now)
            case protocol.StopRecording():
                stream.stop_recording(self._now)
            case protocol.Report():
                self._control.notify(Reported(stream.id, stream.report()))
            case protocol.Close():
                self._close(stream)

    def _open(self, order: protocol.Open) -> None:
        try:
            line = Line(order.host, order.port)
        except OSError as error:
            taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
            self._control.notify(Refused(order.session, error.strerror or str(error), taken))
            return
        stream = self._streams[order.session] = Stream(
            order.session,
            line,
            rtp_timeout=order.rtp_timeout,
            prompts=self._prompts,
            disk=self._recording_disk,
            notify=self._control.notify,
        )
        self._pump.watch(stream)
        self._control.notify(Opened(stream.id, line.port))

    def _connect(self, stream: Stream, order: protocol.Connect) -> None:
        first = not stream.connected
        stream.connect(order, self._now)
        if first:
            self._pump.add(stream)

    def _bridge(self, stream: Stream, order: protocol.Bridge) -> None:
        if order.far_rim != self._rim.port:
            far = self._rim.reach(stream.id, order.far_session, order.far_rim)
            stream.bridge(far, order.far_session)
        elif other := self._streams.get(order.far_session):
            stream.bridge(NearEnd(stream.id, other.outgoing), other.id)

    def _deliver(
        self, session: int, far: int, packet: RtpPacket, encoding: Encoding, now: float
    ) -> None:
        stream = self._streams.get(session)
        if stream:
            stream.outgoing.relay(far, packet, encoding, now)

    def _close(self, stream: Stream) -> None:
        del self._streams[stream.id]
        self._pump.remove(stream)
        self._pump.ignore(stream)
        stream.close()
        closed = Closed(stream.id, stream.report())
        stream.stop_recording(self._now, partial(self._control.notify, closed))

    def _broken(self, source: Source, error: Exception) -> None:
        """End a call whose code raised; the others go on."""
        if not isinstance(source, Stream):
            raise error
        log.error("Session %d has broken and is closed", source.id, exc_info=error)
        self._control.notify(Happened(source.id, WorkerDied(f"its media failed: {error!r}")))
        self._close(source)


def main(descriptor: int) -> None:
    """Run a worker on an inherited socket."""
    logging.basicConfig(level=logging.INFO, format="media worker %(process)d: %(message)s")
    # The server decides when calls end, whoever presses Ctrl-C; its death is the end of the socket.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Audio goes before signalling and reports where the system allows it (root, CAP_SYS_NICE or
    # RLIMIT_RTPRIO). The disk threads inherit it: the pump must not wait for one of them that has
    # the lock and gets no processor.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, _PRIORITY)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    worker = Worker(socket.socket(fileno=descriptor))
    # A collection of all objects takes as long as several phases, and calls leave no cycles behind.
    gc.collect()
    gc.freeze()
    gc.disable()
    worker.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
