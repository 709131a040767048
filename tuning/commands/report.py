"""`python -m tuning report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tuning.errors import BadInput

SUMMARY = "write a search's report again"
DESCRIPTION = "Write the report of a search again from its result.json."


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("folder", type=Path, help="of a search, such as searches/digits-lenet")


def execute(given: argparse.Namespace) -> int:
    """Write it and say where it lies."""
    from tuning import report

    try:
        print(report.write(given.folder))
    except (FileNotFoundError, ValueError) as error:
        raise BadInput(str(error)) from None
    return 0
