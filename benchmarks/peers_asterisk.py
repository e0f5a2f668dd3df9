"""Asterisk, where it is installed: answers over PJSIP and plays one A-law file again and again."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from benchmarks.callees import Callee, Missing
from benchmarks.phones import PROMPT_MS
from ivr.media import tones
from ivr.media.g711 import encode
from tests.peers.process import free_port, running, udp_bound

_CONFIGURATION: Final = {
    "asterisk.conf": """[directories]
astetcdir => {folder}
astdbdir => {folder}
astspooldir => {folder}
astrundir => {folder}
astlogdir => {folder}
""",
    "modules.conf": "[modules]\nautoload=yes\n",
    "pjsip.conf": """[udp]
type=transport
protocol=udp
bind=127.0.0.1:{port}
[anonymous]
type=endpoint
context=play
disallow=all
allow=alaw
""",
    "extensions.conf": """[play]
exten => _X.,1,Answer()
same => n(again),Playback({folder}/prompt)
same => n,Goto(again)
""",
}


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Callee]:
    """Run Asterisk with a configuration of its own. Raises Missing."""
    program = shutil.which("asterisk", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        raise Missing("asterisk is not installed")
    home = folder / "asterisk"
    home.mkdir()
    port = free_port()
    for name, text in _CONFIGURATION.items():
        (home / name).write_text(text.format(folder=home, port=port))
    (home / "prompt.alaw").write_bytes(encode(tones.tone(600, ms=PROMPT_MS), "PCMA"))
    command = [program, "-f", "-C", str(home / "asterisk.conf")]
    async with running(command, log=folder / "asterisk.log") as process:
        await udp_bound(port)
        yield Callee(process.pid, port)
