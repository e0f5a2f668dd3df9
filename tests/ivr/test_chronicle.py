"""What a call's events make of its record, without any call."""

import uuid

import pytest

from ivr.chronicle import Chronicle
from ivr.media.events import MediaReport
from ivr.result import Result
from ivr.sip.session_events import Failed, Ringing
from ivr.story import CallStory, StoryEvent


class Steady:
    """A steady clock, turned by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def events() -> list[StoryEvent]:
    return []


@pytest.fixture
def clock() -> Steady:
    return Steady()


def chronicle(events: list[StoryEvent], clock: Steady, *, direction: str = "out") -> Chronicle:
    story = CallStory(uuid.uuid4(), direction, "+84912345678")  # type: ignore[arg-type]
    return Chronicle(story, events.append, steady=clock)


def test_times_go_forward_by_the_steady_clock_only(events: list[StoryEvent], clock: Steady) -> None:
    told = chronicle(events, clock)
    told.invited("0912345678", "call-id")
    clock.seconds = 2.5
    told.rings(Ringing(180, "Ringing", None))
    clock.seconds = 4.0
    told.accepted()
    clock.seconds = 10.0
    told.hung_up("them")
    story = told.conclude(MediaReport())
    assert story.invited_at is not None
    assert story.ringing_at is not None
    assert story.answered_at is not None
    assert story.ended_at is not None
    assert (story.ringing_at - story.invited_at).total_seconds() == 2.5
    assert (story.ended_at - story.answered_at).total_seconds() == 6.0
    assert [event.kind for event in events] == ["invite", "ringing", "answered", "end"]
    assert story.result is Result.ANSWERED


def test_it_rings_once_however_often_we_are_told(events: list[StoryEvent], clock: Steady) -> None:
    told = chronicle(events, clock)
    for status in (181, 180, 180, 183):
        clock.seconds += 1
        told.rings(Ringing(status, "", None))
    assert [event.kind for event in events] == ["ringing"]
    assert told.facts.provisionals == 4


@pytest.mark.parametrize(
    ("given_up", "local", "by"),
    [(True, False, "us"), (True, True, "us"), (False, True, "network"), (False, False, "them")],
)
def test_whose_doing_it_was(
    events: list[StoryEvent], clock: Steady, given_up: bool, local: bool, by: str
) -> None:
    told = chronicle(events, clock)
    if given_up:
        told.gives_up()
    assert told.failed(Failed(487, "Request Terminated", local=local)) == by


def test_what_the_network_said_is_noted_printably(events: list[StoryEvent], clock: Steady) -> None:
    told = chronicle(events, clock)
    told.failed(Failed(503, "No\x00thing\r\n", (("reason", 'Q.850;cause=34;text="\x07full"'),)))
    assert told.story.sip_reason == "Nothing"
    assert told.story.note == 'Q.850;cause=34;text="full"'
    assert told.conclude(MediaReport()).result is Result.CONGESTION


def test_a_call_picked_up_as_we_gave_up_says_so(events: list[StoryEvent], clock: Steady) -> None:
    told = chronicle(events, clock)
    told.rings(Ringing(180, "", None))
    told.gives_up()
    told.failed(Failed(487, "", local=True, answered_late=True))
    story = told.conclude(MediaReport())
    assert (story.result, story.note) == (Result.NO_ANSWER, "answered just as it was given up")


def test_the_first_kind_of_key_counts(events: list[StoryEvent], clock: Steady) -> None:
    told = chronicle(events, clock)
    assert told.pressed("1", "rfc4733")
    assert not told.pressed("1", "info")
    assert told.pressed("2", "rfc4733")
    assert told.story.keys == "12"


def test_the_first_note_stays(events: list[StoryEvent], clock: Steady) -> None:
    told = chronicle(events, clock)
    told.blame_ourselves("the media worker died")
    told.note("and something else")
    assert told.story.note == "the media worker died"
    assert told.conclude(MediaReport()).result is Result.FAILED


@pytest.mark.parametrize(
    ("answered", "result"), [(True, Result.ANSWERED), (False, Result.NO_ANSWER)]
)
def test_an_incoming_call_got_through_or_did_not(
    events: list[StoryEvent], clock: Steady, answered: bool, result: Result
) -> None:
    told = chronicle(events, clock, direction="in")
    if answered:
        told.accepted()
    assert told.conclude(MediaReport()).result is result


def test_audio_nobody_sent_has_no_quality(events: list[StoryEvent], clock: Steady) -> None:
    told = chronicle(events, clock)
    story = told.conclude(MediaReport(packets_sent=10))
    assert (story.packets_sent, story.mos, story.jitter_ms) == (10, None, None)
