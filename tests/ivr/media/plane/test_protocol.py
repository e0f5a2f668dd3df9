"""Every message crosses the border unchanged."""

from __future__ import annotations

import pytest

from ivr.media import events, protocol
from ivr.media.protocol import decode, encode

MESSAGES = [
    protocol.Open(1, "127.0.0.1", 20000, 60.0),
    protocol.Connect(1, "10.0.0.1", 4000, "PCMA", 8, None, sends=True, receives=False),
    protocol.Play(1, 2, {"PCMA": "/tmp/một.al", "PCMU": "/tmp/x\ny"}, loop=True, barge_in=False),
    protocol.Report(1),
    protocol.Refused(1, "Address already in use", port_taken=True),
    protocol.Happened(1, events.Digit("#", 120, "rfc4733")),
    protocol.Happened(1, events.PlayEnded(2, "barged")),
    protocol.Closed(1, events.MediaReport(codec="PCMA", packets_sent=5, mos=4.4)),
    protocol.Pulse([1, 2, 3], 0.5),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_round_trip(message: protocol.Command | protocol.Notice) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == message
