"""baresip as a customer's phone: answers by itself and says whatever it hears."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.peers.process import free_port, need, running, udp_bound

# Its bridge device joins what is played to what is recorded: the phone is an echo.
CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{port}
net_interface 127.0.0.1
audio_player aubridge,echo
audio_source aubridge,echo
audio_alert aubridge,silent
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
module_path {modules}
module g711.so
module aubridge.so
module_app account.so
module_app menu.so
"""
ACCOUNT = "<sip:customer@127.0.0.1>;answermode=auto;regint=0;audio_codecs=PCMA/8000/1\n"
MODULES = sorted(Path("/usr/lib").glob("**/baresip/modules"))


@contextlib.asynccontextmanager
async def baresip(folder: Path) -> AsyncIterator[int]:
    """Run it until the block ends; gives its port."""
    program = need("baresip", "baresip")
    home = folder / "baresip"
    home.mkdir()
    port = free_port()
    (home / "config").write_text(CONFIG.format(port=port, modules=MODULES[0]))
    (home / "accounts").write_text(ACCOUNT)
    (home / "contacts").write_text("")
    async with running([program, "-4", "-f", home], log=folder / "baresip.log"):
        await udp_bound(port)
        yield port
