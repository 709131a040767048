"""`python -m pipeline doctor`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

SUMMARY = "say what this machine can do and what is missing"
DESCRIPTION = (
    "Say what this machine can do and what is missing, with the command that brings it. The exit code is 0 "
    "unless the line cannot run here."
)
_MARKS = {"ok": "ok", "missing": "--", "stops": "!!"}


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(given: argparse.Namespace) -> int:
    """Look and print."""
    from pipeline import doctor

    findings = doctor.examine(Path.cwd())
    fit = doctor.can_run(findings)
    if given.json:
        rows = [dataclasses.asdict(one) for one in findings]
        print(json.dumps({"can_run": fit, "findings": rows}, indent=1, ensure_ascii=False))
        return 0 if fit else 1
    for one in findings:
        print(f"{_MARKS[one.state]}  {one.name:<9} {one.found}")
        if one.state != "ok":
            print(f"{'':<14}{one.need}: {one.bring}")
    stops = [one.name for one in findings if one.state == "stops"]
    print("the line can run here" if fit else f"the line cannot run here: {', '.join(stops)}")
    return 0 if fit else 1
