"""Pusher: publishes a blessed model as the next version, all or nothing."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import os
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import component as tfx_pusher
from tfx.components.pusher import executor as tfx_executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from pipeline.errors import BadInput

_A_DAY = 24 * 3600


class Executor(tfx_executor.Executor):
    """TFX's Pusher with numbered versions that appear complete or not at all."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Push the model if both blessings are there, unless the newest version is this very model.

        Raises:
            BadInput: The destination cannot be written or is full; nothing of the model stays there.
        """
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties["push_destination"], destination)
        model, models = Path(self.GetModelPath(input_dict)), Path(destination.filesystem.base_directory)
        newest = [version for version in versions(models)[-1:] if same(model, version)]
        version = newest[0] if newest else push(model, models)
        pushed.set_int_custom_property("already_there", len(newest))
        self._MarkPushed(pushed, pushed_destination=str(version), pushed_version=version.name)


class Pusher(tfx_pusher.Pusher):
    """TFX's Pusher component over our executor."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def versions(models: Path) -> list[Path]:
    """The complete versions of a pushed model, oldest first."""
    if not models.is_dir():
        return []
    numbered = [path for path in models.iterdir() if path.name.isdigit() and path.is_dir()]
    return sorted(numbered, key=lambda path: int(path.name))


def push(model: Path, models: Path) -> Path:
    """Publish a SavedModel folder as the next version.

    The copy is made beside the versions and renamed when it is complete, so a server that watches the folder
    never sees a part of a model, and two pushes at once take two numbers.

    Args:
        model: Folder of the SavedModel and its siblings.
        models: Folder of the versions, `models/<name>`.

    Returns:
        The version's folder, `models/<name>/<number>`.
    """
    incoming = models / f".incoming-{uuid.uuid4().hex}"
    try:
        models.mkdir(parents=True, exist_ok=True)
        _sweep(models)
        shutil.copytree(model, incoming)
        _flush(incoming)
        return _take_number(incoming, models)
    except OSError as error:
        full = _errno(error) in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else str(error)
        raise BadInput(f"--models {models}: {why}; nothing was pushed") from error
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
        with contextlib.suppress(OSError):
            models.rmdir()  # succeeds only where nothing was pushed


def _take_number(incoming: Path, models: Path) -> Path:
    while True:
        present = versions(models)
        target = models / str(int(present[-1].name) + 1 if present else 1)
        try:
            incoming.rename(target)  # fails where another push took the number: that folder is not empty
            return target
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise


def _sweep(models: Path) -> None:
    """Remove what a push left that was killed; one that is under way is younger."""
    for left in models.glob(".incoming-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _A_DAY:
                shutil.rmtree(left, ignore_errors=True)


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    if names != sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file()):
        return False
    return all(filecmp.cmp(one / name, other / name, shallow=False) for name in names)


def _flush(folder: Path) -> None:
    """Have the files on disk before the version's name is; a full disk shows here at the latest."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _errno(error: OSError) -> int | None:
    """The error's number; copytree wraps errors in lists of (source, target, text) and keeps no number."""
    if isinstance(error, shutil.Error) and "No space left" in str(error):
        return errno.ENOSPC
    return error.errno
