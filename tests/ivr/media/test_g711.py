"""G.711 against an implementation we did not write (Python's audioop) and its own promises."""

from __future__ import annotations

import audioop
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media import g711
from ivr.media.g711 import Law

EVERY_SAMPLE = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
EVERY_CODE = bytes(range(256))


@pytest.mark.parametrize("law", g711.LAWS)
def test_encodes_every_sample_as_audioop_does(law: Law) -> None:
    lin2 = {"PCMA": audioop.lin2alaw, "PCMU": audioop.lin2ulaw}[law]
    assert g711.encode(EVERY_SAMPLE, law) == lin2(EVERY_SAMPLE.tobytes(), 2)


@pytest.mark.parametrize("law", g711.LAWS)
def test_decodes_every_code_as_audioop_does(law: Law) -> None:
    to_lin = {"PCMA": audioop.alaw2lin, "PCMU": audioop.ulaw2lin}[law]
    assert g711.decode(EVERY_CODE, law).tobytes() == to_lin(EVERY_CODE, 2)


@pytest.mark.parametrize("law", g711.LAWS)
@pytest.mark.peer
def test_decodes_every_code_as_ffmpeg_does(law: Law) -> None:
    muxer = {"PCMA": "alaw", "PCMU": "mulaw"}[law]
    command = ["ffmpeg", "-v", "error", "-f", muxer, "-ar", "8000", "-i", "-", "-f", "s16le", "-"]
    done = subprocess.run(command, input=EVERY_CODE, capture_output=True, check=True)
    assert g711.decode(EVERY_CODE, law).tobytes() == done.stdout


@given(st.binary(max_size=400), st.sampled_from(g711.LAWS))
def test_a_decoded_code_encodes_to_a_code_of_the_same_value(data: bytes, law: Law) -> None:
    pcm = g711.decode(data, law)
    assert np.array_equal(g711.decode(g711.encode(pcm, law), law), pcm)


@pytest.mark.parametrize(("source", "target"), list(g711.TRANSLATE))
def test_translating_between_the_laws_stays_within_one_step(source: Law, target: Law) -> None:
    before = g711.decode(EVERY_CODE, source).astype(int)
    after = g711.decode(EVERY_CODE.translate(g711.TRANSLATE[source, target]), target).astype(int)
    assert np.all(np.abs(after - before) <= np.maximum(np.abs(before) / 30, 8))


@pytest.mark.parametrize(("law", "code"), [("PCMA", 0xD5), ("PCMU", 0xFF)])
def test_silence_is_one_frame_of_the_idle_code(law: Law, code: int) -> None:
    assert g711.SILENCE[law] == bytes([code]) * 160


def test_silence_stays_silence_across_the_laws() -> None:
    assert g711.SILENCE["PCMU"].translate(g711.ULAW_TO_ALAW) == g711.SILENCE["PCMA"]
    assert abs(int(g711.decode(g711.SILENCE["PCMA"], "PCMA")[0])) <= 8


def test_decoding_gives_a_writable_array_and_encoding_takes_a_slice() -> None:
    pcm = g711.decode(b"\xd5" * 320, "PCMA")
    pcm[::2] = 1000
    assert len(g711.encode(pcm[::2], "PCMA")) == 160
