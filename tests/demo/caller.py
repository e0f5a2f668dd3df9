"""A caller with nothing but an endpoint: sends INVITEs to the carrier, and sound to the phones."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import cast

from ivr.media.dtmf import DtmfReceiver
from ivr.media.g711 import Pcm, decode, encode
from ivr.media.rtp import FRAME_SAMPLES, RtpPacket, pack_rtp, parse_rtp
from ivr.media.tones import DtmfDetector
from ivr.sip.digest import Credentials, Login
from ivr.sip.endpoint import Endpoint, Response, ServerTransaction
from ivr.sip.message import SipRequest, SipResponse, new_call_id, new_tag, parse_address, parse_uri
from ivr.sip.peer import Peer

DEADLINE = 20.0


class Line(asyncio.DatagramProtocol):
    """RTP: sends silence or a message in step, and listens for keys."""

    def __init__(self) -> None:
        self.keys = ""
        self.how = ""
        self.payload_types: set[int] = set()
        self._receiver = DtmfReceiver()
        self._detector = DtmfDetector()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: object) -> None:
        packet = parse_rtp(data)
        assert packet is not None
        self.payload_types.add(packet.payload_type)
        if packet.payload_type == 101:
            now = asyncio.get_running_loop().time()
            digit = self._receiver.feed(packet.timestamp, packet.marker, packet.payload, now)
            self._pressed(digit.digit if digit else None, "telephone-event")
        else:
            frame = decode(packet.payload, "PCMA")
            self._pressed(self._detector.feed(frame), "in-band")

    def _pressed(self, key: str | None, how: str) -> None:
        if key:
            self.keys += key
            self.how = how

    async def send(self, sound: Pcm, to: tuple[str, int]) -> None:
        """Send a sound in real time."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        coded = encode(sound, "PCMA")
        for n in range(len(coded) // FRAME_SAMPLES):
            payload = coded[n * FRAME_SAMPLES :][:FRAME_SAMPLES]
            self.transport.sendto(
                pack_rtp(RtpPacket(8, n == 0, n, n * FRAME_SAMPLES, 7, payload)), to
            )
            due += 0.02
            await asyncio.sleep(due - loop.time())


@dataclass
class Attempt:
    """One call as the caller sees it."""

    caller: Caller
    number: str
    line: Line
    invite: SipRequest
    statuses: list[int] = field(default_factory=list)
    route: list[str] = field(default_factory=list)
    final: asyncio.Future[SipResponse] = field(default_factory=asyncio.Future)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def call_id(self) -> str:
        return self.invite.call_id

    async def answered(self) -> SipResponse:
        return await asyncio.wait_for(asyncio.shield(self.final), DEADLINE)

    def cancel(self) -> None:
        self.transaction.cancel()

    def on_response(self, response: Response) -> None:
        message = response.message
        login = self.caller.login.attempt
        if message.status_code == 401 and 401 not in self.statuses and login().accept(message):
            self.statuses.append(401)
            self.caller.send_invite(self, 2)
            return
        self.statuses.append(message.status_code)
        if message.status_code >= 200 and not self.final.done():
            self.final.set_result(message)
            if message.status_code < 300:
                self.route = message.headers.get("record-route")[::-1]
                self.caller.endpoint.send(self.within("ACK"), self.next_hop())

    @property
    def media(self) -> tuple[str, int]:
        body = self.final.result().text
        host = re.search(r"c=IN IP4 (\S+)", body)
        port = re.search(r"m=audio (\d+)", body)
        assert host
        assert port
        return host[1], int(port[1])

    def next_hop(self) -> Peer:
        uri = parse_address(self.route[0]).uri if self.route else parse_uri(self.target)
        return Peer("udp", uri.host, uri.port or 5060)

    @property
    def target(self) -> str:
        return re.sub(r"[<>]", "", self.final.result().headers.get("contact")[0])

    def within(self, method: str) -> SipRequest:
        """A request within the dialog."""
        request = SipRequest(method=method, uri=self.target)
        cseq = self.invite.cseq.seq + (method != "ACK")
        request.set_headers("Route", self.route)
        request.set_header("From", self.invite.headers.get("from")[0])
        request.set_header("To", self.final.result().headers.get("to")[0])
        request.set_header("Call-ID", self.call_id)
        request.set_header("CSeq", f"{cseq} {method}")
        return request

    async def bye(self) -> int:
        """Hang up; the status it is answered."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.caller.endpoint.request(
            self.within("BYE"), self.next_hop(), lambda r: done.set_result(r.message.status_code)
        )
        return await asyncio.wait_for(done, DEADLINE)


class Caller:
    """The customer's side of a trunk."""

    def __init__(self, carrier: int, password: str = "secret") -> None:
        self.endpoint = Endpoint()
        self.endpoint.on_request = self._requested
        self.carrier = Peer("udp", "127.0.0.1", carrier)
        self.login = Login(Credentials("tongdai", password))
        self.attempts: dict[str, Attempt] = {}

    async def open(self) -> None:
        await self.endpoint.listen()

    async def close(self) -> None:
        for attempt in self.attempts.values():
            attempt.line.transport.close()
        await self.endpoint.close()

    async def call(self, number: str) -> Attempt:
        loop = asyncio.get_running_loop()
        _, line = await loop.create_datagram_endpoint(Line, local_addr=("127.0.0.1", 0))
        local = self.endpoint.local
        sdp = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {line.port} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\n"
            "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
            "a=sendrecv\r\n"
        )
        invite = SipRequest(
            method="INVITE", uri=f"sip:{number}@127.0.0.1:{self.carrier.port}", body=sdp.encode()
        )
        invite.set_header("From", f"<sip:+842873000000@127.0.0.1>;tag={new_tag()}")
        invite.set_header("To", f"<sip:{number}@127.0.0.1:{self.carrier.port}>")
        invite.set_header("Call-ID", new_call_id())
        invite.set_header("Contact", f"<sip:tongdai@127.0.0.1:{local.port}>")
        invite.set_header("Content-Type", "application/sdp")
        attempt = Attempt(self, number, line, invite)
        self.attempts[attempt.call_id] = attempt
        self.send_invite(attempt, 1)
        return attempt

    def send_invite(self, attempt: Attempt, cseq: int) -> None:
        invite = attempt.invite
        invite.set_header("CSeq", f"{cseq} INVITE")
        for name, value in self.login.headers("INVITE", invite.uri):
            invite.set_header(name, value)
        attempt.transaction = self.endpoint.request(  # type: ignore[attr-defined]
            invite, self.carrier, attempt.on_response
        )

    def _requested(self, transaction: ServerTransaction) -> None:
        attempt = self.attempts.get(transaction.request.call_id)
        if transaction.request.method == "BYE" and attempt is not None:
            transaction.reply(200)
            attempt.hung_up.set()
        else:
            transaction.reply(481)
