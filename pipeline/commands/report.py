"""`python -m pipeline report`."""

from __future__ import annotations

import argparse

from tuning.errors import BadInput

SUMMARY = "write the report of a run again"
DESCRIPTION = "Write report.html of a run anew from its result.json, and print where it lies."


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("run", metavar="RUN", help="folder of a run, or its name below runs")


def execute(given: argparse.Namespace) -> int:
    """Write and print the path."""
    from pipeline import past, report

    folder = past.find(given.run)
    try:
        print(report.write(folder))
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder}: the report cannot be written: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{folder / past.RESULT} is no result of a run ({error!r})") from None
    return 0
