"""`python -m tuning search`."""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
import sys
from typing import Any

from tuning import narrowing
from tuning.asked import ENGINES, OBJECTIVES, Asked
from tuning.errors import BadInput, printable

SUMMARY = "search a family's hyperparameters"
DESCRIPTION = "Search the hyperparameters of a family, or of one network, on pictures."

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SIZES = {"k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    own = Asked()
    add = parser.add_argument
    add("family", help="family that `python -m tuning spaces` shows, or a registered network")
    add("--data", default=own.data, metavar="FOLDER", help="class folders, a .npz file, or digits (default)")
    add("--trials", type=int, default=own.trials, metavar="N", help=f"configurations (default {own.trials})")
    add("--budget", metavar="TIME", help="time for all of it: 90s, 30m, 2h, 1h30m (default: no limit)")
    add(
        "--epochs",
        type=int,
        default=own.epochs,
        metavar="N",
        help=f"of a whole training (default {own.epochs})",
    )
    add("--engine", default=own.engine, metavar="NAME", help=f"{', '.join(ENGINES)} (default {own.engine})")
    add("--objective", default=own.objective, metavar="NAME",
        help=f"{', '.join(OBJECTIVES)} (default {own.objective})")  # fmt: skip
    add("--fix", action="append", default=[], metavar="NAME=VALUE",
        help="do not search a hyperparameter; NAME='A|B' keeps these values of a choice")  # fmt: skip
    add("--range", action="append", default=[], metavar="NAME=LOW:HIGH", help="search less, or elsewhere")
    add("--max-parameters", metavar="N", help="train no larger network: 300k, 1.5M")
    add("--max-macs", metavar="N", help="nor one of more multiply-adds for a picture: 50M")
    add("--max-latency", type=float, metavar="MS", help="nor one that takes longer for a picture here")
    add("--workers", type=int, default=own.workers, metavar="N", help="processes that train side by side")
    add("--memory", metavar="SIZE", help="what a trial may hold: 4Gi (default: no limit)")
    add("--seed", type=int, default=own.seed, metavar="N", help="of val part, engine and trainings")
    add("--mirror", choices=("yes", "no"), help="may pictures be mirrored (default: yes, but for digits)")
    add("--image-size", type=int, metavar="PIXELS", help="side of the input (default: the network's)")
    add("--fit", default=own.fit, metavar="HOW", help="resize pictures to the input, or pad them")
    add("--keep", type=int, default=own.keep, metavar="N", help="best networks that stay on disk (default 3)")
    add("--output", metavar="FOLDER", help="folder of the search (default: searches/DATA-FAMILY)")
    add("--quiet", action="store_true", help="print the outcome only")
    add("--json", action="store_true", help="print the result as JSON, and nothing else")


def execute(given: argparse.Namespace) -> int:
    """Search, and say what came of it."""
    from rich.console import Console

    from tuning.screen import Screen
    from tuning.searching import exit_code, search

    asked = asked_for(given)
    typed = shlex.join(["python", "-m", "tuning", *sys.argv[1:]])
    screen = Screen(Console(), silent=given.quiet or given.json)
    result = search(asked=asked, watcher=screen, command=typed)
    if given.json:
        print(json.dumps(result, ensure_ascii=False))
    elif result["outcome"] != "worker":
        _say(result)
    return exit_code(result)


def asked_for(given: argparse.Namespace) -> Asked:
    """The search that options describe.

    Raises:
        BadInput: An option is not written as it must be.
    """
    return Asked(
        family=given.family, data=given.data, trials=given.trials, budget=_seconds(given.budget),
        epochs=given.epochs, engine=given.engine, objective=given.objective,
        fix=narrowing.pairs("--fix", given.fix), ranges=narrowing.ranges("--range", given.range),
        max_parameters=_amount("--max-parameters", given.max_parameters),
        max_macs=_amount("--max-macs", given.max_macs), max_latency=given.max_latency,
        workers=given.workers, memory=_whole(_amount("--memory", given.memory)), seed=given.seed,
        mirror=None if given.mirror is None else given.mirror == "yes", image_size=given.image_size,
        fit=given.fit, keep=given.keep, output=given.output,
    )  # fmt: skip


def _say(result: dict[str, Any]) -> None:
    from tuning.findings import best_trial
    from tuning.pages.words import as_value

    best = best_trial(result)
    print(f"{printable(result['sentence'])}     report {result['output']}/report.html")
    if best is not None:
        print("best: " + " · ".join(f"{key} {as_value(value)}" for key, value in best["values"].items()))
        if best["kept"]:
            made = (f"trials/{best['id']}/model.keras", "hyperparameters.json")
            print("made: " + ", ".join(f"{result['output']}/{name}" for name in made))
    if result["outcome"] == "failed":
        print(f"log: {result['output']}/log.txt")
    print(f"next: {result['next']}")


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(min|[smhd])", text.strip().lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip().lower():
        raise BadInput(f"--budget {text}: write a time such as 90s, 30m, 2h or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _amount(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d+)?)([kmg]i?)?b?", text.strip().lower())
    if match is None:
        raise BadInput(f"{option} {text}: write a number such as 300000, 300k, 1.5M or 4Gi")
    found = float(match[1]) * _SIZES.get(match[2] or "", 1)
    if math.isinf(found):
        raise BadInput(f"{option} {text} is too large; write a number such as 300000, 300k, 1.5M or 4Gi")
    return found


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
