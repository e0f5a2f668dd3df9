"""Offer and answer for one audio stream of G.711 and telephone events (RFC 3264, 8866, 4733). Pure.

aiosipua reads and writes the syntax; here is what we make of it. Real descriptions are odd in
many ways: lines nobody can read are passed over, and a description is refused only where no
audio could come of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from aiosipua.sdp import (
    ConnectionData,
    MediaDescription,
    Origin,
    SdpMessage,
    parse_sdp,
    serialize_sdp,
)

from ivr.sip.errors import SipError

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

STATIC_PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8}  # RFC 3551 §6
CODECS = ("PCMA", "PCMU")
DTMF_PAYLOAD_TYPE = 101
DTMF_EVENTS = "0-16"  # RFC 4733 §2.4.1: the keys, and the hook flash
PTIME = 20  # ms
CLOCK_RATE = 8000
CONTENT_TYPE = "application/sdp"

_PROFILES = frozenset({"RTP/AVP", "RTP/AVPF"})  # what a plain RTP stream can be offered as
_UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104 (hold as RFC 2543 wrote it)
_MIRROR: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
# The lines we look at, in forms aiosipua can read; all others are left out before it parses.
_READABLE = re.compile(
    r"o=(?:\S+ ){5}\S+|c=IN IP[46] \S+|m=[A-Za-z]+ \d{1,5} \S+( \S+)*"
    r"|a=rtpmap:\d{1,3} [^/ ]+/\d{1,6}(/\d{1,2})?|a=ptime:\d{1,3}"
    r"|a=(sendrecv|sendonly|recvonly|inactive)"
)
_PORT_COUNT = re.compile(r"^(m=\S+ \d+)/\d+", re.MULTILINE)
_SPACES = re.compile(r"[ \t]+")


class SdpError(SipError):
    """A description from which no audio can come."""


class NoCommonCodec(SdpError):
    """The two sides share no codec: answer 488."""


@dataclass(frozen=True, slots=True)
class Audio:
    """One side's description of its audio: where it listens, what it takes, which way it flows.

    `codecs` in order of preference, with `payload_types` beside them; `direction` as seen by the
    side that describes itself; `ptime` in ms.
    """

    host: str
    port: int
    codecs: tuple[str, ...] = CODECS
    payload_types: tuple[int, ...] = ()
    dtmf_payload_type: int | None = DTMF_PAYLOAD_TYPE
    direction: Direction = "sendrecv"
    ptime: int = PTIME

    def __post_init__(self) -> None:
        if not self.payload_types:
            static = tuple(STATIC_PAYLOAD_TYPES[codec] for codec in self.codecs)
            object.__setattr__(self, "payload_types", static)


@dataclass(frozen=True, slots=True)
class Stream:
    """What both sides came to: where and how we send. `direction` is ours."""

    host: str
    port: int
    codec: str
    payload_type: int
    dtmf_payload_type: int | None
    direction: Direction
    ptime: int


def make_offer(audio: Audio, *, session_id: int, version: int) -> bytes:
    """An offer. `version` goes up by one for each description that differs from the last."""
    return _serialize([_describe(audio)], audio.host, session_id, version)


def parse_audio(body: bytes) -> Audio:
    """The first audio stream that can be used, offered or answered.

    Hold by the address 0.0.0.0 (RFC 2543) reads as a direction. Raises SdpError where there is
    no plain RTP audio with a port and an address, NoCommonCodec where it has no G.711.
    """
    description = _read(body)
    media = description.media[_audio_index(description)]
    host = _host(description, media)
    codecs, payload_types, dtmf = _codecs(media)
    if not codecs:
        raise NoCommonCodec(
            f"The SDP has the formats {' '.join(media.formats)[:100]}, but not PCMA or PCMU."
        )
    return Audio(
        host=host,
        port=media.port,
        codecs=codecs,
        payload_types=payload_types,
        dtmf_payload_type=dtmf,
        direction=_direction(description, media, host),
        ptime=_ptime(media),
    )


def answer(offer: Audio, ours: Audio) -> Audio:
    """Our side's description in answer to `offer`: one codec, so that it never changes mid-call.

    The offerer's order of preference holds among the codecs of `ours`, and so do its payload
    types (§6.1). Our wish to send or receive less than offered holds. Raises NoCommonCodec.
    """
    for codec, payload_type in zip(offer.codecs, offer.payload_types, strict=True):
        if codec in ours.codecs:
            return replace(
                ours,
                codecs=(codec,),
                payload_types=(payload_type,),
                dtmf_payload_type=offer.dtmf_payload_type if ours.dtmf_payload_type else None,
                direction=_both(_MIRROR[offer.direction], ours.direction),
            )
    raise NoCommonCodec(f"Offered: {', '.join(offer.codecs)}; allowed: {', '.join(ours.codecs)}.")


def make_answer(offer: bytes, answer: Audio, *, session_id: int, version: int) -> bytes:
    """The answer as a body: as many m= lines as the offer, all but the audio refused (§6)."""
    description = _read(offer)
    chosen = _audio_index(description)
    media = [_refused(line) for line in description.media]
    media[chosen] = replace(_describe(answer), proto=description.media[chosen].proto)
    return _serialize(media, answer.host, session_id, version)


def agree(ours: Audio, theirs: Audio) -> Stream:
    """What to send where, once each side has described itself, whoever offered.

    Raises NoCommonCodec where they name no codec of ours.
    """
    for codec, payload_type in zip(theirs.codecs, theirs.payload_types, strict=True):
        if codec in ours.codecs:
            return Stream(
                host=theirs.host,
                port=theirs.port,
                codec=codec,
                payload_type=payload_type,
                dtmf_payload_type=theirs.dtmf_payload_type if ours.dtmf_payload_type else None,
                direction=_both(_MIRROR[theirs.direction], ours.direction),
                ptime=theirs.ptime,
            )
    raise NoCommonCodec(f"Answered: {', '.join(theirs.codecs)}; ours: {', '.join(ours.codecs)}.")


def _both(one: Direction, other: Direction) -> Direction:
    """The direction that both allow."""
    sends = one in ("sendrecv", "sendonly") and other in ("sendrecv", "sendonly")
    receives = one in ("sendrecv", "recvonly") and other in ("sendrecv", "recvonly")
    if sends:
        return "sendrecv" if receives else "sendonly"
    return "recvonly" if receives else "inactive"


def _describe(audio: Audio) -> MediaDescription:
    formats = [str(number) for number in audio.payload_types]
    named = zip(audio.payload_types, audio.codecs, strict=True)
    rtpmap = [f"{number} {codec}/{CLOCK_RATE}" for number, codec in named]
    attributes: dict[str, list[str]] = {"rtpmap": rtpmap}
    if audio.dtmf_payload_type is not None:
        formats.append(str(audio.dtmf_payload_type))
        rtpmap.append(f"{audio.dtmf_payload_type} telephone-event/{CLOCK_RATE}")
        attributes["fmtp"] = [f"{audio.dtmf_payload_type} {DTMF_EVENTS}"]
    attributes["ptime"] = [str(audio.ptime)]
    attributes[audio.direction] = []
    return MediaDescription(media="audio", port=audio.port, formats=formats, attributes=attributes)


def _serialize(media: list[MediaDescription], host: str, session_id: int, version: int) -> bytes:
    kind = "IP6" if ":" in host else "IP4"
    origin = Origin(
        session_id=str(session_id), session_version=str(version), addr_type=kind, address=host
    )
    connection = ConnectionData(addr_type=kind, address=host)
    message = SdpMessage(origin=origin, session_name="-", connection=connection, media=media)
    return serialize_sdp(message).encode()


def _refused(media: MediaDescription) -> MediaDescription:
    return MediaDescription(
        media=media.media, port=0, proto=media.proto, formats=media.formats or ["0"]
    )


def _read(body: bytes) -> SdpMessage:
    text = body.decode("utf-8", errors="replace").replace("\0", "")
    lines = (_SPACES.sub(" ", line.strip()) for line in _PORT_COUNT.sub(r"\1", text).splitlines())
    return parse_sdp("\n".join(line for line in lines if _READABLE.fullmatch(line)))


def _audio_index(description: SdpMessage) -> int:
    audio = [i for i, media in enumerate(description.media) if media.media.lower() == "audio"]
    if not audio:
        raise SdpError("The SDP describes no audio (no m=audio line).")
    plain = [i for i in audio if description.media[i].proto.upper() in _PROFILES]
    if not plain:
        raise SdpError(f"The SDP offers audio only as {description.media[audio[0]].proto[:40]}.")
    usable = [i for i in plain if 0 < description.media[i].port < 65536]
    if not usable:
        raise SdpError("The SDP refuses the audio (m=audio with port 0).")
    return usable[0]


def _host(description: SdpMessage, media: MediaDescription) -> str:
    """The stream's c=, else the session's, else (seen in the wild) the o= line's address."""
    for connection in (media.connection, description.connection):
        if connection is not None:
            return connection.address.partition("/")[0]  # a multicast TTL may follow
    if description.origin.address in _UNSPECIFIED:
        raise SdpError("The SDP names no address for its audio (no c= line).")
    return description.origin.address


def _codecs(media: MediaDescription) -> tuple[tuple[str, ...], tuple[int, ...], int | None]:
    """The G.711 codecs in order with their payload types, and that of telephone events."""
    found: dict[str, int] = {}
    dtmf = None
    for codec in media.codecs:
        name = codec.encoding_name.upper()
        if codec.clock_rate != CLOCK_RATE or codec.payload_type > 127:
            continue
        if name in STATIC_PAYLOAD_TYPES:
            found.setdefault(name, codec.payload_type)
        elif name == "TELEPHONE-EVENT" and dtmf is None:
            dtmf = codec.payload_type
    return tuple(found), tuple(found.values()), dtmf


def _direction(description: SdpMessage, media: MediaDescription, host: str) -> Direction:
    stated: Direction = "sendrecv"
    for attributes in (media.attributes, description.attributes):
        named = [direction for direction in _MIRROR if direction in attributes]
        if named:
            stated = named[-1]
            break
    # They cannot receive at no address; what they would send, they may.
    return _both(stated, "sendonly") if host in _UNSPECIFIED else stated


def _ptime(media: MediaDescription) -> int:
    stated = media.attributes.get("ptime", [])
    return int(stated[0]) if stated and 10 <= int(stated[0]) <= 200 else PTIME
