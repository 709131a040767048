"""What can go wrong in a way that a person can mend."""

from __future__ import annotations


class BadInput(Exception):
    """Something was asked for that cannot be done; its text is one sentence for a person (exit code 2)."""


class Stopped(Exception):
    """The line stopped itself, for example at the gate; its text says why (exit code 1)."""
