"""The other side of a call: sends and receives RTP on a socket of its own, tones included."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ivr.media import tones
from ivr.media.dtmf import digit_packets
from ivr.media.g711 import PAYLOAD_TYPES, SILENCE, Law, decode, encode
from ivr.media.plane import MediaPlane
from ivr.media.rtp import FRAME_SAMPLES, RtpPacket, pack_rtp, parse_rtp
from ivr.media.session import MediaSession

EVENT_TYPE = 101
DEADLINE = 10.0  # seconds: long enough for a busy machine; a passing test never waits that long


@dataclass(frozen=True)
class Heard:
    at: float
    packet: RtpPacket
    source: tuple[str, int]


class Peer(asyncio.DatagramProtocol):
    """A phone's media. Everything it receives is kept in `heard`."""

    def __init__(self, law: Law = "PCMA") -> None:
        self.law = law
        self.heard: list[Heard] = []
        self.sent = 0
        self.sequence = random.randrange(1 << 16)
        self.timestamp = random.randrange(1 << 32)
        self.ssrc = random.randrange(1 << 32)
        self.target: tuple[str, int] | None = None
        self._sound = b""
        self._at = 0
        self._beat: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()

    @classmethod
    async def start(cls, law: Law = "PCMA", host: str = "127.0.0.1") -> Peer:
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_datagram_endpoint(lambda: cls(law), local_addr=(host, 0))
        return peer

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.host, self.port = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        packet = parse_rtp(data)
        assert packet is not None, data
        self.heard.append(Heard(asyncio.get_running_loop().time(), packet, addr))
        self._news.set()

    def error_received(self, exc: Exception) -> None:
        """The other side has gone: nothing that a phone would mind."""

    def close(self) -> None:
        self.hush()
        self._transport.close()

    # -- sending

    def call(self, session: MediaSession, **changes: Any) -> None:
        """Connect the session to this peer, and this peer to the session."""
        self.target = (session.host, session.port)
        told: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "codec": self.law,
            "payload_type": PAYLOAD_TYPES[self.law],
            "dtmf_payload_type": EVENT_TYPE,
        }
        session.connect(**told | changes)

    def send(self, payload: bytes, *, payload_type: int | None = None) -> None:
        """Send one audio packet now."""
        self.timestamp = (self.timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        kind = PAYLOAD_TYPES[self.law] if payload_type is None else payload_type
        self._emit(kind, self.timestamp, payload, marker=False)

    def send_raw(self, data: bytes) -> None:
        assert self.target
        self.sent += 1
        self._transport.sendto(data, self.target)

    def say(self, *hertz: float) -> None:
        """Send a tone, 50 packets a second, until something else is said."""
        sound = tones.tone(*hertz, ms=1000) if hertz else np.zeros(8000, np.int16)
        self.speak(encode(sound, self.law))

    def speak(self, sound: bytes) -> None:
        """Send sound, over and over."""
        self.hush()
        self._sound, self._at = sound, 0
        self._next(asyncio.get_running_loop().time())

    def hush(self) -> None:
        """Send no more."""
        if self._beat:
            self._beat.cancel()
            self._beat = None

    def press(self, digits: str, duration_ms: int = 100, lose: Iterable[int] = ()) -> None:
        """Press keys by telephone-events, all packets at once, but those numbered in `lose`.

        Negative numbers count from the last.
        """
        start = self.timestamp
        packets = digit_packets(digits, duration_ms)
        lost = {number % len(packets) for number in lose}
        for number, event in enumerate(packets):
            if number in lost:
                self.sequence += 1
            else:
                timestamp = (start + event.start_tick * FRAME_SAMPLES) & 0xFFFFFFFF
                self._emit(EVENT_TYPE, timestamp, event.payload, marker=event.marker)

    def _next(self, due: float) -> None:
        frame = self._sound[self._at : self._at + FRAME_SAMPLES]
        self._at = (self._at + FRAME_SAMPLES) % len(self._sound)
        self.send(frame)
        self._beat = asyncio.get_running_loop().call_at(due + 0.02, self._next, due + 0.02)

    def _emit(self, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        self.sequence = (self.sequence + 1) & 0xFFFF
        packet = RtpPacket(payload_type, marker, self.sequence, timestamp, self.ssrc, payload)
        self.send_raw(pack_rtp(packet))

    # -- receiving

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until the condition holds, looking at it whenever a packet comes."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def hears(self, count: int = 1) -> list[RtpPacket]:
        """Wait for so many packets from now on."""
        start = len(self.heard)
        await self.until(lambda: len(self.heard) >= start + count)
        return [heard.packet for heard in self.heard[start : start + count]]

    async def hears_tone(self, hertz: float) -> None:
        """Wait until the last 200 ms are this tone."""
        await self.until(lambda: abs(self.tone() - hertz) < 8)

    async def hears_silence(self) -> None:
        """Wait until the last 200 ms are silent."""
        await self.until(lambda: len(self.audio()) >= 10 and self.tone() == 0.0)

    def audio(self) -> list[RtpPacket]:
        return [h.packet for h in self.heard if h.packet.payload_type in (0, 8)]

    def events(self) -> list[RtpPacket]:
        return [h.packet for h in self.heard if h.packet.payload_type == EVENT_TYPE]

    def tone(self, packets: int = 10) -> float:
        """The strongest frequency of the last packets; 0 for silence or too few of them."""
        audio = self.audio()[-packets:]
        if len(audio) < packets:
            return 0.0
        return main_tone(np.concatenate([decode(p.payload, law_of(p)) for p in audio]))


def law_of(packet: RtpPacket) -> Law:
    return "PCMU" if packet.payload_type == 0 else "PCMA"


def main_tone(pcm: np.ndarray[Any, Any]) -> float:
    """The strongest frequency in Hz, by FFT; 0.0 when there is no sound."""
    if len(pcm) == 0 or np.abs(pcm).max() < 100:
        return 0.0
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * 8000 / len(pcm))


def entries(folder: str) -> set[str]:
    """The names in a folder of /proc."""
    return {path.name for path in Path(folder).iterdir()}


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until something that nobody announces holds, giving others their turn."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


class Log:
    """Keeps the events of a session and waits for them."""

    def __init__(self, session: MediaSession) -> None:
        self.events: list[Any] = []
        self._news = asyncio.Event()
        session.on_event = self._note

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait(self, kind: type, count: int = 1) -> Any:
        """Return the count-th event of a kind, once it is there."""
        async with asyncio.timeout(DEADLINE):
            while len(self.of(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(kind)[count - 1]

    def _note(self, event: Any) -> None:
        self.events.append(event)
        self._news.set()


@dataclass
class Party:
    """A session, its log, and the peer it is connected to."""

    session: MediaSession
    log: Log
    peer: Peer


async def join(plane: MediaPlane, law: Law = "PCMA", **options: Any) -> Party:
    """Open a session and connect a new peer, which sends silence so that the address is latched."""
    session = await plane.open(call_id="test", **options)
    peer = await Peer.start(law)
    peer.call(session)
    peer.speak(SILENCE[law])
    return Party(session, Log(session), peer)
