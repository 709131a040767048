"""Starting and ending tasks: each one leads a group of processes, which ends with it and with the run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_GRACE = 5  # seconds between asking a task to end and killing it


@dataclass(frozen=True)
class Start:
    """How to start a task.

    Attributes:
        argv: The command, complete.
        environment: All of its environment.
        folder: Where it is started.
        engine: podman or docker, where it is a container; else "".
        container: The container's name; else "".
        token: What the guard knows it by.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    token: str
    engine: str = ""
    container: str = ""


@dataclass(frozen=True)
class Guard:
    """The process that ends what is left where this one is killed."""

    told: IO[bytes]

    def tells(self, line: str) -> None:
        """Tell of a process or container: one write, so that lines never mix."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.told.fileno(), f"{line}\n".encode())


@contextlib.contextmanager
def guarded() -> Iterator[Guard]:
    """A guard for as long as tasks run."""
    program = [sys.executable, "-I", str(Path(__file__).with_name("guard.py"))]
    with subprocess.Popen(program, stdin=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None  # it was asked for
        yield Guard(process.stdin)


def begin(start: Start, log: Path, guard: Guard) -> subprocess.Popen[bytes]:
    """Start a task; what it prints goes to the end of its log.

    Raises:
        OSError: It cannot be started.
    """
    if start.container:
        _remove(start)  # of an earlier run of the same id
        guard.tells(f"start {start.token}:container {' '.join(_removal(start))}")

    def enrol() -> None:  # in the child, before its program begins: none is ever unknown to the guard
        guard.tells(f"start {start.token} {os.getpid()}")

    with log.open("ab") as output:
        try:
            # preexec_fn is safe here: this process has no threads of its own.
            return subprocess.Popen(
                start.argv, env=dict(start.environment), cwd=start.folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=enrol,
            )  # fmt: skip
        except OSError:
            guard.tells(f"end {start.token}")
            raise


def end(process: subprocess.Popen[bytes], start: Start, guard: Guard) -> None:
    """End a task and all that it started, if it has not ended by itself: ask, and kill after 5 seconds.

    Args:
        process: The task.
        start: How it was started.
        guard: Told afterwards.
    """
    if process.poll() is None:
        if start.container:
            _quietly(start.engine, "stop", "-t", str(_GRACE), start.container)
        else:
            _signal(process.pid, signal.SIGTERM)
        limit = time.monotonic() + _GRACE
        while process.poll() is None and time.monotonic() < limit:
            time.sleep(0.02)
    if start.container:
        _remove(start)
        guard.tells(f"end {start.token}:container")
    _signal(process.pid, signal.SIGKILL)
    process.wait()
    guard.tells(f"end {start.token}")


def _remove(start: Start) -> None:
    _quietly(*_removal(start))


def _removal(start: Start) -> list[str]:
    at_once = ["-t", "0"] if start.engine == "podman" else []  # docker does not wait
    return [start.engine, "rm", "-f", *at_once, start.container]


def _quietly(*command: str) -> None:
    # In a session of its own: the terminal's Ctrl-C is not for it.
    subprocess.run(command, capture_output=True, check=False, start_new_session=True)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
