"""The process that trains: TensorFlow and Keras only, neither TFX nor Beam. See `pipeline.workers`."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from tuning import lean
from tuning.errors import BadInput


def main() -> None:
    """Import, wait for a request, train, export, answer."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what frameworks print belongs to the log
    with lean.imports(without=lean.KERAS_EXTRAS):
        from keras_cnns.training import export, fit, reference  # noqa: F401
    line = sys.stdin.readline()
    if not line:
        return
    try:
        done = train(json.loads(line), lambda event: answers.write(json.dumps(event) + "\n"))
        answer: dict[str, Any] = {"done": done}
    except Exception as error:
        traceback.print_exc()
        text = str(error) or type(error).__name__
        answer = {"failed": text, "bad_input": isinstance(error, BadInput)}
    answers.write(json.dumps(answer) + "\n")


def train(request: dict[str, Any], report: Any) -> dict[str, Any]:
    """Do what a request says: `task`, `export_to`, `run_folder`, `checkpoints`, `logs`, `recipe`.

    The task's epochs are measured on its own files; `test_files`, `test_count` are what the reference is of.

    Returns:
        history, images_per_second, device, parameters and more of `fit.Trained`. The checkpoints stay: a kill
        before TFX has written down that this step is done costs nothing then.
    """
    from keras_cnns.recipes import Recipe
    from keras_cnns.training import export, fit, reference
    from keras_cnns.training.data import Records
    from keras_cnns.training.preprocess import Preprocess

    given = request["task"]
    task = fit.Task(
        model=given["model"], arguments=given["arguments"], labels=tuple(given["labels"]), seed=given["seed"],
        train=Records(tuple(given["train_files"]), given["train_count"]),
        test=Records(tuple(given["measured_files"]), given["measured_count"]),
        preprocess=Preprocess(**given["preprocess"]), recipe=Recipe(**given["recipe"]),
        options=fit.Options(**given["options"]),
    )  # fmt: skip
    _check_network(task)
    trained = fit.train(
        task, checkpoints=Path(request["checkpoints"]), logs=Path(request["logs"]), report=report
    )
    folder, run_folder = Path(request["export_to"]), Path(request["run_folder"])
    export.export(
        trained.model, folder, labels=task.labels, how=task.preprocess,
        recipe={
            "model": task.model, "arguments": dict(task.arguments),
            "recipe": dataclasses.asdict(task.recipe), **request["recipe"],
        },
    )  # fmt: skip
    run_folder.mkdir(parents=True, exist_ok=True)
    unseen = Records(tuple(request["test_files"]), request["test_count"])
    reference.write(folder / "model.keras", dataclasses.replace(task, test=unseen), run_folder)
    facts = {
        "history": trained.history,
        "images_per_second": trained.images_per_second,
        "device": trained.device,
        "resumed_after": trained.resumed_after,
        "kept_epoch": trained.kept_epoch,
        "precision": trained.precision,
        "xla": trained.xla,
        "parameters": trained.model.count_params(),
        "recipe": {"model": task.model, **task.arguments, **dataclasses.asdict(task.recipe)},
        "checkpoints": request["checkpoints"],
    }
    (run_folder / "training.json").write_text(json.dumps(facts), encoding="utf-8")
    return facts


def _check_network(task: Any) -> None:
    """Have the builder refuse what it cannot build, such as an input that is too small for its heads."""
    import keras

    from keras_cnns.training import fit

    try:
        with keras.StatelessScope(initialize_variables=False):  # the graph alone: training builds it anew
            fit.untrained(task)
    except ValueError as error:
        raise BadInput(f"--model {task.model}: {error}") from None


if __name__ == "__main__":
    main()
