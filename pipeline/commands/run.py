"""`python -m pipeline run`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from typing import Any

from pipeline.commands import _options
from pipeline.errors import printable

SUMMARY = "train, validate and push a model"
DESCRIPTION = "Train a network on images, validate it, and push it if it is good enough."


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    _options.add_config(parser)
    parser.add_argument("--quiet", action="store_true", help="print the outcome only")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")


def execute(given: argparse.Namespace) -> int:
    """Run the line and say what came of it."""
    from rich.console import Console

    from pipeline.console import Screen
    from pipeline.run import run

    screen = Screen(Console(), silent=given.quiet or given.json)
    result, code = run(_options.config_of(given), screen, _typed())
    if given.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        _say(result)
    return code


def _say(result: dict[str, Any]) -> None:
    print(f"{printable(result['sentence'], keep=chr(10))}     report {result['report']}")
    if result["outcome"] == "failed":
        print(f"log: {result['output']}/log.txt")
    print(f"next: {result['next']}")


def _typed() -> str:
    return shlex.join(["python", "-m", "pipeline", *sys.argv[1:]])
