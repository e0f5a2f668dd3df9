"""A process full of phones: `python -m server.demo.phones`, its orders as JSON on standard input.

It says `ready` once all are registered, and goes on until its standard input ends: when who
started it has gone, for whatever reason, so has it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import threading
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from ivr.media.g711 import Pcm
from server.demo.acts import Scene, play
from server.demo.diary import Diary
from server.demo.ear import load
from server.demo.people import Act, Person
from server.demo.phone import Call, Phone

READY = "ready"


@dataclass(frozen=True, slots=True)
class Orders:
    """What a process of phones is told: whose they are, and where the carrier is."""

    carrier_host: str
    carrier_port: int
    password: str
    people: tuple[Person, ...]
    diary: str  # a file
    sounds: str  # a folder with hello.wav and greeting.wav
    heard: str  # a folder: what was heard is kept here

    def to_json(self) -> str:
        """Write the orders on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Orders:
        """Read what `to_json` wrote."""
        orders = json.loads(text)
        people = orders.pop("people")
        return cls(
            people=tuple(Person(p["number"], tuple(map(Act, p["acts"]))) for p in people), **orders
        )


class PhoneOwner:
    """A person with a phone: takes calls, one act after the other, and keeps the diary."""

    def __init__(
        self, person: Person, orders: Orders, sounds: Mapping[str, Pcm], diary: Diary
    ) -> None:
        self._person = person
        self._sounds = sounds
        self._diary = diary
        self._heard = Path(orders.heard)
        self._calls = itertools.count()
        self.phone = Phone(
            (orders.carrier_host, orders.carrier_port),
            person.number,
            orders.password,
            self._take,
            inband_only=person.inband_only,
        )

    def _take(self, call: Call) -> None:
        turn = next(self._calls)
        act = self._person.act(turn)
        note = partial(self._note, call)
        note("rang", act=act)
        play(act, Scene(call, self._sounds, note))
        if call.ear.heard_anything:
            path = self._heard / f"{self._person.number.removeprefix('+')}-{turn + 1}.wav"
            call.ear.save(path)
            note("heard", seconds=round(call.ear.speech_seconds, 2), file=path.name)

    def _note(self, call: Call, what: str, **detail: object) -> None:
        self._diary.note(what, self._person.number, call.call_id, **detail)


def run(orders: Orders) -> None:
    """Register every phone, say so, and let them ring until standard input ends."""
    diary = Diary(Path(orders.diary))
    sounds = {name: load(Path(orders.sounds) / f"{name}.wav") for name in ("hello", "greeting")}
    owners = [PhoneOwner(person, orders, sounds, diary) for person in orders.people]
    try:
        for owner in owners:
            owner.phone.start()
        print(READY, flush=True)  # noqa: T201  what the one who started this waits for
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()
    finally:
        _stop(owners)
        diary.close()


def _stop(owners: list[PhoneOwner]) -> None:
    """Hang up and deregister everyone, at the same time: each may have to wait for the carrier."""
    stopping = [threading.Thread(target=owner.phone.stop) for owner in owners]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # pyVoIP warns of every packet it cannot send after hanging up
    run(Orders.from_json(sys.stdin.readline()))
