"""Text from outside as a terminal may show it."""

from __future__ import annotations


def legible(text: str) -> str:
    """Text on one line, without what would steer a terminal: a name may hold anything.

    >>> legible("An\\n\\x1b[31mred")
    'An �[31mred'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )
