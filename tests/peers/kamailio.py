"""Kamailio as a record-routing proxy in front of one far side."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.peers.process import free_port, need, running, udp_bound

CONFIG = """\
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:{port}
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "pv.so"
loadmodule "textops.so"

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        # Only a route set that leads here is followed: no guessing for a UA that lost it.
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK") && t_check_trans()) {{ t_relay(); exit; }}
        sl_send_reply("404", "No Route Set");
        exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    t_check_trans();
    if (is_method("INVITE")) {{ record_route(); }}
    $du = "sip:127.0.0.1:{far}";
    t_relay();
}}
"""


@contextlib.asynccontextmanager
async def kamailio(folder: Path, far: int) -> AsyncIterator[int]:
    """Run the proxy in front of 127.0.0.1:`far`; gives its own port."""
    port = free_port()
    config = folder / "kamailio.cfg"
    config.write_text(CONFIG.format(port=port, far=far))
    program = need("kamailio", "kamailio")
    run = [program, "-f", config, "-DD", "-m", "16", "-M", "4", "-Y", folder, "-P", folder / "pid"]
    async with running(run, log=folder / "kamailio.log"):
        await udp_bound(port)
        yield port
