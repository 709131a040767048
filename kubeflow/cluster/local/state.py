"""What is known of a run on disk, so that the same command goes on where it was interrupted."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.local.exchange import Result
from tuning.errors import BadInput


@dataclass(frozen=True)
class Done:
    """A task that has succeeded: what it left, the seconds of its last attempt, the number of attempts."""

    result: Result
    seconds: float
    attempts: int


@dataclass
class State:
    """A run's record.

    Attributes:
        file: Where it is kept.
        asked: What the run is of; the same for all commands with its id.
        done: The tasks that have succeeded.
    """

    file: Path
    asked: dict[str, Any]
    done: dict[str, Done]

    def add(self, name: str, done: Done) -> None:
        """A task has succeeded; written beside and then renamed, so that the file is whole at all times."""
        self.done[name] = done
        self.write()

    def write(self) -> None:
        """Write the file."""
        tasks = {name: dataclasses.asdict(one) for name, one in self.done.items()}
        beside = self.file.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump({**self.asked, "tasks": tasks}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.file)


def open_state(folder: Path, asked: Mapping[str, Any], said: Mapping[str, str]) -> State:
    """The record of a run, new or from an earlier command.

    Args:
        folder: The run's folder, which exists.
        asked: What this command asks for.
        said: What to call each entry of `asked` in a sentence.

    Raises:
        BadInput: An earlier command with this id asked for something else, or the record cannot be read.
    """
    file = folder / "state.json"
    if not file.exists():
        state = State(file, dict(asked), {})
        state.write()
        return state
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        tasks = {
            name: Done(Result(**one["result"]), one["seconds"], one["attempts"])
            for name, one in found.pop("tasks").items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(
            f"{file} is not a run's record; take another --run-id, or remove its folder."
        ) from None
    for key, value in asked.items():
        if found.get(key) != value:
            raise BadInput(
                f"--run-id {folder.name} was begun with {said[key]}; go on with the same, or take another id."
            )
    return State(file, found, tasks)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The run's folder for this process alone, until it ends.

    Raises:
        BadInput: Another one runs it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise BadInput(f"--work: {folder} cannot be made: {error.strerror}.") from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(
                f"--run-id {folder.name} is running already; wait for it, or take another id."
            ) from None
        yield
