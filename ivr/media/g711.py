"""ITU-T G.711: A-law (PCMA) and µ-law (PCMU), by table.

PCM is 16-bit linear, 8000 samples a second. Encoding looks each sample up in a table of 65536
entries, decoding in one of 256; a byte of one law becomes a byte of the other by
`bytes.translate`, which costs less than a microsecond a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ivr.media.rtp import FRAME_SAMPLES

Law: TypeAlias = Literal["PCMA", "PCMU"]
Pcm: TypeAlias = NDArray[np.int16]

LAWS: Final[tuple[Law, Law]] = ("PCMA", "PCMU")
PAYLOAD_TYPES: Final[Mapping[str, int]] = MappingProxyType({"PCMU": 0, "PCMA": 8})  # RFC 3551 §6

_ULAW_BIAS: Final = 33  # G.711 table 2, in units of the 14-bit law
_ULAW_CLIP: Final = 8158  # the largest magnitude that has a code


def _alaw_decode_table() -> Pcm:
    """Return the 256 values of G.711 table 1: a 13-bit law scaled to 16 bits."""
    code = np.arange(256) ^ 0x55  # the even bits travel inverted
    segment, step = (code >> 4) & 7, code & 15
    magnitude = (step << 4) + 8
    magnitude = np.where(segment > 0, (magnitude + 0x100) << np.maximum(segment - 1, 0), magnitude)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _ulaw_decode_table() -> Pcm:
    """Return the 256 values of G.711 table 2: a 14-bit law scaled to 16 bits."""
    code = ~np.arange(256) & 0xFF  # all bits travel inverted
    segment, step = (code >> 4) & 7, code & 15
    magnitude = ((((step << 1) + _ULAW_BIAS) << segment) - _ULAW_BIAS) << 2
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _every_sample() -> NDArray[np.int32]:
    """Return all 16-bit values in the order of their unsigned bit patterns."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _bit_length(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the position of the highest set bit, counted from 1; 0 for 0."""
    return np.frexp(values)[1]


def _alaw_encode_table() -> NDArray[np.uint8]:
    """Return the A-law code of every 16-bit value."""
    value = _every_sample() >> 3
    magnitude = np.where(value >= 0, value, -value - 1)
    segment = np.maximum(_bit_length(magnitude) - 5, 0)
    step = (magnitude >> np.maximum(segment, 1)) & 15
    return np.asarray((segment << 4 | step) ^ np.where(value >= 0, 0xD5, 0x55), np.uint8)


def _ulaw_encode_table() -> NDArray[np.uint8]:
    """Return the µ-law code of every 16-bit value."""
    value = _every_sample() >> 2
    magnitude = np.minimum(np.abs(value), _ULAW_CLIP) + _ULAW_BIAS
    segment = _bit_length(magnitude) - 6
    step = (magnitude >> (segment + 1)) & 15
    return np.asarray((segment << 4 | step) ^ np.where(value >= 0, 0xFF, 0x7F), np.uint8)


_ENCODE: Final[dict[str, NDArray[np.uint8]]] = {
    "PCMA": _alaw_encode_table(),
    "PCMU": _ulaw_encode_table(),
}
_DECODE: Final[dict[str, Pcm]] = {"PCMA": _alaw_decode_table(), "PCMU": _ulaw_decode_table()}


def encode(pcm: Pcm, law: Law) -> bytes:
    """Return one G.711 byte a sample."""
    return _ENCODE[law][pcm.view(np.uint16)].tobytes()


def decode(data: bytes, law: Law) -> Pcm:
    """Return one 16-bit sample a byte, in a fresh array."""
    return _DECODE[law][np.frombuffer(data, np.uint8)]


# For `bytes.translate`: each code of one law becomes the code of the other whose value is nearest.
ULAW_TO_ALAW: Final = encode(_DECODE["PCMU"], "PCMA")
ALAW_TO_ULAW: Final = encode(_DECODE["PCMA"], "PCMU")
TRANSLATE: Final[Mapping[tuple[str, str], bytes]] = MappingProxyType(
    {("PCMU", "PCMA"): ULAW_TO_ALAW, ("PCMA", "PCMU"): ALAW_TO_ULAW}
)

# One frame of digital silence in each law.
SILENCE: Final[Mapping[str, bytes]] = MappingProxyType(
    {law: encode(np.zeros(FRAME_SAMPLES, np.int16), law) for law in LAWS}
)
