"""What can go wrong with a report; every message is a whole sentence for a person."""


class ReportError(Exception):
    """The base of everything the reports raise on purpose."""


class BadFilter(ReportError):
    """A filter that makes no sense: an unknown result, a period that ends before it begins."""


class UnknownCall(ReportError):
    """No call, or more than one, has that id."""


class TooManyRows(ReportError):
    """More rows than the format can hold."""


class CannotWrite(ReportError):
    """The output file cannot be written."""
