"""Runs a search as people do: by its command, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lines import Ran

from tuning.asked import IP, PORT, TUNER_ID

ROOT = Path(__file__).parents[1]
NAMES = (TUNER_ID, IP, PORT)


def _environment(more: dict[str, str]) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if key not in NAMES}
    path = os.pathsep.join(filter(None, (str(ROOT), plain.get("PYTHONPATH"))))
    return {**plain, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore", **more}


def tuning(cwd: Path, *arguments: object, limit: int = 900, **environment: str) -> Ran:
    """`python -m tuning ARGUMENTS` in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "tuning", *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
        timeout=limit, env=_environment(environment),
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def begun(
    cwd: Path, *arguments: object, before: Sequence[str] = (), **environment: str
) -> subprocess.Popen[str]:
    """The same command under way, in a group of its own; what it prints is in `printed.txt`."""
    with (cwd / "printed.txt").open("a") as printed:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "tuning", *map(str, arguments)], cwd=cwd, text=True,
            stdout=printed, stderr=printed, env=_environment(environment), start_new_session=True,
        )  # fmt: skip


def until(what: Callable[[], Any], seconds: float = 600, each: float = 0.05) -> Any:
    """Wait until something is so; returns what was found."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(each)
    raise AssertionError(f"not within {seconds:g} s")


def state(folder: Path) -> dict[str, Any]:
    """A search's state as it lies on the disk; empty before there is one."""
    file = folder / "state" / "oracle.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def family(pid: int) -> set[int]:
    """A process's children and theirs."""
    found: set[int] = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(file.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == pid:
            child = int(file.parent.name)
            found |= {child} | family(child)
    return found


def words(pid: int) -> str:
    """A process's command line; empty where it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def resident(pid: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
