"""A carrier and phones as real processes, and a caller in the test."""

from __future__ import annotations

import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ivr.media.g711 import Pcm
from ivr.media.tones import tone
from server.demo import carrier, diary, phones
from server.demo.people import Act, Person
from tests.demo.caller import Caller

PEOPLE = tuple(Person(f"+849120001{n:02d}", (act,)) for n, act in enumerate(Act))
NUMBER = {person.acts[0]: person.number for person in PEOPLE}


@dataclass
class World:
    """A carrier with its phones, and the folder of their diaries."""

    port: int
    folder: Path
    record_route: bool

    def diary(self, call_id: str) -> list[diary.Entry]:
        """What everyone wrote of one call so far."""
        return [entry for entry in diary.read_all(self.folder) if entry.call_id == call_id]


def write_wav(path: Path, sound: Pcm) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(sound.astype("<i2").tobytes())


def start(module: str, orders: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(orders + "\n")
    process.stdin.flush()
    return process, process.stdout.readline().strip()


def stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    process.stdout.close()


@pytest.fixture(scope="module", params=[True, False], ids=["record-route", "no-record-route"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    write_wav(folder / "hello.wav", tone(400, ms=300))
    write_wav(folder / "greeting.wav", tone(300, ms=1500))
    subscribers = tuple(p.number for p in PEOPLE if Act.UNKNOWN not in p.acts)
    exchange, port = start(
        "server.demo.carrier",
        carrier.Orders(
            numbers=subscribers,
            password="phone-password",
            customer="tongdai",
            customer_password="secret",
            diary=str(folder / "carrier.jsonl"),
            record_route=request.param,
        ).to_json(),
    )
    handsets, said = start(
        "server.demo.phones",
        phones.Orders(
            carrier_host="127.0.0.1",
            carrier_port=int(port),
            password="phone-password",
            people=tuple(person for person in PEOPLE if person.has_phone),
            diary=str(folder / "phones.jsonl"),
            sounds=str(folder),
            heard=str(folder),
        ).to_json(),
    )
    assert said == phones.READY
    yield World(int(port), folder, request.param)
    stop(handsets)
    stop(exchange)


@pytest.fixture
async def caller(world: World) -> AsyncIterator[Caller]:
    caller = Caller(world.port)
    await caller.open()
    yield caller
    await caller.close()
