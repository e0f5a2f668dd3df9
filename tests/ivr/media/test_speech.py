"""espeak-ng as a voice: what it writes, and one sentence for each way it can fail."""

from __future__ import annotations

import asyncio
import os
import wave
from pathlib import Path

import pytest

from ivr.media.errors import SpeechError
from ivr.media.speech import MAX_CHARACTERS, EspeakVoice


def script(folder: Path, body: str) -> str:
    """A program of our own in espeak's place."""
    path = folder / "espeak-ng"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.peer
@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Xin chào anh chị, đây là tổng đài.", "vi"),
        ("Good morning, this is a test.", "en"),
        ("-v en; $(touch pwned) `touch pwned` '\"\\ \n", "en"),
    ],
)
async def test_a_text_becomes_sound(text: str, language: str, tmp_path: Path) -> None:
    out = tmp_path / "speech.wav"
    await EspeakVoice().speak(text, language, out)
    with wave.open(str(out)) as sound:
        assert sound.getnchannels() == 1
        assert sound.getnframes() > sound.getframerate() * 0.5
    assert names(tmp_path) == ["speech.wav"]


async def test_the_text_travels_by_standard_input_only(tmp_path: Path) -> None:
    program = script(tmp_path, f'echo "$@" > {tmp_path}/args; cat > {tmp_path}/text')
    await EspeakVoice(program=program, words_per_minute=140, pitch=40).speak(
        "--help tiếng Việt", "vi", tmp_path / "out.wav"
    )
    args = (tmp_path / "args").read_text().split()
    assert args == f"-v vi -s 140 -p 40 -b 1 --stdin -w {tmp_path}/out.wav".split()
    assert (tmp_path / "text").read_text() == "--help tiếng Việt"


@pytest.mark.parametrize(
    ("text", "language", "sentence"),
    [
        ("", "vi", "there is nothing to speak: the text is empty"),
        (" \n", "vi", "there is nothing to speak: the text is empty"),
        ("a" * (MAX_CHARACTERS + 1), "vi", "a text of 5001 characters is too long to speak"),
        ("bonjour", "fr", "no voice speaks 'fr'; the languages are: vi, en"),
    ],
)
async def test_what_cannot_be_spoken(
    text: str, language: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(SpeechError, match=sentence):
        await EspeakVoice().speak(text, language, tmp_path / "out.wav")


async def test_without_espeak_the_sentence_says_what_to_install(tmp_path: Path) -> None:
    voice = EspeakVoice(program=str(tmp_path / "espeak-ng"))
    with pytest.raises(SpeechError, match=r"is not installed.*apt install espeak-ng"):
        await voice.speak("a lô", "vi", tmp_path / "out.wav")


async def test_a_failing_program_is_quoted(tmp_path: Path) -> None:
    voice = EspeakVoice(program=script(tmp_path, "cat >/dev/null; echo no such voice >&2; exit 1"))
    with pytest.raises(SpeechError, match="could not speak 'a lô': no such voice"):
        await voice.speak("a lô", "vi", tmp_path / "out.wav")


async def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    voice = EspeakVoice(program=script(tmp_path, "exec sleep 1000"), timeout=0.1)
    with pytest.raises(SpeechError, match=r"did not finish speaking 'a lô' in 0\.1 s"):
        await voice.speak("a lô", "vi", tmp_path / "out.wav")


async def test_a_cancelled_request_leaves_no_process(tmp_path: Path) -> None:
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    program = script(tmp_path, f"echo $$ > {fifo}; exec sleep 1000")
    speaking = asyncio.create_task(EspeakVoice(program=program).speak("x", "vi", tmp_path / "o"))
    pid = await asyncio.to_thread(fifo.read_text)
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
