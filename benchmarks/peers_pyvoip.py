"""pyVoIP as it is installed, answering calls with its own announcement example.

    python -m benchmarks.peers_pyvoip REGISTRAR_PORT SIP_PORT

is the process that is measured; `serving` runs it.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import numpy as np
from pyVoIP.VoIP import CallState, VoIPCall, VoIPPhone

from benchmarks.callees import Callee
from benchmarks.generator import LOOPBACK, SCENARIOS
from benchmarks.phones import PROMPT_MS
from ivr.media import tones
from tests.peers.process import free_port, running
from tests.peers.sipp import sipp

STATE_EVERY: Final = 0.1  # seconds, as in pyVoIP's example


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Callee]:
    """Run a pyVoIP phone, registered at the address from which it is to be called."""
    port = free_port()
    async with sipp(SCENARIOS / "registrar.xml", folder) as registrar:
        command = [sys.executable, "-m", __name__, str(registrar.port), str(port)]
        log = folder / "pyvoip.log"
        async with running(command, log=log) as process:
            await registrar.done()
            yield Callee(process.pid, port, caller_port=registrar.port)


def announce(call: VoIPCall, sound: bytes) -> None:
    """Answer, and play until the caller hangs up."""
    call.answer()
    while call.state == CallState.ANSWERED:
        call.write_audio(sound)
        stop = time.monotonic() + PROMPT_MS / 1000
        while time.monotonic() <= stop and call.state == CallState.ANSWERED:
            time.sleep(STATE_EVERY)


def main(registrar: int, port: int) -> None:
    """Answer every call until killed."""
    sound = ((tones.tone(600, ms=PROMPT_MS) >> 8) + 128).astype(np.uint8).tobytes()
    phone = VoIPPhone(
        LOOPBACK, registrar, "bench", "", myIP=LOOPBACK, sipPort=port,
        callCallback=lambda call: announce(call, sound),
    )  # fmt: skip
    phone.start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
