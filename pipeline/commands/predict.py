"""`python -m pipeline predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.errors import BadInput

SUMMARY = "ask a pushed model about pictures"
DESCRIPTION = "Classify pictures with a pushed model."


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("model", type=Path, help="folder of a pushed model, or of one of its versions")
    parser.add_argument("pictures", type=Path, nargs="+", help="picture files, or folders of them")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes to name (default: 3)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(given: argparse.Namespace) -> int:
    """Classify and print."""
    from pipeline import predict

    if given.top < 1:
        raise BadInput(f"--top must be at least 1, not {given.top}")
    rows = predict.predict(given.model, given.pictures, given.top)
    print(predict.as_json(rows) if given.json else predict.as_text(rows))
    return 0
