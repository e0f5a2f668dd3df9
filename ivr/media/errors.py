"""What can go wrong with media.

    MediaError
    ├── PortsExhausted   no RTP port is free
    ├── PlaneDown        no media worker is running
    ├── RecordingError   a recording cannot go on; what is on disk stays playable
    ├── PromptError      a prompt cannot be prepared
    └── SpeechError      a sentence cannot be spoken

Each is raised with one whole sentence: what happened, to what, and what to do.
"""

from __future__ import annotations


class MediaError(Exception):
    """Media could not be handled."""


class PortsExhausted(MediaError):
    """No RTP port is free."""


class PlaneDown(MediaError):
    """No media worker is running."""


class RecordingError(MediaError):
    """A recording cannot go on; what has been written stays a valid file."""


class PromptError(MediaError):
    """A prompt cannot be prepared."""


class SpeechError(MediaError):
    """A sentence cannot be spoken."""
