"""SIPp as the other side: scenarios in, exit code and message log out."""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

DEADLINE = 20.0  # seconds for a scenario

needs_sipp = pytest.mark.skipif(
    shutil.which("sipp") is None, reason="SIPp is not installed: apt-get install sip-tester"
)


@dataclass(frozen=True)
class Outcome:
    code: int  # 0: every call went as the scenario says
    output: str
    messages: str  # what SIPp sent and received


def free_port() -> int:
    """A UDP port nobody has now; SIPp cannot be asked which one it took."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sipp:
    """One run of SIPp; `port` is where it listens."""

    def __init__(self, folder: Path, port: int, process: asyncio.subprocess.Process) -> None:
        self.port = port
        self._folder = folder
        self._process = process

    @classmethod
    async def start(
        cls,
        folder: Path,
        scenario: str,
        *arguments: str,
        transport: str = "udp",
        target: str = "",
        calls: int = 1,
    ) -> Sipp:
        """Start SIPp in `folder`; without a `target` it waits for calls, and listens already."""
        await asyncio.to_thread((folder / "scenario.xml").write_text, scenario)
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            "sipp",
            *(["-sf", "scenario.xml", "-i", "127.0.0.1", "-p", str(port), "-m", str(calls)]),
            *(["-nostdin", "-trace_msg", "-message_file", "messages.log", "-timeout", "15s"]),
            *(["-timeout_error", "-t", "t1" if transport == "tcp" else "u1", *arguments]),
            *([target] if target else []),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        sipp = cls(folder, port, process)
        if not target:
            await sipp._listening(transport)
        return sipp

    async def finish(self) -> Outcome:
        try:
            async with asyncio.timeout(DEADLINE):
                output, _ = await self._process.communicate()
        except TimeoutError:
            self._process.kill()
            output, _ = await self._process.communicate()
        log = self._folder / "messages.log"
        text = await asyncio.to_thread(log.read_text, "utf-8", "replace") if log.exists() else ""
        assert self._process.returncode is not None
        return Outcome(self._process.returncode, output.decode("utf-8", "replace"), text)

    async def _listening(self, transport: str) -> None:
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        async with asyncio.timeout(DEADLINE):
            while _is_free(self.port, kind):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.02)


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_HEADERS = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag[call_number]
To: <sip:tongdai@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
Max-Forwards: 70
Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>
Content-Length: 0
"""

_ECHO = """[last_Via:]
[last_From:]
[last_To:];tag=[pid]SIPp[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>
Content-Length: 0
"""


def _scenario(*steps: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n'
        f'<scenario name="test">\n{"".join(steps)}</scenario>\n'
    )


def send(method: str, cseq: str, *, retrans: bool = True, uri: str = "tongdai") -> str:
    """A request, repeated like RFC 3261 says unless it is an ACK."""
    again = ' retrans="500"' if retrans else ""
    return (
        f"<send{again}><![CDATA[\n"
        f"{method} sip:{uri}@[remote_ip]:[remote_port] SIP/2.0\n"
        f"{_HEADERS}CSeq: {cseq} {method}\n\n]]></send>\n"
    )


def reply(status: str) -> str:
    return f"<send><![CDATA[\nSIP/2.0 {status}\n{_ECHO}\n]]></send>\n"


def repeated_reply(status: str) -> str:
    """A final response, repeated by SIPp until the ACK."""
    return reply(status).replace("<send>", '<send retrans="500">')


def expect(what: str | int, *, optional: bool = False) -> str:
    kind = "response" if isinstance(what, int) else "request"
    extra = ' optional="true"' if optional else ""
    return f'<recv {kind}="{what}"{extra}/>\n'


def pause(milliseconds: int) -> str:
    return f'<pause milliseconds="{milliseconds}"/>\n'


UAC_ANSWERED = _scenario(
    send("INVITE", "1"),
    expect(100, optional=True),
    expect(180),
    expect(200),
    send("ACK", "1", retrans=False),
    send("BYE", "2"),
    expect(200),
)
# The ACK comes late, so that with T1 = 0.2 s the 486 has to be repeated (at 0.2 and 0.6 s) until
# it does, and not after it (at 1.4 s). SIPp's branches count the steps: step 4 takes that of 0.
UAC_BUSY = _scenario(
    send("INVITE", "1"),
    expect(100, optional=True),
    expect(486),
    pause(900),
    send("ACK", "1", retrans=False).replace("[branch]", "[branch-4]"),
    pause(900),
)
UAS_ANSWERED = _scenario(
    expect("INVITE"),
    reply("180 Ringing"),
    repeated_reply("200 OK"),
    expect("ACK"),
    expect("BYE"),
    reply("200 OK"),
)
UAS_BUSY = _scenario(expect("INVITE"), repeated_reply("486 Busy Here"), expect("ACK"))
UAS_CANCELLED = _scenario(
    expect("INVITE"),
    reply("180 Ringing"),
    expect("CANCEL"),
    reply("200 OK"),
    repeated_reply("487 Request Terminated").replace("[last_CSeq:]", "CSeq: 1 INVITE"),
    expect("ACK"),
)
