"""Pushed models: `models/NAME/VERSION/`, `latest.json` beside them, `models.config` for TensorFlow Serving.

A version appears complete or not at all. `latest.json` says which one is to be served: the newest, until
`rollback` names an older one. Whoever serves follows it: `predict`, `serve`, and TensorFlow Serving through
`models.config`, which names the same versions. Both files are replaced by renaming, so a reader sees the old
one or the new one. Only the standard library is imported.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import filecmp
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from keras_cnns._checks import nearest
from tuning.errors import BadInput

LATEST = "latest.json"
PUSH = "push.json"  # in a version: when it was pushed, its accuracy, run and git revision
SERVING = "models.config"
_A_DAY = 24 * 3600
_HEAD = """\
# For TensorFlow Serving: --model_config_file=THIS FILE --model_config_file_poll_wait_seconds=10
# Written at each push and rollback; each model's version is the one that its latest.json names.
"""


def versions(folder: Path) -> list[Path]:
    """The complete versions of a pushed model, oldest first."""
    if not folder.is_dir():
        return []
    numbered = [path for path in folder.iterdir() if re.fullmatch("[0-9]+", path.name) and path.is_dir()]
    return sorted(numbered, key=lambda path: int(path.name))


def push(model: Path, folder: Path, facts: Mapping[str, Any] | None = None, keep: int = 0) -> Path:
    """Publish a SavedModel folder as the next version, and have `latest.json` name it.

    The copy is made beside the versions and renamed when it is complete, so a server that watches the folder
    never sees a part of a model, and two pushes at once take two numbers.

    Args:
        model: Folder of the SavedModel and its siblings.
        folder: Folder of the versions, `models/NAME`.
        facts: What `latest.json` is to say besides version and time: accuracy, run, git.
        keep: Versions to keep; older ones are removed. 0 keeps all.

    Returns:
        The version's folder, `models/NAME/VERSION`.

    Raises:
        BadInput: The folder cannot be written or the disk is full; nothing of the model stays there.
    """
    incoming = folder / f".incoming-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        shutil.copytree(model, incoming)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        (incoming / PUSH).write_text(_as_json({"when": now, **(facts or {})}), encoding="utf-8")
        _flush(incoming)
        with _held(folder.parent):
            version = _take_number(incoming, folder)
            try:
                _announce(version)
            except OSError:
                _remove(version)
                raise
            _retire(folder, keep)
        return version
    except OSError as error:
        full = _errno(error) in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else str(error)
        raise BadInput(f"--models {folder}: {why}; nothing was pushed") from error
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()  # succeeds only where nothing was pushed


def confirm(folder: Path, keep: int = 0) -> None:
    """Finish what a push left undone that was killed between its last renames; else nothing changes.

    The newest version becomes the latest one, unless it was rolled back.
    """
    with _held(folder.parent):
        newest, named = versions(folder)[-1], latest(folder) or {}
        if int(newest.name) not in (named.get("version"), named.get("rolled_back_from")):
            _announce(newest)
        else:
            _write_serving_config(folder.parent)
        _retire(folder, keep)


def latest(folder: Path) -> dict[str, Any] | None:
    """What `latest.json` says: version, when, accuracy, run, git; None where there is none.

    Raises:
        BadInput: It is there and cannot be read.
    """
    try:
        held = json.loads((folder / LATEST).read_text(encoding="utf-8"))
        return {**held, "version": int(held["version"])}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(f"{folder / LATEST} cannot be read; rollback --to VERSION writes it anew") from None


def current(folder: Path) -> Path:
    """The version to serve: the one that `latest.json` names, or the newest where there is no such file.

    Raises:
        BadInput: There is no version, or the named one is gone.
    """
    named, present = latest(folder), versions(folder)
    complete = [path for path in present if (path / "saved_model.pb").is_file()]
    if not complete:
        raise BadInput(f"{folder} holds no pushed version of a model")
    if named is None:
        return complete[-1]
    version = folder / str(named["version"])
    if version not in complete:
        raise BadInput(
            f"{folder / LATEST} names version {version.name}, which is not there; "
            f"rollback {folder.name} --to {complete[-1].name} names one that is"
        )
    return version


def facts_of(version: Path) -> dict[str, Any]:
    """What is known of a version's push; a version that an older push left says nothing."""
    try:
        held = json.loads((version / PUSH).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def rollback(folder: Path, to: int | None = None) -> tuple[int | None, dict[str, Any]]:
    """Have `latest.json`, and whatever serves from it, go back to an older version.

    Args:
        folder: Folder of the versions, `models/NAME`.
        to: The version to serve; by default the one before what is served now.

    Returns:
        The version that was served, and what `latest.json` says now.

    Raises:
        BadInput: There is no such model or version.
    """
    if not folder.is_dir():
        parent = folder.parent
        known = [path.name for path in parent.iterdir() if versions(path)] if parent.is_dir() else []
        close = nearest(folder.name, known)
        raise BadInput(f"{folder}: there is no such model" + (f"; did you mean {close}?" if close else ""))
    with _held(folder.parent):
        present = {int(path.name): path for path in versions(folder)}
        before = _served(folder)
        if to is None:
            older = [number for number in present if before is not None and number < before]
            if not older:
                raise BadInput(f"{folder}: there is no version before {before}")
            to = max(older)
        if to not in present:
            there = ", ".join(map(str, present)) or "none"
            raise BadInput(f"--to {to}: {folder} has no such version; there: {there}")
        newest = max(present)
        _announce(present[to], {"rolled_back_from": newest} if to < newest else {})
    return before, latest(folder) or {}


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same model: the same files with the same bytes, the push aside."""
    names = _files(one)
    return names == _files(other) and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in names
    )


def serving_config(models: Path, changed: Path | None = None) -> str:
    """The text of `models.config`: every model below a folder, each at the version that is to be served.

    Args:
        models: Folder of all models.
        changed: A version that its model's `latest.json` is about to name.
    """
    blocks = []
    for folder in sorted(path for path in models.iterdir() if path.is_dir() and versions(path)):
        with contextlib.suppress(BadInput):  # one broken model does not hide the others
            version = (changed if changed and changed.parent == folder else current(folder)).name
            blocks.append(
                f"  config {{\n    name: {_quoted(folder.name)}\n"
                f"    base_path: {_quoted(str(folder.resolve()))}\n"
                f'    model_platform: "tensorflow"\n'
                f"    model_version_policy {{ specific {{ versions: {version} }} }}\n  }}\n"
            )
    return f"{_HEAD}model_config_list {{\n{''.join(blocks)}}}\n"


def _served(folder: Path) -> int | None:
    with contextlib.suppress(BadInput):
        return int(current(folder).name)
    return None


@contextlib.contextmanager
def _held(models: Path) -> Iterator[None]:
    """Keep other pushes and rollbacks out of the folder of all models; its lock goes with the process."""
    folder = os.open(models, os.O_RDONLY)
    try:
        # File systems without such locks still give each version a number of its own.
        with contextlib.suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _take_number(incoming: Path, folder: Path) -> Path:
    while True:
        present = versions(folder)
        target = folder / str(int(present[-1].name) + 1 if present else 1)
        try:
            incoming.rename(target)  # fails where another push took the number: that folder is not empty
            return target
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise


def _announce(version: Path, more: Mapping[str, Any] | None = None) -> None:
    """Have `models.config` and `latest.json` name a version."""
    folder = version.parent
    told = {"version": int(version.name), **facts_of(version), **(more or {})}
    _replace(
        {
            folder.parent / SERVING: serving_config(folder.parent, version),
            folder / LATEST: _as_json(told),
        }
    )


def _write_serving_config(models: Path) -> None:
    path, text = models / SERVING, serving_config(models)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        _replace({path: text})


def _retire(folder: Path, keep: int) -> None:
    """Remove the oldest versions beyond `keep`, never the newest nor the one that is served."""
    for left in folder.glob(".outgoing-*"):
        shutil.rmtree(left, ignore_errors=True)
    if keep < 1:
        return
    served = _served(folder)
    for version in versions(folder)[:-keep]:
        if int(version.name) != served:
            with contextlib.suppress(OSError):  # what cannot be removed is no reason to call a push failed
                _remove(version)


def _remove(version: Path) -> None:
    """Take a version away: renamed first, so that no server finds a part of it."""
    gone = version.rename(version.parent / f".outgoing-{uuid.uuid4().hex}")
    shutil.rmtree(gone, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what a push left that was killed; one that is under way is younger."""
    for left in folder.glob(".incoming-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_ctime > _A_DAY:  # mtime is copied from the model
                shutil.rmtree(left, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path != Path(PUSH))


def _flush(folder: Path) -> None:
    """Have the files on disk before the version's name is; a full disk shows here at the latest."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _replace(texts: Mapping[Path, str]) -> None:
    """Replace files by renaming, and none of them before all are written."""
    partial = {path: path.with_name(f".{path.name}-{uuid.uuid4().hex}") for path in texts}
    try:
        for path, text in texts.items():
            with partial[path].open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for path, written in partial.items():
            written.replace(path)
    finally:
        for written in partial.values():
            written.unlink(missing_ok=True)


def _as_json(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _quoted(text: str) -> str:
    """A string of protobuf's text form, whose escapes are those of JSON as far as names need them."""
    return json.dumps(text, ensure_ascii=False)


def _errno(error: OSError) -> int | None:
    """The error's number; copytree wraps errors in lists of (source, target, text) and keeps no number."""
    if isinstance(error, shutil.Error) and "No space left" in str(error):
        return errno.ENOSPC
    return error.errno
