"""What a person does with a ringing phone. Each act runs in the thread of its call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyVoIP.VoIP import InvalidStateError

from ivr.media.g711 import Pcm
from ivr.media.tones import beep, dtmf
from server.demo.people import Act
from server.demo.phone import Call

PATIENCE = 60.0  # seconds in which everything must have happened
MAKES_UP_HIS_MIND = 2.0  # seconds of speech heard before a key is pressed
KEY_MS = 150


@dataclass(frozen=True, slots=True)
class Scene:
    """One call, what its callee can say, and the diary to note what happens."""

    call: Call
    sounds: Mapping[str, Pcm]  # "hello" and "greeting"
    note: Callable[..., None]

    def pick_up(self, sound: str) -> None:
        """Answer and speak. Raises InvalidStateError if the caller has given up."""
        self.call.answer()
        self.note("answered")
        self.call.say(self.sounds[sound])

    def listen(self) -> None:
        """Wait until the caller hangs up; hang up after a minute of waiting in vain."""
        if self.call.over.wait(PATIENCE):
            self.note("caller hung up")
        else:
            self.hang_up()

    def hang_up(self) -> None:
        """Hang up, unless the caller was quicker."""
        try:
            self.call.hangup()
        except InvalidStateError:
            self.note("caller hung up")
        else:
            self.note("hung up")

    def refuse(self, status: int, reason: str) -> None:
        """Do not take the call."""
        if self.call.refuse(status, reason):
            self.note("refused", status=status)
        else:
            self.note("caller gave up")

    def hear_enough(self) -> bool:
        """Listen until there was something to make up one's mind about; False if it ended first."""
        waited = 0.0
        while self.call.ear.speech_seconds < MAKES_UP_HIS_MIND and waited < PATIENCE:
            if self.call.over.wait(0.05):
                return False
            waited += 0.05
        return waited < PATIENCE


def play(act: Act, scene: Scene) -> None:
    """Take a call as `act` says."""
    try:
        _PLAYS[act](scene)
    except InvalidStateError:
        scene.note("caller gave up")


def _listens(scene: Scene) -> None:
    scene.pick_up("hello")
    scene.listen()


def _presses(key: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.pick_up("hello")
        if scene.hear_enough() and scene.call.press(key):
            scene.note("pressed", key=key, how="telephone-event")
        scene.listen()

    return act


def _presses_inband(key: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.pick_up("hello")
        if scene.hear_enough():
            scene.call.say(dtmf(key, tone_ms=KEY_MS))
            scene.note("pressed", key=key, how="in-band")
        scene.listen()

    return act


def _hangs_up(scene: Scene) -> None:
    scene.call.answer()
    scene.note("answered")
    scene.hang_up()


def _machine(scene: Scene) -> None:
    scene.pick_up("greeting")
    scene.call.say(beep())
    scene.listen()


def _no_answer(scene: Scene) -> None:
    if scene.call.over.wait(PATIENCE):
        scene.note("caller gave up")
    else:
        scene.refuse(480, "Temporarily Unavailable")


def _refuses(status: int, reason: str) -> Callable[[Scene], None]:
    return lambda scene: scene.refuse(status, reason)


_PLAYS: dict[Act, Callable[[Scene], None]] = {
    Act.LISTENS: _listens,
    Act.PRESSES_1: _presses("1"),
    Act.PRESSES_1_INBAND: _presses_inband("1"),
    Act.PRESSES_2: _presses("2"),
    Act.HANGS_UP: _hangs_up,
    Act.MACHINE: _machine,
    Act.BUSY: _refuses(486, "Busy Here"),
    Act.NO_ANSWER: _no_answer,
    Act.DECLINES: _refuses(603, "Decline"),
}
