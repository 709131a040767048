"""What `run` and `validate` share: their options, and what they print."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from typing import Any

from pipeline.commands import _options
from tuning.errors import printable


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given to both, so that they look at the same data in the same folder."""
    _options.add_config(parser)
    parser.add_argument("--quiet", action="store_true", help="print the outcome only")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")


def execute(given: argparse.Namespace, train: bool) -> int:
    """Run the line, without training as far as its gate, and say what came of it."""
    from rich.console import Console

    from pipeline.console import Screen
    from pipeline.run import run
    from pipeline.steps import VALIDATION, steps_of

    config = _options.config_of(given)
    names = steps_of(config.tune) if train else VALIDATION
    screen = Screen(Console(), silent=given.quiet or given.json, names=names)
    typed = shlex.join(["python", "-m", "pipeline", *sys.argv[1:]])
    result, code = run(config, screen, typed, train=train)
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
    print(f"next: {result['next']}")
