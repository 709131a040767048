"""`python -m pipeline run`."""

from __future__ import annotations

import argparse

from pipeline.commands import _line

SUMMARY = "train, validate and push a model"
DESCRIPTION = "Train a network on images, validate it, and push it if it is good enough."

options = _line.options


def execute(given: argparse.Namespace) -> int:
    """Run the whole line."""
    return _line.execute(given, train=True)
