"""`python -m tuning spaces`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from tuning import families, spaces

SUMMARY = "show what is searched"
DESCRIPTION = "List the families, or show the hyperparameters of one, or of a network."


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("family", nargs="?", help="a family or a registered network (default: list them)")
    parser.add_argument("--json", action="store_true", help="print it as JSON, and nothing else")


def execute(given: argparse.Namespace) -> int:
    """Show it."""
    if given.family is None:
        found = {name: list(one.network) for name, one in families.FAMILIES.items()}
        if given.json:
            print(json.dumps(found))
        else:
            for name, own in found.items():
                print(f"{name:<10} {', '.join(own)}")
            print("each with the training's:", ", ".join(spaces.space("lenet5_modern").searched()[1:]))
        return 0
    rows = spaces.space(given.family).rows()
    if given.json:
        print(json.dumps(rows))
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        when = f"   where {row['when'][0]} is {_words(row['when'][1])}" if row["when"] else ""
        print(f"{row['name']:<{width}}  {_can_be(row)}   default {row['default']}{when}")
    return 0


def _can_be(row: dict[str, Any]) -> str:
    if row["kind"] == "choice":
        return _words(row["values"])
    return f"{row['low']:g} to {row['high']:g}{', by its logarithm' if row['log'] else ''}"


def _words(values: list[Any]) -> str:
    return ", ".join(map(str, values))
