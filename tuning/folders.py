"""Folders that a run or a search works in: one at a time, and files that are whole or not there."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tuning.errors import BadInput


@contextlib.contextmanager
def held(folder: Path, what: str, *, patient: bool = False) -> Iterator[None]:
    """Make a folder and hold it while inside.

    Args:
        folder: It, the value of `--output`.
        what: Who works in it, "run" or "search".
        patient: Whether to wait for another one that is at work in it.

    Raises:
        BadInput: It cannot be written, or another one is at work in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise BadInput(f"--output {folder}: cannot be written ({error.strerror})") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
        except OSError:
            raise BadInput(f"--output {folder}: another {what} is at work there") from None
        yield


def replace(file: Path, text: str) -> Path:
    """Write a file in one step: a reader, also after a kill, finds the old text or the new one, whole."""
    new = file.with_name(f"{file.name}.part")
    with new.open("w", encoding="utf-8") as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())
    return new.replace(file)
