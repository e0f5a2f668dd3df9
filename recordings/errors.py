"""What can go wrong with recordings; every message is a whole sentence for a person."""


class RecordingError(Exception):
    """The base of everything this package raises on purpose."""


class WavError(RecordingError):
    """A recording's file is missing, empty or not WAV."""
