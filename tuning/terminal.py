"""What the command lines of `pipeline` and `tuning` share: a parser, and how a command ends."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from keras_cnns._checks import nearest
from tuning.errors import BadInput, printable

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, with the nearest option or command."""

    commands: tuple[argparse.ArgumentParser, ...] = ()

    def error(self, message: str) -> NoReturn:
        """Argparse calls this."""
        word = message.rsplit(":", 1)[-1].split()
        known = [option for parser in (self, *self.commands) for option in parser._option_string_actions]
        close = nearest(word[0], known) if message.startswith("unrecognized") and word else None
        hint = f"; did you mean {close}?" if close else ""
        self.exit(2, f"{self.prog}: {message}{hint}\n")


def execute(parser: Parser, arguments: Sequence[str] | None) -> int:
    """Run the command that was typed: 0 done, 1 failed or not good enough, 2 bad input, 130 Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be no text; in JSON this is its escape
            stream.reconfigure(errors="backslashreplace")
    given = parser.parse_args(arguments)
    try:
        return given.execute(given)
    except BadInput as error:
        if getattr(given, "json", False):
            print(json.dumps({"outcome": "bad input", "sentence": str(error)}, ensure_ascii=False))
        print(f"{parser.prog}: {printable(str(error), keep=chr(10))}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def build(package: str, description: str, names: Sequence[str]) -> Parser:
    """The parser of a package, such as `pipeline`, from its modules of commands.

    Args:
        package: Its commands are the modules of `PACKAGE.commands`, each with SUMMARY, DESCRIPTION,
            `options(parser)` and `execute(given)`.
        description: What the package does, for --help.
        names: The commands, in the order of --help.
    """
    parser = Parser(prog=f"python -m {package}", allow_abbrev=False, description=description)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    built = []
    for name in names:
        module = importlib.import_module(f"{package}.commands.{name}")
        one = commands.add_parser(
            name, help=module.SUMMARY, description=module.DESCRIPTION, allow_abbrev=False
        )
        module.options(one)
        one.set_defaults(execute=module.execute)
        built.append(one)
    parser.commands = tuple(built)
    return parser


def python() -> str:
    """What to type for this very interpreter: `python` where that is it, else its path."""
    found = shutil.which("python")
    if found and Path(found).parent.resolve() == Path(sys.executable).parent.resolve() and _from_shell():
        return "python"
    return shown(Path(sys.executable), resolve=False)


def _from_shell() -> bool:
    """Whether PATH is the shell's own: scripts/start puts the environment in front for one command only."""
    return "KERAS_CNNS_STARTED" not in os.environ


def shown(path: Path, resolve: bool = True) -> str:
    """A path as a person would type it here."""
    absolute = path.resolve() if resolve else path.absolute()
    with contextlib.suppress(ValueError):
        return str(absolute.relative_to(Path.cwd()))
    return str(absolute)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A polite end (SIGTERM) is treated as Ctrl-C, where this is the main thread, which alone may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
