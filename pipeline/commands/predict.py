"""`python -m pipeline predict`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tuning.errors import BadInput, printable

SUMMARY = "ask a pushed model about pictures"
DESCRIPTION = (
    "Classify pictures with a pushed model, the version that latest.json names. The exit code is 1 where a "
    "picture cannot be read; its row says why."
)


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("model", type=Path, help="folder of a pushed model, or of one of its versions")
    parser.add_argument("pictures", type=Path, nargs="+", help="picture files, or folders of them")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes to name (default: 3)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(given: argparse.Namespace) -> int:
    """Classify and print; a table's rows appear as they are known."""
    from pipeline import predict

    if given.top < 1:
        raise BadInput(f"--top must be at least 1, not {given.top}")
    predict.find_model(given.model)  # what is missing is said before the seconds that TensorFlow takes
    files = predict.find_pictures(given.pictures)
    width = max(len(printable(str(file))) for file in files)
    rows = []
    for row in predict.predict(given.model, files, given.top):
        rows.append(row)
        if not given.json:
            print(predict.as_line(row, width), flush=True)
    if given.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    bad = sum("error" in row for row in rows)
    if bad:
        print(f"{bad} of {len(rows)} pictures cannot be read", file=sys.stderr)
    return 1 if bad else 0
