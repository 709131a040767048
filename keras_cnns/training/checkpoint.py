"""The state of an unfinished training: what an interrupted run goes on from."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

_STATE = "state.json"


@dataclass
class State:
    """Where a training stands after an epoch.

    Attributes:
        rows: The history, a row an epoch.
        last: File name of the weights and the optimizer's variables after the last of them.
        best: File name of the weights after the best epoch so far; empty where the best are not kept.
        decided: What was decided on this machine when the training began, such as its precision.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    last: str = ""
    best: str = ""
    decided: dict[str, Any] = field(default_factory=dict)


def save(model: keras.Model, state: State, folder: Path, best: list[np.ndarray] | None = None) -> None:
    """Write the state after an epoch; a kill at any moment leaves this state whole, or the one before.

    Args:
        model: A compiled model after an epoch.
        state: Its history; the names of the files are filled in.
        folder: Where to write.
        best: The weights that were measured after this epoch, if it is the best so far.
    """
    folder.mkdir(parents=True, exist_ok=True)
    epoch = len(state.rows)
    state.last = f"last-{epoch}.weights.h5"
    model.save_weights(folder / state.last, overwrite=True)
    _flush(folder / state.last)
    if best is not None:
        state.best = f"best-{epoch}.npz"
        np.savez(folder / state.best, *best)
        _flush(folder / state.best)
    # The weights bear their epoch's number, and only this file says which of them count.
    new = folder / f"new-{_STATE}"
    with new.open("w", encoding="utf-8") as file:
        json.dump(asdict(state), file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / _STATE)
    for left in [*folder.glob("last-*"), *folder.glob("best-*")]:
        if left.name not in (state.last, state.best):
            left.unlink()


def load(folder: Path | None) -> State:
    """The saved state, or a new one where there is none."""
    if folder is None or not (folder / _STATE).is_file():
        return State()
    return State(**json.loads((folder / _STATE).read_text(encoding="utf-8")))


def restore(model: keras.Model, state: State, folder: Path) -> None:
    """Bring a compiled model, with its optimizer, to a saved state."""
    model.optimizer.build(model.trainable_variables)
    model.load_weights(folder / state.last)


def best(state: State, folder: Path) -> list[np.ndarray]:
    """The weights of the best epoch, as `model.set_weights` takes them."""
    with np.load(folder / state.best) as held:
        return [held[f"arr_{index}"] for index in range(len(held.files))]


def _flush(file: Path) -> None:
    with file.open("rb") as written:
        os.fsync(written.fileno())
