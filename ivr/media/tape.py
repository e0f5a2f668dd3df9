"""The two tracks of a recording, side by side on one clock (pure).

What we sent and what we received each have RTP timestamps of their own. A track places its first
packet at the time it came, and the following ones by their timestamps, so jitter does not tear
the speech apart; when timestamps and clock have drifted apart by more than `SLACK`, or the source
has begun anew, the next packet is placed by the clock again. Gaps are silence. Positions count
samples on the clock that `now` comes from.
"""

from __future__ import annotations

from typing import Final

from ivr.media.g711 import SILENCE, TRANSLATE, Law
from ivr.media.rtp import CLOCK_RATE, timestamp_delta

SLACK: Final = CLOCK_RATE // 5  # 200 ms between a packet's timestamp and its arrival
LAG: Final = SLACK  # how far behind the clock a tape is cut: no packet is placed further back


class Track:
    """One direction. Holds only what has not been cut off yet."""

    __slots__ = ("_data", "_law", "_position", "_silence", "_start", "_timestamp")

    def __init__(self, law: Law, start: int) -> None:
        self._law = law
        self._silence = SILENCE[law][:1]
        self._start = start  # position of the first byte of _data
        self._data = bytearray()
        self._position: int | None = None  # of the packet with _timestamp
        self._timestamp = 0

    def put(self, timestamp: int, payload: bytes, law: Law, now: int) -> None:
        """Place the audio of one packet, over what is there already."""
        position = self._place(timestamp, now)
        if law != self._law:
            payload = payload.translate(TRANSLATE[law, self._law])
        index = position - self._start
        self._reach(index)
        self._data[index : index + len(payload)] = payload

    def cut(self, upto: int) -> bytes:
        """Take off and return everything before a position, with silence where nothing came."""
        length = upto - self._start
        self._reach(length)
        piece = bytes(self._data[:length])
        del self._data[:length]
        self._start = upto
        return piece

    def _place(self, timestamp: int, now: int) -> int:
        position = now
        if self._position is not None:
            expected = self._position + timestamp_delta(timestamp, self._timestamp)
            if abs(expected - now) <= SLACK:
                position = expected
        self._position, self._timestamp = position, timestamp
        return position

    def _reach(self, length: int) -> None:
        missing = length - len(self._data)
        if missing > 0:
            self._data += self._silence * missing


class Tape:
    """Both directions of a call from `now` on; G.711 bytes of one law."""

    __slots__ = ("_cut", "heard", "law", "sent")

    def __init__(self, law: Law, now: int) -> None:
        self.law = law
        self.sent = Track(law, now)
        self.heard = Track(law, now)
        self._cut = now

    def cut(self, now: int) -> tuple[bytes, bytes]:
        """Take off what has settled by `now`, as much of the sent as of the heard track."""
        return self._cut_at(max(now - LAG, self._cut))

    def end(self, now: int) -> tuple[bytes, bytes]:
        """Take off everything up to `now`."""
        return self._cut_at(max(now, self._cut))

    def _cut_at(self, position: int) -> tuple[bytes, bytes]:
        self._cut = position
        return self.sent.cut(position), self.heard.cut(position)
