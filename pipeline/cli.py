"""The command line of the production line. Heavy imports happen where a command needs them."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from keras_cnns._checks import nearest
from pipeline.config import Config, kind, load, option_name
from pipeline.errors import BadInput


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, with the nearest option or command."""

    commands: tuple[argparse.ArgumentParser, ...] = ()

    def error(self, message: str) -> NoReturn:
        word = message.rsplit(":", 1)[-1].split()
        known = [option for parser in (self, *self.commands) for option in parser._option_string_actions]
        close = nearest(word[0], known) if message.startswith("unrecognized") and word else None
        hint = f"; did you mean {close}?" if close else ""
        self.exit(2, f"{self.prog}: {message}{hint}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed or not blessed, 2 bad input, 130 Ctrl-C."""
    parser = _build()
    given = parser.parse_args(arguments)
    try:
        return given.command(given)
    except BadInput as error:
        if getattr(given, "json", False):
            print(json.dumps({"outcome": "bad input", "sentence": str(error)}, ensure_ascii=False))
        print(f"python -m pipeline: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _build() -> _Parser:
    parser = _Parser(
        prog="python -m pipeline", allow_abbrev=False,
        description="From images to a validated, pushed classifier.",
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    run = commands.add_parser(
        "run", help="train, validate and push a model", allow_abbrev=False,
        description="Train a network on images, validate it, and push it if it is good enough.",
    )  # fmt: skip
    for one in fields(Config):
        default = (
            "" if one.default is None or "default:" in one.metadata["help"] else f" (default: {one.default})"
        )
        run.add_argument(
            option_name(one.name), type=kind(one.type), metavar=one.metadata["metavar"],
            help=one.metadata["help"] + default,
        )  # fmt: skip
    run.add_argument("--config", type=Path, metavar="FILE.toml", help="take options from a file, as run.toml")
    run.add_argument("--quiet", action="store_true", help="print the outcome only")
    run.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")
    run.set_defaults(command=_run)
    predict = commands.add_parser(
        "predict", help="ask a pushed model about pictures", allow_abbrev=False,
        description="Classify pictures with a pushed model.",
    )  # fmt: skip
    predict.add_argument("model", type=Path, help="folder of a pushed model, or of one of its versions")
    predict.add_argument("pictures", type=Path, nargs="+", help="picture files, or folders of them")
    predict.add_argument("--top", type=int, default=3, metavar="N", help="classes to name (default: 3)")
    predict.add_argument("--json", action="store_true", help="print JSON")
    predict.set_defaults(command=_predict)
    parser.commands = (run, predict)
    return parser


def _run(given: argparse.Namespace) -> int:
    from rich.console import Console

    from pipeline.console import Screen
    from pipeline.run import run

    values = load(given.config) if given.config else {}
    values |= {
        one.name: getattr(given, one.name) for one in fields(Config) if getattr(given, one.name) is not None
    }
    screen = Screen(Console(), silent=given.quiet or given.json)
    result, code = run(Config(**values), screen, _typed())
    if given.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        _say(result)
    return code


def _say(result: dict[str, Any]) -> None:
    print(f"{result['sentence']}     report {result['report']}")
    if result["outcome"] == "failed":
        print(f"log: {result['output']}/log.txt")
    print(f"next: {result['next']}")


def _typed() -> str:
    return shlex.join(["python", "-m", "pipeline", *sys.argv[1:]])


def _predict(given: argparse.Namespace) -> int:
    from pipeline import predict

    if given.top < 1:
        raise BadInput(f"--top must be at least 1, not {given.top}")
    rows = predict.predict(given.model, given.pictures, given.top)
    print(predict.as_json(rows) if given.json else predict.as_text(rows))
    return 0
