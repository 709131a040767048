"""`python -m pipeline validate`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from typing import Any

from pipeline.commands import _options
from pipeline.errors import printable

SUMMARY = "look at the data as a run does, without training"
DESCRIPTION = (
    "Run the line as far as the gate: statistics, schema, and what changed against the last blessed run. "
    "Exit code 0: the data passed; 1: it was refused."
)


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given: what `run` takes, so that both look at the same data in the same folder."""
    _options.add_config(parser)
    parser.add_argument("--quiet", action="store_true", help="print the outcome only")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")


def execute(given: argparse.Namespace) -> int:
    """Run the line to its gate and say what was found."""
    from rich.console import Console

    from pipeline import run
    from pipeline.console import Screen
    from pipeline.steps import VALIDATION

    screen = Screen(Console(), silent=given.quiet or given.json, names=VALIDATION)
    typed = sys.argv[1:]
    result, code = run.validate(
        _options.config_of(given), screen, shlex.join(["python", "-m", "pipeline", *typed])
    )
    if given.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        _say(result)
    return code


def _say(result: dict[str, Any]) -> None:
    for one in result.get("validation", {}).get("anomalies", []):
        if one["severity"] != "error":  # errors stand in the sentence
            print(f"{one['severity']} · {one['name']}: {printable(one['what'], keep=chr(10))}")
    print(f"{printable(result['sentence'], keep=chr(10))}     report {result['report']}")
    if result["outcome"] == "failed":
        print(f"log: {result['output']}/log.txt")
