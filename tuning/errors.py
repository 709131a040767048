"""What can go wrong in a way that a person can mend."""

from __future__ import annotations


class BadInput(Exception):
    """Something was asked for that cannot be done; its text is one sentence for a person (exit code 2)."""


def printable(text: str, keep: str = "") -> str:
    """A text as a terminal may show it: what moves its cursor, or is no text, becomes its number.

    Args:
        text: A name that somebody else gave, or a sentence with such names.
        keep: Characters that stay nevertheless, such as the ends of lines.
    """
    return "".join(one if one.isprintable() or one in keep else repr(one)[1:-1] for one in text)
