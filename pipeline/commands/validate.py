"""`python -m pipeline validate`."""

from __future__ import annotations

import argparse

from pipeline.commands import _line

SUMMARY = "look at the data as a run does, without training"
DESCRIPTION = (
    "Run the line as far as the gate: statistics, schema, and what changed against the last blessed run. "
    "Exit code 0: the data passed; 1: it was refused."
)

options = _line.options


def execute(given: argparse.Namespace) -> int:
    """Run the line to its gate."""
    return _line.execute(given, train=False)
