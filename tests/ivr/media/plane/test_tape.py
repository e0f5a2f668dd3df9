"""Two tracks on one clock, without a clock."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from ivr.media.g711 import SILENCE, ULAW_TO_ALAW
from ivr.media.tape import LAG, SLACK, Tape

QUIET = SILENCE["PCMA"]


def frame(number: int) -> bytes:
    return bytes([number % 200]) * 160


def test_packets_in_time_come_out_as_they_went_in() -> None:
    tape = Tape("PCMA", now=1000)
    for n in range(50):
        tape.sent.put(n * 160, frame(n), "PCMA", 1000 + n * 160)
        tape.heard.put(7_000_000 + n * 160, frame(n + 100), "PCMA", 1000 + n * 160)
    sent, heard = tape.end(1000 + 8000)
    assert sent == b"".join(frame(n) for n in range(50))
    assert heard == b"".join(frame(n + 100) for n in range(50))


@given(st.integers(0, 1 << 32), st.randoms(use_true_random=False))
def test_jitter_and_disorder_do_not_move_the_sound(first: int, rng: random.Random) -> None:
    arrivals = [(n * 160 + rng.randrange(SLACK // 2), n) for n in range(1, 40)]
    tape = Tape("PCMA", now=0)
    tape.heard.put(first & 0xFFFFFFFF, frame(0), "PCMA", 0)
    for now, n in sorted(arrivals):
        tape.heard.put((first + n * 160) & 0xFFFFFFFF, frame(n), "PCMA", now)
    assert tape.end(40 * 160)[1] == b"".join(frame(n) for n in range(40))


def test_lost_packets_and_pauses_are_silence() -> None:
    tape = Tape("PCMA", now=0)
    tape.heard.put(0, frame(1), "PCMA", 0)
    tape.heard.put(320, frame(3), "PCMA", 320)
    assert tape.end(640) == (QUIET * 4, frame(1) + QUIET + frame(3) + QUIET)


def test_a_new_source_is_placed_by_the_clock() -> None:
    tape = Tape("PCMA", now=0)
    tape.heard.put(0, frame(1), "PCMA", 0)
    tape.heard.put(3_000_000_000, frame(2), "PCMA", 160)
    tape.heard.put(3_000_000_160, frame(3), "PCMA", 330)
    assert tape.end(480)[1] == frame(1) + frame(2) + frame(3)


def test_a_drifting_clock_is_followed() -> None:
    tape = Tape("PCMA", now=0)
    for n in range(1000):  # the peer's clock is 1 % slow: 8 frames in these 20 s
        tape.heard.put(n * 160, frame(n), "PCMA", int(n * 161.6))
    assert tape.heard._position is not None
    assert abs(tape.heard._position - int(999 * 161.6)) <= SLACK


def test_pieces_make_the_whole_and_stay_as_long_as_each_other() -> None:
    tape = Tape("PCMA", now=0)
    sent = heard = b""
    for n in range(200):
        tape.sent.put(n * 160, frame(n), "PCMA", n * 160)
        tape.heard.put(n * 160, frame(n), "PCMA", n * 160 + 900)
        if n % 50 == 7:
            piece = tape.cut(n * 160)
            assert len(piece[0]) == len(piece[1])
            sent, heard = sent + piece[0], heard + piece[1]
    piece = tape.end(200 * 160 + 900)
    sent, heard = sent + piece[0], heard + piece[1]
    whole = b"".join(frame(n) for n in range(200))
    assert sent[: len(whole)] == whole
    assert heard == (SILENCE["PCMA"][:1] * 900 + whole)[: len(heard)]
    assert len(sent) == len(heard)


def test_the_latest_packet_that_keeps_its_place_is_not_behind_the_cut() -> None:
    tape = Tape("PCMA", now=0)
    tape.heard.put(0, frame(1), "PCMA", 0)
    assert len(tape.cut(LAG + 160)[1]) == 160
    tape.heard.put(160, frame(3), "PCMA", SLACK + 160)
    assert tape.end(320)[1] == frame(3)


def test_another_law_is_translated() -> None:
    tape = Tape("PCMA", now=0)
    tape.heard.put(0, frame(9), "PCMU", 0)
    assert tape.end(160)[1] == frame(9).translate(ULAW_TO_ALAW)
