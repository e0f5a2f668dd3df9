"""The whole server as a process: it starts, is found, and stops with 0; or says why not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.app import secrets_of
from server.client import Client, ServerNotRunning
from server.config import parse

DEADLINE = 90.0  # seconds: a limit for a machine that is busy, not an expectation
CONFIG = """
[sip]
bind = "127.0.0.1:0"
[http]
bind = "127.0.0.1:0"
[[trunk]]
name = "carrier"
host = "127.0.0.1:{port}"
qualify = 0
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "tongdai.toml").write_text(CONFIG.format(port=5099))
    return tmp_path


class Process:
    """`tongdai serve` as a process of its own; its log is read as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self, part: str) -> str:
        """The next line of the log that has this in it."""
        assert self.process.stderr is not None
        while text := (await self.process.stderr.readline()).decode():
            self.lines.append(text)
            if part in text:
                return text
        raise AssertionError(f"no line with {part!r} in: {''.join(self.lines)}")

    async def end(self) -> int:
        """Its exit code, once it has ended."""
        assert self.process.stderr is not None
        self.lines.append((await self.process.stderr.read()).decode())
        return await self.process.wait()


@contextlib.asynccontextmanager
async def serving(home: Path, *options: str) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "cli", "--home", str(home), "serve", *options]
    made = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(DEADLINE):
            yield Process(made)
    finally:
        if made.returncode is None:
            made.kill()
            await made.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "style"), [(signal.SIGTERM, "text"), (signal.SIGINT, "json")])
async def test_it_starts_is_found_and_stops_with_0(
    home: Path, number: signal.Signals, style: str
) -> None:
    async with serving(home, "--log-format", style) as server:
        line = await server.line("listening for SIP on udp:127.0.0.1:")
        if style == "json":
            assert json.loads(line)["logger"] == "server.app"
        assert await asyncio.to_thread((home / "tongdai.db").exists)
        client = Client(home)
        status = await asyncio.to_thread(client.status)
        assert status["pid"] == server.process.pid
        assert [trunk["name"] for trunk in status["trunks"]] == ["carrier"]
        health = await asyncio.to_thread(client.health)
        assert (health["database"], health["media"]) == ("ok", "ok")
        await asyncio.to_thread(client.wake)
        server.process.send_signal(number)
        assert await server.end() == 0
        assert "stopped" in server.lines[-1].splitlines()[-1]
    with pytest.raises(ServerNotRunning):
        await asyncio.to_thread(client.status)


@pytest.mark.slow
async def test_a_second_one_on_the_same_home_is_refused(home: Path) -> None:
    async with serving(home) as first:
        await first.line("listening")
        async with serving(home) as second:
            assert await second.end() == 1
            assert second.lines == [
                f"tongdai: A Tongdai server (process {first.process.pid}) runs on {home} already: "
                "stop it first, or name another folder with --home.\n"
            ]
        first.process.terminate()
        assert await first.end() == 0


@pytest.mark.slow
@pytest.mark.parametrize("key", ["sip", "http"])
async def test_a_port_that_is_taken_is_one_sentence(home: Path, key: str) -> None:
    kind = socket.SOCK_DGRAM if key == "sip" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if key == "http":
            taken.listen()
        port = taken.getsockname()[1]
        config = CONFIG.format(port=5099).replace(
            f'[{key}]\nbind = "127.0.0.1:0"', f'[{key}]\nbind = "127.0.0.1:{port}"'
        )
        await asyncio.to_thread((home / "tongdai.toml").write_text, config)
        async with serving(home) as server:
            assert await server.end() == 1
    name = {"sip": f"SIP cannot listen on udp 127.0.0.1:{port}", "http": "HTTP cannot listen"}[key]
    [sentence] = [text for text in server.lines[-1].splitlines() if text.startswith("tongdai: ")]
    assert sentence.startswith(f"tongdai: tongdai.toml: [{key}] bind: {name}")
    assert f"127.0.0.1:{port}: Address already in use. " in sentence
    assert sentence.endswith("Stop the program that has that port, or choose another.")


def test_every_secret_of_a_configuration_is_known() -> None:
    config = parse(
        'database = "postgresql://tongdai:db-pass@db/tongdai"\n'
        '[[trunk]]\nname = "a"\nhost = "h"\nusername = "u"\npassword = "trunk-pass"\n'
        '[[trunk]]\nname = "b"\nhost = "h"\n'
        '[[user]]\nname = "agent"\npassword_env = "AGENT"\n'
    )
    assert secrets_of(config, {"AGENT": "agent-pass", **os.environ}) == {
        "db-pass",
        "trunk-pass",
        "agent-pass",
    }
