"""`python -m tuning show`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tuning.errors import BadInput, printable

SUMMARY = "show a search's best configurations"
DESCRIPTION = "Show what a search has found, also while it runs or after it was broken off."
_BEST = 10


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("folder", type=Path, help="of a search, such as searches/digits-lenet")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")


def execute(given: argparse.Namespace) -> int:
    """Print the best configurations."""
    from tuning import findings, report
    from tuning.pages.words import as_value

    try:
        result = report.read(given.folder)
    except (FileNotFoundError, ValueError) as error:
        raise BadInput(str(error)) from None
    if given.json:
        print(json.dumps(result, ensure_ascii=False))
        return 0
    print(printable(result["sentence"]) or "the search is running, or was broken off")
    scored = [(one.score, one) for one in findings.configurations(result) if one.score is not None]
    ranked = sorted(scored, key=lambda pair: -findings.sign(result) * pair[0])
    names = [row["name"] for row in findings.varying(result)]
    for score, one in ranked[:_BEST]:
        values = " · ".join(f"{name} {as_value(one.values[name])}" for name in names if name in one.values)
        print(f"{one.name}  {score:.4f} after epoch {one.trial['until']}  {values}")
    return 0
