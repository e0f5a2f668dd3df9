"""What the demonstration needs before it can begin: a home, sounds, and orders for everyone."""

from __future__ import annotations

import secrets
import shutil
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ivr.media.g711 import Pcm, decode
from ivr.media.prompts import Prompt, PromptStore
from ivr.media.rtp import CLOCK_RATE
from server import config
from server.demo import carrier, phones
from server.demo.people import Act, Person
from server.demo.stage import DemoFailed

CONTACTS = Path(__file__).parents[2] / "examples" / "contacts-vn.csv"
PHONE_PROCESSES = 2
MESSAGE = (
    "Xin chào quý khách. Gói cước mùa hè giảm nửa giá. "
    "Quan tâm, bấm một. Không muốn nhận cuộc gọi, bấm hai."
)
_SOUNDS = {
    "hello": "A lô.",
    "greeting": "Xin chào, đây là hộp thư thoại. Hiện tôi không nghe máy được. "
    "Xin để lại lời nhắn sau tiếng bíp.",
}

_CONFIGURATION = """\
# Written by `tongdai demo`. Everything stays on this machine.
region = "VN"
[sip]
bind = "127.0.0.1:0"
[http]
bind = "127.0.0.1:0"
[compliance]
preset = "none"  # the demonstration runs at any hour of the day; in Vietnam: "vn"
[[trunk]]
name = "carrier"
host = "127.0.0.1:{port}"
username = "{customer}"
password = "{password}"
caller_ids = ["+842873000000", "+842873000001"]
max_calls = 50
calls_per_second = 15
qualify = 5
"""


@dataclass(frozen=True, slots=True)
class Props:
    """The files of one demonstration, and the passwords of its carrier's customers."""

    home: Path
    customer: str = "tongdai"
    customer_password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    phone_password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)

    @property
    def folder(self) -> Path:
        """Where diaries, logs and sounds are."""
        return self.home / "demo"

    @property
    def contacts(self) -> Path:
        """The copy of the contacts that is imported; what is refused is written beside it."""
        return self.home / CONTACTS.name

    @property
    def heard(self) -> Path:
        """Where the phones keep what they heard."""
        return self.folder / "heard"

    def lay_out(self) -> None:
        """Make the home afresh. Raises DemoFailed rather than touch a folder of another kind."""
        if not CONTACTS.is_file():
            raise DemoFailed(
                f"There is no {CONTACTS}: run the demonstration from a checkout of Tongdai."
            )
        if self.home.exists() and any(self.home.iterdir()):
            if not self.folder.is_dir():
                raise DemoFailed(
                    f"{self.home} is not empty and not of an earlier demonstration: give another "
                    "folder with --home."
                )
            shutil.rmtree(self.home)
        self.heard.mkdir(parents=True)
        shutil.copy(CONTACTS, self.contacts)
        self.configure(carrier_port=5060)

    def configure(self, carrier_port: int) -> None:
        """Write tongdai.toml with the carrier at this port."""
        text = _CONFIGURATION.format(
            port=carrier_port, customer=self.customer, password=self.customer_password
        )
        (self.home / config.FILE).write_text(text, encoding="utf-8")

    async def record_voices(self) -> None:
        """Speak what the people say, and the message: the phones need it, and so does the check."""
        for name, text in _SOUNDS.items():
            _write(self.folder / f"{name}.wav", _samples(await self._prompts.say(text)))

    async def message(self) -> Pcm:
        """Return the message as it goes over the wire."""
        return _samples(await self._prompts.say(MESSAGE))

    @property
    def _prompts(self) -> PromptStore:
        return PromptStore(self.folder / "prompts")

    def carrier_orders(self, people: Sequence[Person]) -> carrier.Orders:
        """Return what the carrier is told. A number that was given up is not its subscriber's."""
        return carrier.Orders(
            numbers=tuple(p.number for p in people if Act.UNKNOWN not in p.acts),
            password=self.phone_password,
            customer=self.customer,
            customer_password=self.customer_password,
            diary=str(self.folder / "carrier.jsonl"),
        )

    def phone_orders(self, people: Sequence[Person], carrier_port: int) -> Iterator[phones.Orders]:
        """Yield what each process of phones is told."""
        owners = [person for person in people if person.has_phone]
        for n in range(PHONE_PROCESSES):
            yield phones.Orders(
                carrier_host="127.0.0.1",
                carrier_port=carrier_port,
                password=self.phone_password,
                people=tuple(owners[n::PHONE_PROCESSES]),
                diary=str(self.folder / f"phones-{n + 1}.jsonl"),
                sounds=str(self.folder),
                heard=str(self.heard),
            )


def _samples(prompt: Prompt) -> Pcm:
    return decode(prompt.files["PCMA"].read_bytes(), "PCMA")


def _write(path: Path, sound: Pcm) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CLOCK_RATE)
        file.writeframes(sound.astype("<i2").tobytes())
