"""Time commands against each other: whole processes, in turn, in one run; a figure as the last line."""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
_LAST_LINES = 15


@dataclass(frozen=True)
class Command:
    """A command to time.

    Attributes:
        name: For a person.
        arguments: The process's arguments, given a folder that does not exist yet and is removed afterwards.
        value: A number from what the process printed on its standard output, such as an accuracy. A
            ValueError says that it is not there.
    """

    name: str
    arguments: Callable[[Path], Sequence[str]]
    value: Callable[[str], float] | None = None


@dataclass(frozen=True)
class Times:
    """What was measured of one command, a value a round.

    Attributes:
        name: The command's.
        seconds: Wall time of each process, from its start to its end.
        values: What `Command.value` found in each one's output; empty where it has none.
    """

    name: str
    seconds: tuple[float, ...]
    values: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """Median wall time in seconds."""
        return statistics.median(self.seconds)


def python(*words: str) -> list[str]:
    """A command line of this very interpreter."""
    return [sys.executable, *words]


def parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """A parser with what all measurements share: `--rounds` and `--check`."""
    made = argparse.ArgumentParser(description=description, allow_abbrev=False)
    made.add_argument(
        "--rounds", type=positive, default=rounds, metavar="N",
        help=f"timed processes of each command (default: {rounds})",
    )  # fmt: skip
    made.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    return made


def positive(text: str) -> int:
    """A whole number from 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def alternate(commands: Sequence[Command], rounds: int) -> list[Times]:
    """Run the commands in turn and say each time as it comes.

    One untimed round goes first: it fills disk caches and writes bytecode. Every other round goes backwards,
    so that a machine that grows slower or faster favours nobody.

    Args:
        commands: What to run.
        rounds: How often each is timed.

    Returns:
        The times, in the order of the commands.

    Raises:
        SystemExit: A process failed or did not print its value; the text has its last lines.
    """
    seconds: dict[str, list[float]] = {command.name: [] for command in commands}
    values: dict[str, list[float]] = {command.name: [] for command in commands}
    for number in range(rounds + 1):
        for command in commands if number % 2 else reversed(commands):
            took, value = _timed(command)
            said = f"round {number} of {rounds}" if number else "warm-up, not counted"
            print(f"{said:22} {command.name:40} {took:8.2f} s", flush=True)
            if number:
                seconds[command.name].append(took)
                values[command.name] += [] if value is None else [value]
    return [Times(one.name, tuple(seconds[one.name]), tuple(values[one.name])) for one in commands]


def _timed(command: Command) -> tuple[float, float | None]:
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        arguments = list(command.arguments(folder / "run"))
        began = time.perf_counter()
        done = subprocess.run(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        took = time.perf_counter() - began
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if done.returncode and command.value is None:
        _give_up(command, f"ended with exit code {done.returncode}", done)
    try:
        return took, None if command.value is None else command.value(done.stdout)
    except ValueError as error:
        _give_up(command, f"ended with exit code {done.returncode} ({error})", done)


def _give_up(command: Command, why: str, done: subprocess.CompletedProcess[str]) -> NoReturn:
    last = (done.stdout + done.stderr).splitlines()[-_LAST_LINES:]
    raise SystemExit("\n".join([*last, f"{command.name}: {why}; its last lines stand above"]))


def table(rows: Sequence[Times], value: str = "", form: str = "{:.3f}") -> str:
    """The times as text: a line a command, with each time, the median and each different value.

    Args:
        rows: What was measured.
        value: Heading of the values; without one they are left out.
        form: How a value is written.
    """
    head = ["command", "seconds", "median", *([value] if value else [])]
    lines = [head]
    for row in rows:
        line = [row.name, " ".join(f"{one:.2f}" for one in row.seconds), f"{row.median:.2f}"]
        if value:
            line.append(" ".join(form.format(one) for one in sorted(set(row.values))))
        lines.append(line)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def ratio(ours: Times, theirs: Times) -> float:
    """Our median wall time as a share of theirs."""
    return ours.median / theirs.median


def finish(figure: str, missed: Sequence[str], check: bool) -> int:
    """Print which targets were missed, then the figure as the last line.

    Returns:
        The exit code: 1 when targets were missed and `check` asks for it, else 0.
    """
    for one in missed:
        print(f"missed: {one}")
    print(figure, flush=True)
    return int(bool(missed) and check)
