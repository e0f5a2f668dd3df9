"""What a call says: its packets counted, listened to for keys, recorded and passed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ivr.media.dtmf import DtmfReceiver
from ivr.media.ears import InbandEar, MachineEar
from ivr.media.events import Amd, Digit, RtpStopped
from ivr.media.g711 import LAWS, PAYLOAD_TYPES, SILENCE, Law
from ivr.media.outgoing import EVENT, Encoding
from ivr.media.quality import ReceiveStats
from ivr.media.recorder import Recorder, samples
from ivr.media.rtp import HEADER, HEADER_SIZE, PLAIN, RtpPacket, parse_rtp

_PAUSE: Final = 0.2  # seconds without packets that are a silence-suppressing peer's silence

# RFC 3264 §5.1: the peer may switch between the codecs of the answer in mid-call, unannounced.
_STATIC: Final[dict[int, Law]] = {PAYLOAD_TYPES[law]: law for law in LAWS}


class Far(Protocol):
    """Whoever takes the packets of a bridged call."""

    def relay(self, packet: RtpPacket, encoding: Encoding, now: float) -> None:
        """Pass on one packet."""


class Incoming:
    """The receiving half of a call. Packets come in the order and at the time they arrived."""

    __slots__ = (
        "_audio",
        "_dtmf",
        "_heard_at",
        "_inband",
        "_on_barge",
        "_on_event",
        "_receives",
        "_rtp_timeout",
        "_ssrc",
        "_stopped",
        "encodings",
        "far",
        "machine",
        "pressed",
        "recorder",
        "stats",
        "unused",
    )

    def __init__(
        self,
        rtp_timeout: float,
        on_event: Callable[[Digit | RtpStopped | Amd], None],
        on_barge: Callable[[], None],
    ) -> None:
        self._rtp_timeout = rtp_timeout
        self._on_event = on_event
        self._on_barge = on_barge
        self.encodings: dict[int, Encoding] = {}  # by payload type
        self.stats = ReceiveStats()
        self.unused = 0  # datagrams of the peer that are no RTP or of another payload type
        self.pressed: str | None = None  # the key that is down
        self.machine: MachineEar | None = None  # while it is being found out who answered
        self.far: Far | None = None
        self.recorder: Recorder | None = None
        self._audio = -1  # the payload type of the codec
        self._receives = False
        self._heard_at = 0.0  # or, before the first packet, since when it is waited for
        self._stopped = False  # RtpStopped has been told
        self._ssrc: int | None = None
        self._dtmf = DtmfReceiver()
        self._inband: InbandEar | None = None

    def connect(
        self,
        codec: Law,
        payload_type: int,
        dtmf_payload_type: int | None,
        *,
        receives: bool,
        now: float,
    ) -> None:
        """Expect from now on what the SDP says."""
        self.encodings = {**_STATIC, payload_type: codec}
        if dtmf_payload_type is not None:
            self.encodings[dtmf_payload_type] = EVENT
        self._audio = payload_type if self.encodings[payload_type] != EVENT else -1
        self._receives = receives
        self._heard_at = now
        self._stopped = False

    def take(self, data: bytes, now: float) -> None:
        """Take in one datagram of the peer."""
        if len(data) >= HEADER_SIZE:
            # Most packets of most calls are plain audio that nobody listens to. Counting them is
            # all there is to do, and it is what live calls cost: nothing else is made of them.
            first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
            if (
                first == PLAIN
                and second == self._audio
                and ssrc == self._ssrc
                and not (self.far or self.recorder or self._inband or self.machine)
            ):
                if self.stats.add(ssrc, sequence, timestamp, now):
                    self._heard_at = now
                    self._stopped = False
                return
        packet = parse_rtp(data)
        if packet:
            self._take_packet(packet, now)
        else:
            self.unused += 1

    def _take_packet(self, packet: RtpPacket, now: float) -> None:
        encoding = self.encodings.get(packet.payload_type)
        if packet.ssrc != self._ssrc:
            if encoding is None:  # garbage that looks like RTP: no reason to begin anew
                self.unused += 1
                return
            self._ssrc, self._dtmf, self.pressed = packet.ssrc, DtmfReceiver(), None
        if not self.stats.add(packet.ssrc, packet.sequence, packet.timestamp, now):
            return
        self._heard_at = now
        self._stopped = False
        if encoding is None:
            self.unused += 1
            return
        if self.far:
            self.far.relay(packet, encoding, now)
        if encoding == EVENT:
            self._take_event(packet, now)
            return
        if self.recorder:
            self.recorder.tape.heard.put(packet.timestamp, packet.payload, encoding, samples(now))
        if self._inband or self.machine:
            self._listen(packet.payload, encoding)

    def tick(self, now: float) -> None:
        """Draw conclusions from a period in which nothing may have come.

        To be called once a period while a key is `pressed` or a `machine` is listened for.
        """
        digit = self._dtmf.expire(now)
        if digit:
            self.pressed = self._dtmf.pressed
            self._on_event(Digit(digit.digit, digit.duration_ms, "rfc4733"))
        if self.machine and now - self._heard_at >= _PAUSE:
            self._judge(self.machine.hear(SILENCE["PCMA"], "PCMA"))

    def review(self, now: float) -> None:
        """Look at what did not come. Call it about once a second."""
        if not self._receives or self._stopped or not self._rtp_timeout:
            return
        silence = now - self._heard_at
        if silence >= self._rtp_timeout:
            self._stopped = True
            self._on_event(RtpStopped(round(silence, 1)))

    def detect_inband(self, on: bool) -> None:
        """Listen for keys in the audio."""
        self._inband = InbandEar() if on else None

    def detect_machine(self) -> None:
        """Listen for who answered, from here on."""
        self.machine = MachineEar()

    def _take_event(self, packet: RtpPacket, now: float) -> None:
        digit = self._dtmf.feed(packet.timestamp, packet.marker, packet.payload, now)
        pressed, before = self._dtmf.pressed, self.pressed
        self.pressed = pressed
        if digit:
            self._on_event(Digit(digit.digit, digit.duration_ms, "rfc4733"))
        # A key cuts a prompt short when it goes down. Letting it go must not cut the next one.
        went_down = pressed is not None and (pressed != before or digit is not None)
        only_end_came = digit is not None and before is None
        if went_down or only_end_came:
            self._on_barge()

    def _listen(self, payload: bytes, law: Law) -> None:
        if self._inband:
            for digit in self._inband.hear(payload, law):
                self._on_event(digit)
                self._on_barge()
        if self.machine:
            self._judge(self.machine.hear(payload, law))

    def _judge(self, verdict: Amd | None) -> None:
        if verdict:
            self.machine = None
            self._on_event(verdict)
