"""Prompts: any file or text becomes G.711 at one loudness, once; bad input gets one sentence."""

from __future__ import annotations

import asyncio
import os
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from ivr.media import convert, g711
from ivr.media.convert import SPEECH_DBFS, speech_level
from ivr.media.errors import PromptError, SpeechError
from ivr.media.g711 import Pcm
from ivr.media.prompts import Prompt, PromptStore

pytestmark = pytest.mark.peer  # ffmpeg decodes every file

RATE = 8000


def tone(seconds: float, *, level: float = 0.1, hertz: float = 500, rate: int = RATE) -> Pcm:
    time = np.arange(int(seconds * rate)) / rate
    return (np.sin(2 * np.pi * hertz * time) * level * 32767).astype(np.int16)


def write_wav(path: Path, pcm: Pcm, *, rate: int = RATE, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(pcm, channels).tobytes())
    return path


def sound(prompt: Prompt) -> Pcm:
    return g711.decode(prompt.files["PCMA"].read_bytes(), "PCMA")


def loudest_hertz(pcm: Pcm) -> float:
    spectrum = np.abs(np.fft.rfft(pcm.astype(float)))
    return float(np.argmax(spectrum) * RATE / len(pcm))


class FakeVoice:
    """Speaks a tone, and counts."""

    def __init__(self, identity: str = "fake") -> None:
        self.identity = identity
        self.spoken: list[tuple[str, str]] = []

    async def speak(self, text: str, language: str, out: Path) -> None:
        self.spoken.append((text, language))
        await asyncio.to_thread(write_wav, out, tone(1.0))


@pytest.fixture
def store(tmp_path: Path) -> PromptStore:
    return PromptStore(tmp_path / "cache", voice=FakeVoice())


@pytest.mark.parametrize("extension", ["wav", "mp3", "ogg", "opus", "flac", "m4a", "aiff", "gsm"])
async def test_any_format_becomes_both_laws(
    store: PromptStore, tmp_path: Path, extension: str
) -> None:
    source = write_wav(tmp_path / "source.wav", tone(2, rate=44100), rate=44100, channels=2)
    file = source
    if extension != "wav":
        file = tmp_path / f"prompt.{extension}"
        rate = ["-ar", "8000", "-ac", "1"] if extension == "gsm" else []
        command = ["ffmpeg", "-v", "error", "-i", str(source), *rate, str(file)]
        await asyncio.to_thread(subprocess.run, command, check=True)
    prompt = await store.load(file)
    assert prompt.name == file.name
    assert prompt.seconds == pytest.approx(2, abs=0.1)
    sizes = {len(path.read_bytes()) for path in prompt.files.values()}
    assert sizes == {prompt.frames * 160}
    assert loudest_hertz(sound(prompt)) == pytest.approx(500, abs=3)
    ulaw = g711.decode(prompt.files["PCMU"].read_bytes(), "PCMU")
    assert np.max(np.abs(ulaw.astype(int) - sound(prompt))) < 1100


async def test_resampling_lets_nothing_fold_back(store: PromptStore, tmp_path: Path) -> None:
    """6 kHz is above what a telephone carries; badly resampled it would become 2 kHz."""
    mixed = tone(1, rate=48000) + tone(1, rate=48000, hertz=6000)
    prompt = await store.load(write_wav(tmp_path / "p.wav", mixed, rate=48000))
    spectrum = np.abs(np.fft.rfft(sound(prompt)[:RATE].astype(float)))
    assert spectrum[1990:2010].max() < spectrum[490:510].max() / 100


async def test_a_prompt_is_padded_to_whole_frames(store: PromptStore, tmp_path: Path) -> None:
    prompt = await store.load(write_wav(tmp_path / "p.wav", tone(0.5)[:1672]))
    assert prompt.frames == 11
    assert prompt.files["PCMA"].read_bytes()[-80:] == b"\xd5" * 80


async def test_a_known_prompt_is_not_prepared_again_and_a_changed_one_is(
    store: PromptStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_wav(tmp_path / "p.wav", tone(1))
    first = await store.load(file)
    real = convert.read_sound
    read: list[Path] = []
    monkeypatch.setattr(
        "ivr.media.prompts.read_sound",
        lambda path, limit: (read.append(path), real(path, limit))[1],
    )
    assert await store.load(file) == first
    copy = write_wav(tmp_path / "copy.wav", tone(1))
    assert (await store.load(copy)).files == first.files
    assert read == []
    write_wav(file, tone(1, hertz=700))
    assert (await store.load(file)).files != first.files
    assert read == [file]


async def test_a_damaged_cache_is_mended(store: PromptStore, tmp_path: Path) -> None:
    file = write_wav(tmp_path / "p.wav", tone(1))
    first = await store.load(file)
    whole = first.files["PCMU"].read_bytes()
    first.files["PCMU"].write_bytes(whole[:1000])
    assert await store.load(file) == first
    assert first.files["PCMU"].read_bytes() == whole


async def test_many_requests_at_once_prepare_once(tmp_path: Path) -> None:
    voice = FakeVoice()
    store = PromptStore(tmp_path / "cache", voice=voice)
    prompts = await asyncio.gather(*(store.say("a lô") for _ in range(20)))
    assert len(voice.spoken) == 1
    assert len({prompt.files["PCMA"] for prompt in prompts}) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 2


async def test_one_impatient_caller_does_not_spoil_it_for_others(tmp_path: Path) -> None:
    store = PromptStore(tmp_path / "cache", voice=FakeVoice())
    impatient = asyncio.create_task(store.say("a lô"))
    patient = asyncio.create_task(store.say("a lô"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).frames == 50
    assert impatient.cancelled()


async def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    class Moody(FakeVoice):
        async def speak(self, text: str, language: str, out: Path) -> None:
            if not self.spoken:
                self.spoken.append((text, language))
                raise SpeechError("not in the mood")
            await super().speak(text, language, out)

    store = PromptStore(tmp_path / "cache", voice=Moody())
    failed = await asyncio.gather(*(store.say("a lô") for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in failed] == ["not in the mood"] * 3
    assert (await store.say("a lô")).frames == 50


async def test_text_language_and_voice_each_make_another_prompt(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    store, other = (PromptStore(cache, voice=FakeVoice(name)) for name in ("one", "two"))
    prompts = [
        await store.say("a lô"),
        await store.say("a lô", "en"),
        await store.say("a lô ạ"),
        await other.say("a lô"),
    ]
    assert len({prompt.files["PCMA"] for prompt in prompts}) == 4
    assert prompts[2].name == "a lô ạ"


async def test_espeak_speaks_vietnamese_by_default(tmp_path: Path) -> None:
    prompt = await PromptStore(tmp_path / "cache").say("Xin chào, đây là tổng đài Tong dai.")
    assert 1 < prompt.seconds < 6
    assert 20 * np.log10(speech_level(sound(prompt) / np.float32(32768))) == pytest.approx(
        SPEECH_DBFS, abs=1.5
    )


async def test_samples_are_kept_as_they_are(store: PromptStore) -> None:
    beep = tone(0.2, level=0.03, hertz=1000)
    prompt = await store.from_pcm("beep", beep)
    assert (prompt.name, prompt.frames, prompt.seconds) == ("beep", 10, 0.2)
    assert np.array_equal(sound(prompt), g711.decode(g711.encode(beep, "PCMA"), "PCMA"))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.wav", None, "cannot be read: No such file or directory"),
        ("empty.mp3", b"", "is empty"),
        ("text.wav", b"hello, I am no sound\n" * 50, "is not a sound file that ffmpeg can read"),
        ("text.mp3", b"hello, I am no sound\n" * 50, "is not a sound file that ffmpeg can read"),
        ("noise.ogg", os.urandom(3000), "is not a sound file that ffmpeg can read"),
        ("picture.png", bytes.fromhex(
            "89504e470d0a1a0a0000000d49484452000000010000000108020000009077 53de"
            "0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
        ), "is not a sound file that ffmpeg can read"),
    ],
)  # fmt: skip
async def test_what_is_no_sound_gets_one_sentence(
    store: PromptStore, tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PromptError) as caught:
        await store.load(file)
    assert str(caught.value).startswith(f"{file} {sentence}")
    assert "\n" not in str(caught.value)


async def test_a_wav_without_samples_has_no_sound(store: PromptStore, tmp_path: Path) -> None:
    file = write_wav(tmp_path / "p.wav", np.zeros(0, np.int16))
    with pytest.raises(PromptError, match=r"has no sound in it|is not a sound file"):
        await store.load(file)


async def test_a_folder_is_not_a_sound_file(store: PromptStore, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="is not a file"):
        await store.load(tmp_path)


async def test_too_long_a_sound_is_refused(tmp_path: Path) -> None:
    store = PromptStore(tmp_path / "cache", max_seconds=2)
    assert (await store.load(write_wav(tmp_path / "fits.wav", tone(2)))).seconds == 2
    with pytest.raises(PromptError, match="is longer than 2 s, the most a prompt may be"):
        await store.load(write_wav(tmp_path / "long.wav", tone(2.5)))


async def test_too_large_a_file_is_not_even_read(
    store: PromptStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "MAX_FILE_BYTES", 1 << 20)
    file = tmp_path / "huge.wav"
    with file.open("wb") as sparse:
        sparse.truncate(3 << 20)
    with pytest.raises(PromptError, match="is 3 MiB large, and a prompt 1 at most"):
        await store.load(file)


async def test_without_ffmpeg_the_sentence_says_what_to_install(
    store: PromptStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_wav(tmp_path / "p.wav", tone(1))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PromptError, match=r"ffmpeg is not installed; install it \(apt install"):
        await store.load(file)


async def test_a_cache_that_cannot_be_written_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("I am in the way")
    store = PromptStore(tmp_path / "cache", voice=FakeVoice())
    with pytest.raises(
        PromptError, match=r"the prompt cache .*cache cannot be written: File exists"
    ):
        await store.from_pcm("beep", tone(1))
