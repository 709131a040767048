"""What the line does to itself when something is wrong with what it was given."""

from __future__ import annotations


class Stopped(Exception):
    """The line stopped itself, for example at the gate; its text says why (exit code 1)."""
