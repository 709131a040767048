"""The command line of the production line. Heavy imports happen where a command needs them."""

from __future__ import annotations

import argparse
import importlib
import io
import json
import sys
from collections.abc import Sequence
from typing import NoReturn

from keras_cnns._checks import nearest
from pipeline.errors import BadInput, printable

COMMANDS = (  # modules of pipeline.commands, in the order of --help
    "run", "validate", "predict", "report", "runs", "compare", "rollback", "serve", "doctor",
)  # fmt: skip


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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be no text; in JSON this is its escape
            stream.reconfigure(errors="backslashreplace")
    given = _build().parse_args(arguments)
    try:
        return given.execute(given)
    except BadInput as error:
        if getattr(given, "json", False):
            print(json.dumps({"outcome": "bad input", "sentence": str(error)}, ensure_ascii=False))
        print(f"python -m pipeline: {printable(str(error), keep=chr(10))}", file=sys.stderr)
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
    built = []
    for name in COMMANDS:
        module = importlib.import_module(f"pipeline.commands.{name}")
        one = commands.add_parser(
            name, help=module.SUMMARY, description=module.DESCRIPTION, allow_abbrev=False
        )
        module.options(one)
        one.set_defaults(execute=module.execute)
        built.append(one)
    parser.commands = tuple(built)
    return parser
