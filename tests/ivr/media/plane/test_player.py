"""The queue of prompts of one call."""

from __future__ import annotations

import pytest

from ivr.media.clips import Clip
from ivr.media.events import PlayEnded
from ivr.media.player import Player


class Library:
    """Clips named after their content: "aab" is two frames of a and one of b."""

    def __init__(self) -> None:
        self.loading: dict[str, Clip] = {}

    def get(self, path: str) -> Clip:
        clip = Clip()
        if path.startswith("slow"):
            self.loading[path] = clip
        elif path == "missing":
            clip.failed = True
        else:
            clip.fill(tuple(letter.encode() * 160 for letter in path.split(".", maxsplit=1)[0]))
        return clip


class Listener:
    def __init__(self) -> None:
        self.library = Library()
        self.ended: list[PlayEnded] = []
        self.player = Player(self.library, self.ended.append)  # type: ignore[arg-type]  # stand-in

    def play(self, number: int, name: str, *, loop: bool = False, barge_in: bool = True) -> None:
        files = {"PCMA": f"{name}.a", "PCMU": f"{name.upper()}.u"}
        self.player.play(number, files, loop=loop, barge_in=barge_in)  # type: ignore[arg-type]

    def hear(self, periods: int) -> str:
        frames = [self.player.next_frame() for _ in range(periods)]
        assert all(frame is None or len(frame) == 160 for frame in frames)
        return "".join(chr(frame[0]) if frame else "." for frame in frames)


@pytest.fixture
def listener() -> Listener:
    listener = Listener()
    listener.player.use("PCMA")
    return listener


def test_prompts_follow_each_other_without_a_gap(listener: Listener) -> None:
    listener.play(1, "abc")
    listener.play(2, "de")
    assert listener.hear(3) == "abc"
    assert listener.ended == []  # the last frame is still being heard
    assert listener.hear(4) == "de.."
    assert listener.ended == [PlayEnded(1, "completed"), PlayEnded(2, "completed")]


def test_nothing_plays_before_the_codec_is_known() -> None:
    listener = Listener()
    listener.play(1, "ab")
    assert listener.hear(2) == ".."
    listener.player.use("PCMU")
    assert listener.hear(3) == "AB."


def test_another_codec_goes_on_at_the_same_place(listener: Listener) -> None:
    listener.play(1, "abc")
    assert listener.hear(1) == "a"
    listener.player.use("PCMU")
    assert listener.hear(3) == "BC."


def test_a_loop_gives_way_to_the_next_prompt(listener: Listener) -> None:
    listener.play(1, "ab", loop=True)
    assert listener.hear(5) == "ababa"
    listener.play(2, "c")
    assert listener.hear(3) == "bc."
    assert listener.ended == [PlayEnded(1, "stopped"), PlayEnded(2, "completed")]


def test_stop_ends_all(listener: Listener) -> None:
    listener.play(1, "abc")
    listener.play(2, "de", barge_in=False)
    listener.hear(1)
    listener.player.stop()
    assert listener.ended == [PlayEnded(1, "stopped"), PlayEnded(2, "stopped")]
    assert listener.hear(1) == "."
    assert not listener.player.playing


def test_a_key_ends_what_it_may(listener: Listener) -> None:
    listener.play(1, "abc")
    listener.play(2, "de")
    listener.play(3, "f", barge_in=False)
    listener.play(4, "g")
    listener.hear(1)
    listener.player.barge()
    assert listener.ended == [PlayEnded(1, "barged"), PlayEnded(2, "barged")]
    assert listener.hear(3) == "fg."


def test_a_file_that_is_still_being_read_is_waited_for(listener: Listener) -> None:
    listener.play(1, "slow")
    assert listener.hear(2) == ".."
    listener.library.loading["slow.a"].fill((b"x" * 160,))
    assert listener.hear(2) == "x."


def test_a_file_that_cannot_be_read_ends_its_prompt(listener: Listener) -> None:
    listener.player.play(1, {"PCMA": "missing"}, loop=True, barge_in=True)
    listener.play(2, "a")
    listener.hear(1)
    assert listener.ended == [PlayEnded(1, "failed")]
    assert listener.hear(1) == "a"


def test_an_empty_loop_ends(listener: Listener) -> None:
    listener.play(1, "", loop=True)
    assert listener.hear(2) == ".."
    assert listener.ended == [PlayEnded(1, "stopped")]
