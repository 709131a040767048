"""A training in a process of its own, for tests that kill it; prints each report as a line of JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

from keras_cnns.recipes import recipe_for
from keras_cnns.training import data, fit
from keras_cnns.training.preprocess import Preprocess


def pictures(count: int, seed: int) -> data.Arrays:
    """Noise, brighter for one class than for the other."""
    dice = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    noise = dice.integers(0, 120, (count, 32, 32, 1)) + 60 * labels[:, None, None, None]
    return data.Arrays(noise.astype("uint8"), labels)


def task(recipe: str) -> fit.Task:
    """Everything at once that has a state: order, changes, average, accumulated gradients, best weights."""
    chosen = dataclasses.replace(recipe_for("lenet5_modern", recipe), epochs=5, batch_size=8)
    options = fit.Options(weights="loss", accumulate=2, class_weights="balanced")
    how = Preprocess(32, 32, 1)
    return fit.Task(
        "lenet5_modern", ("dark", "bright"), pictures(403, 1), pictures(60, 2), how, chosen, 7, options
    )


def main(recipe: str, folder: Path) -> None:
    """Train; leave history and weights in the folder."""
    trained = fit.train(
        task(recipe), checkpoints=folder / "state", report=lambda event: print(json.dumps(event), flush=True)
    )
    np.savez(folder / "weights.npz", *trained.model.get_weights())
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in trained.history]
    told = {"rows": rows, "kept": trained.kept_epoch, "resumed": trained.resumed_after}
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
