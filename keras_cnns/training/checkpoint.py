"""The state of an unfinished training: what an interrupted run goes on from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

_WEIGHTS, _ROWS = "latest.weights.h5", "history.json"


def save(model: keras.Model, rows: list[dict[str, float]], folder: Path) -> None:
    """Write weights, optimizer and history; each file appears whole, so that a kill leaves the one before.

    Args:
        model: A compiled model after an epoch.
        rows: The history so far, a row an epoch.
        folder: Where to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The history goes last: weights that are an epoch ahead of it cost that epoch again, no more.
    model.save_weights(folder / f"new.{_WEIGHTS}", overwrite=True)
    (folder / f"new.{_WEIGHTS}").replace(folder / _WEIGHTS)
    (folder / f"new.{_ROWS}").write_text(json.dumps(rows), encoding="utf-8")
    (folder / f"new.{_ROWS}").replace(folder / _ROWS)


def restore(model: keras.Model, folder: Path) -> list[dict[str, Any]]:
    """Bring a compiled model to the saved state, if there is one.

    Returns:
        The history up to there; empty where training starts anew.
    """
    if not (folder / _ROWS).is_file():
        return []
    model.optimizer.build(model.trainable_variables)
    model.load_weights(folder / _WEIGHTS)
    return json.loads((folder / _ROWS).read_text(encoding="utf-8"))
