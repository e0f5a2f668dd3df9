"""A pyVoIP phone fit to be called: pyVoIP 1.6.8 where it works, mended where it does not.

What is mended, each in the method that overrides pyVoIP's:

- every port is asked of the system, where pyVoIP advertises the one it was told;
- the receiving thread waits in select(), where pyVoIP's wakes 100 times a second per phone;
- CANCEL ends the call with 487, where pyVoIP lets it ring on;
- any refusal can be sent, where `deny()` sends 486 and then stumbles over sockets never opened;
- A-law is sent as A-law, where pyVoIP sends µ-law under its name;
- Record-Route is copied into the answer (RFC 3261 §12.1.1), where pyVoIP drops it;
- keys can be pressed (RFC 4733).
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from pyVoIP.RTP import PayloadType, RTPClient
from pyVoIP.SIP import SIPClient, SIPMessage, SIPMessageType
from pyVoIP.util import acquired_lock_and_unblocked_socket
from pyVoIP.VoIP import CallState, VoIPCall, VoIPPhone

from ivr.media.dtmf import EventPacket, digit_packets
from ivr.media.g711 import Pcm
from ivr.media.rtp import FRAME_SAMPLES, TIMESTAMP_MASK, RtpPacket, pack_rtp, parse_rtp
from server.demo.ear import Ear

HOST = "127.0.0.1"
REGISTER_TIMEOUT = 5  # seconds; pyVoIP would wait for 30


class Phone(VoIPPhone):
    """One person's phone, registered as `number` at `carrier` between start() and stop().

    `on_call` is run in a thread of its own for every call, after a second's ringing. A phone that
    is `inband_only` does not agree to telephone-events, as old ones do not.
    """

    def __init__(
        self,
        carrier: tuple[str, int],
        number: str,
        password: str,
        on_call: Callable[[Call], None],
        *,
        inband_only: bool = False,
    ) -> None:
        super().__init__(*carrier, number, password, myIP=HOST, callCallback=self._ring)
        self.sip = _Sip(*carrier, number, password, self, HOST, 0, self.callback, self.fatal)
        self.inband_only = inband_only
        self._on_call = on_call

    def request_port(self, blocking: bool = True) -> int:  # noqa: ARG002  pyVoIP's signature
        """Leave the choice of a port to the system."""
        return 0

    def callback(self, request: SIPMessage) -> None:
        """Take a message from the receiving thread."""
        if request.type == SIPMessageType.MESSAGE and request.method == "CANCEL":
            call = self.calls.get(request.headers["Call-ID"])
            if isinstance(call, Call):
                call.cancelled()
        else:
            super().callback(request)

    def _ring(self, call: VoIPCall) -> None:
        assert isinstance(call, Call), "_create_Call made it"
        self._on_call(call)

    def _create_Call(self, request: SIPMessage, sess_id: int) -> None:
        self.calls[request.headers["Call-ID"]] = Call(
            self, CallState.RINGING, request, sess_id, self.myIP, sendmode=self.recvmode
        )


class Call(VoIPCall):
    """A call that has come in. `over` is set when the other side gave up or hung up."""

    def __init__(self, phone: Phone, *args: Any, **options: Any) -> None:
        self.over = threading.Event()
        self.ear = Ear()
        self.cancelled_by_caller = False
        self._inband_only = phone.inband_only
        self._moving = threading.Lock()  # a CANCEL and an answer may come in the same instant
        super().__init__(phone, *args, **options)

    def create_rtp_clients(
        self,
        codecs: dict[int, PayloadType],
        ip: str,
        port: int,
        request: SIPMessage,
        baseport: int,
    ) -> None:
        """Make the one audio stream of this call."""
        if self._inband_only:
            codecs = {n: codec for n, codec in codecs.items() if codec != PayloadType.EVENT}
        address = request.body["c"][0]["address"]
        self._audio = _Audio(codecs, ip, port, address, baseport, self.sendmode, self.dtmf_callback)
        self._audio.ear = self.ear
        self.RTPClients.append(self._audio)

    def answer(self) -> None:
        """Pick up. Raises InvalidStateError if the caller has given up."""
        with self._moving:
            super().answer()

    def refuse(self, status: int, reason: str) -> bool:
        """Refuse with any final status; False if the caller has already given up."""
        with self._moving:
            if self.state != CallState.RINGING:
                return False
            self.state = CallState.ENDED
        self._send(
            self.sip.gen_busy(self.request).replace("486 Busy Here", f"{status} {reason}", 1)
        )
        return True

    def cancelled(self) -> None:
        """Stop ringing: the caller has given up."""
        if self.refuse(487, "Request Terminated"):
            self.cancelled_by_caller = True
            self.over.set()

    def bye(self) -> None:
        """Note that the other side has hung up."""
        super().bye()
        self.over.set()

    def say(self, sound: Pcm) -> None:
        """Send a sound after what is still being sent. pyVoIP takes 8 bits, unsigned."""
        self.write_audio(((sound >> 8) + 128).astype(np.uint8).tobytes())

    def press(self, digits: str) -> bool:
        """Press keys as telephone-events; False if these were not agreed on."""
        return self._audio.press(digits)

    def _send(self, message: str) -> None:
        self.sip.out.sendto(message.encode("utf8"), (self.phone.server, self.phone.port))


class _Sip(SIPClient):
    """The signalling of a phone."""

    def start(self) -> None:
        self.NSD = True
        self.register_timeout = REGISTER_TIMEOUT
        self.s = self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind((self.myIP, 0))
        self.myPort = self.s.getsockname()[1]
        self.register()
        threading.Thread(target=self.recv_loop, name=f"{self.username}: SIP", daemon=True).start()

    def recv_loop(self) -> None:
        while self.NSD:
            try:
                if select.select([self.s], [], [], 0.5)[0]:
                    with acquired_lock_and_unblocked_socket(self.recvLock, self.s):
                        self.recv()
            except BlockingIOError:
                continue  # another thread has read it
            except (OSError, ValueError):
                return  # closed

    def gen_answer(self, request: SIPMessage, *args: Any) -> str:
        answer: str = super().gen_answer(request, *args)
        if route := request.headers.get("Record-Route"):
            answer = answer.replace("\r\nFrom: ", f"\r\nRecord-Route: {route}\r\nFrom: ", 1)
        return answer


class _Audio(RTPClient):
    """The audio of a call."""

    ear: Ear

    def start(self) -> None:
        super().start()
        self.inPort = self.sin.getsockname()[1]
        self.keypad = Keypad(self.sin)
        self.sout = cast("socket.socket", self.keypad)

    def parse_packet(self, packet: bytes) -> None:
        self.ear.hear(packet)
        super().parse_packet(packet)

    def encode_packet(self, payload: bytes) -> bytes:
        encode = self.encode_pcma if self.preference == PayloadType.PCMA else self.encode_pcmu
        return bytes(encode(payload))

    def press(self, digits: str) -> bool:
        numbers = [number for number, codec in self.assoc.items() if codec == PayloadType.EVENT]
        if numbers:
            self.keypad.press(digits, numbers[0])
        return bool(numbers)


class Keypad:
    """The sending half of an RTP socket: while a key is down, its packets replace the audio's.

    They take over the audio's sequence numbers and the timestamp of the moment of pressing, as
    RFC 4733 §2.3 wants of two payloads in one stream.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._waiting: dict[int, EventPacket] = {}
        self._payload_type = 0
        self._tick = 0
        self._pressed_at = 0  # timestamp

    def press(self, digits: str, payload_type: int) -> None:
        """Begin to press these keys with the next packet."""
        with self._lock:
            self._waiting = {packet.tick: packet for packet in digit_packets(digits, 120)}
            self._payload_type = payload_type
            self._tick = 0

    def sendto(self, packet: bytes, address: tuple[str, int]) -> None:
        """Send an audio packet, or what stands in for it."""
        with self._lock:
            if self._waiting:
                packet = self._replaced(packet)
        self._sock.sendto(packet, address)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _replaced(self, packet: bytes) -> bytes:
        audio = parse_rtp(packet)
        assert audio is not None, "pyVoIP writes RTP"
        if self._tick == 0:
            self._pressed_at = audio.timestamp
        event = self._waiting.pop(self._tick, None)
        self._tick += 1
        if event is None:
            return packet
        timestamp = (self._pressed_at + event.start_tick * FRAME_SAMPLES) & TIMESTAMP_MASK
        return pack_rtp(
            RtpPacket(
                self._payload_type,
                event.marker,
                audio.sequence,
                timestamp,
                audio.ssrc,
                event.payload,
            )
        )
