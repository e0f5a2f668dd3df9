"""The session descriptions one call sends: the same session id, a version that only grows."""

from __future__ import annotations

import secrets

from ivr.sip.sdp import Audio, make_answer, make_offer


class Descriptions:
    """Makes our SDP bodies for one call (RFC 3264 §8: the version goes up by one a change)."""

    def __init__(self, ours: Audio) -> None:
        self.ours = ours
        self._session_id = secrets.randbits(62)
        self._version = 0

    def offer(self) -> bytes:
        """Our offer."""
        self._version += 1
        return make_offer(self.ours, session_id=self._session_id, version=self._version)

    def answer(self, offer: bytes, ours: Audio) -> bytes:
        """Our answer to `offer`, with what was chosen in `ours`."""
        self._version += 1
        return make_answer(offer, ours, session_id=self._session_id, version=self._version)
