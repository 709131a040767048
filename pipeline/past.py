"""Runs that were made: found below a folder, read, and held against each other. Standard library only."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_cnns._checks import nearest
from tuning.errors import BadInput

RESULT = "result.json"
VALIDATION = "validation.json"
RUNS = Path("runs")
_DEEPEST = 4  # folders below the one that is searched

Differences = dict[str, dict[str, tuple[Any, Any]]]


def runs(folder: Path) -> list[dict[str, Any]]:
    """The runs below a folder, the newest first.

    Returns:
        run (its folder), name, when, outcome, accuracy, seconds; None for what is not known. The outcome is
        that of `result.json`, or of `validation.json` where only `validate` ran ("passed" or "refused"), or
        "running", "unfinished" (ended without a result) or "unreadable".

    Raises:
        BadInput: There is no such folder.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder; `run` makes one below {RUNS}")
    rows = [_row(one) for one in _folders(folder)]
    return sorted(rows, key=lambda row: str(row["when"] or ""), reverse=True)


def find(word: str) -> Path:
    """The folder of a run: a folder that holds a result, the result itself, or a name below `runs`.

    Raises:
        BadInput: There is no such run; names the nearest one.
    """
    for path in (Path(word), RUNS / word):
        if path.name == RESULT and path.is_file():
            return path.parent
        if (path / RESULT).is_file():
            return path
    if Path(word).is_dir():
        raise BadInput(f"{word} holds no {RESULT}; give the folder of a run that ended")
    known = [str(one) for one in _folders(RUNS)] if RUNS.is_dir() else []
    close = nearest(word, [*known, *(str(Path(one).relative_to(RUNS)) for one in known)])
    raise BadInput(f"{word}: there is no such run" + (f"; did you mean {close}?" if close else ""))


def read(folder: Path, name: str = RESULT) -> dict[str, Any]:
    """What `result.json`, or another file like it, in a run's folder says.

    Raises:
        BadInput: It cannot be read.
    """
    try:
        result = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder / name} cannot be read: {error}") from None
    if not isinstance(result, dict):
        raise BadInput(f"{folder / name} cannot be read: it is no JSON object")
    return result


def compare(one: Mapping[str, Any], other: Mapping[str, Any]) -> Differences:
    """What differs between two results.

    Returns:
        options, data, recipe, metrics, classes (accuracy of each) and versions, each from a name to the two
        values; what is the same in both is left out, and None stands for what one of them does not have.
    """
    return {
        title: _differing(part(one), part(other))
        for title, part in _PARTS.items()
        if _differing(part(one), part(other))
    }


def overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the intervals of the two accuracies overlap, so that their difference may be chance."""
    first, second = ((result.get("evaluation") or {}).get("interval") for result in (one, other))
    if not first or not second:
        return False
    return first[0] <= second[1] and second[0] <= first[1]


def _options(result: Mapping[str, Any]) -> dict[str, Any]:
    return dict(result.get("config") or {})


def _data(result: Mapping[str, Any]) -> dict[str, Any]:
    return _plain(result.get("dataset") or {}, leave=("samples", "balance"))


def _recipe(result: Mapping[str, Any]) -> dict[str, Any]:
    return dict((result.get("training") or {}).get("recipe") or {})


def _metrics(result: Mapping[str, Any]) -> dict[str, Any]:
    training = dict(result.get("training") or {})
    last = (training.pop("history", None) or [{}])[-1]
    return {
        "outcome": result.get("outcome"),
        **_plain(result.get("evaluation") or {}, leave=("threshold", "blessed", "version")),
        **{key: value for key, value in last.items() if key in ("loss", "val_loss", "epoch")},
        **_plain(training, leave=("recipe",)),
        **_plain(result.get("serving") or {}, leave=("signatures", "importable", "why", "equal")),
        "seconds": result.get("seconds"),
        **{f"seconds of {step['name']}": step["seconds"] for step in result.get("steps") or ()
           if step.get("state") == "done" and not step.get("cached")},
    }  # fmt: skip


def _classes(result: Mapping[str, Any]) -> dict[str, Any]:
    return {row["label"]: row["accuracy"] for row in (result.get("evaluation") or {}).get("per_class") or ()}


def _versions(result: Mapping[str, Any]) -> dict[str, Any]:
    git = result.get("git") or {}
    changed = " with changes" if git.get("dirty") else ""
    return {**(result.get("versions") or {}), "git": f"{git.get('revision')}{changed}" if git else None}


_PARTS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "options": _options, "data": _data, "recipe": _recipe, "metrics": _metrics, "classes": _classes,
    "versions": _versions,
}  # fmt: skip


def _plain(values: Mapping[str, Any], leave: tuple[str, ...], before: str = "") -> dict[str, Any]:
    """The words and numbers of nested values, such as `baseline accuracy`; lists stay aside."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key in leave:
            continue
        if isinstance(value, dict):
            found |= _plain(value, leave, f"{before}{key} ")
        elif not isinstance(value, list):
            found[f"{before}{key}"] = value
    return found


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [*one, *(name for name in other if name not in one)]
    both = {name: (one.get(name), other.get(name)) for name in names}
    return {name: pair for name, pair in both.items() if pair[0] != pair[1]}


def _folders(folder: Path) -> Iterator[Path]:
    """Folders of runs, without a look into what a run holds."""
    for place, below, files in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        if RESULT in files or ".lock" in files:
            below.clear()
            yield Path(place)
        elif depth >= _DEEPEST:
            below.clear()


def _row(folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"run": str(folder), **dict.fromkeys(("name", "when", "outcome", "accuracy"))}
    row["seconds"] = None
    if _at_work(folder):
        return {**row, "outcome": "running"}
    name = RESULT if (folder / RESULT).is_file() else VALIDATION
    if name == VALIDATION and not _ended_with(folder / VALIDATION):
        return {**row, "outcome": "unfinished"}
    try:
        result = read(folder, name)
    except BadInput:
        return {**row, "outcome": "unreadable"}
    accuracy = (result.get("evaluation") or {}).get("accuracy")
    return {
        "run": str(folder), "name": result.get("name"), "when": result.get("started"),
        "outcome": result.get("outcome"), "accuracy": accuracy, "seconds": result.get("seconds"),
    }  # fmt: skip


def _ended_with(kept: Path) -> bool:
    """Whether the last that was at work in a run's folder left this file: nothing was logged after it."""
    log = kept.with_name("log.txt")
    return kept.is_file() and not (log.is_file() and log.stat().st_mtime_ns > kept.stat().st_mtime_ns)


def _at_work(folder: Path) -> bool:
    """Whether a run holds its folder's lock right now."""
    try:
        with (folder / ".lock").open() as held:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False
