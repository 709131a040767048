"""The process that trains one trial and ends, so that its memory returns whatever frameworks keep.

It reads one request as a JSON line, answers with JSON lines, and dies with the process that started it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tuning import lean
from tuning.children import OUT_OF_MEMORY

MODEL = "model.keras"
_PROBED_BATCHES = 4
_TIMED = 20  # single pictures, whose median is the latency


class Pruned(Exception):
    """A network is larger than the search allows; its text says how much."""


def main() -> None:
    """Import, wait for a request, train, answer."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what frameworks print belongs to the log
    with lean.imports(without=lean.KERAS_EXTRAS):
        from keras_cnns.training import fit  # noqa: F401
    line = sys.stdin.readline()
    if not line:
        return
    threading.Thread(target=_end_with_parent, daemon=True).start()
    request = json.loads(line)
    answer = _answer(probe if request.get("probe") else train, request, answers)
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
    os._exit(0)  # the thread still reads


def _answer(what: Callable[..., dict[str, Any]], request: dict[str, Any], answers: Any) -> dict[str, Any]:
    import tensorflow as tf

    try:
        return {"done": what(request, lambda event: answers.write(json.dumps(event) + "\n"))}
    except Pruned as error:
        return {"pruned": str(error)}
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        traceback.print_exc()
        return {"failed": f"{OUT_OF_MEMORY}: {_first_line(error)}"}
    except Exception as error:
        traceback.print_exc()
        return {"failed": _first_line(error)}


def train(request: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Train through an epoch, from a checkpoint where there is one, and leave the network in the folder.

    Args:
        request: What `tuning.settings.request` made.
        report: Called while training goes on.

    Raises:
        Pruned: The network is larger than the request's limits.
    """
    from keras_cnns.training import fit

    began = time.perf_counter()
    task, folder = _task(request), Path(request["folder"])
    cost = _cost(task)
    # Once a configuration: a second measurement would differ by its noise, and prune what passed before.
    first = request["parent"] is None and not (folder / "checkpoints").exists()
    limits = request["limits"]
    if first and limits.get("latency_ms") and not _too_large(cost, limits):
        cost["latency_ms"] = _latency_before(task)
    report({"cost": cost})
    if why := _too_large(cost, limits):
        raise Pruned(why)
    _begin(folder, request["parent"])
    trained = fit.train(
        task, checkpoints=folder / "checkpoints", logs=Path(request["logs"]), report=report,
        until=request["until"], keep_bad_batch=False,  # thousands of them would fill the disk
    )  # fmt: skip
    cost.setdefault("latency_ms", latency(trained.model))
    trained.model.save(folder / f"new-{MODEL}")
    (folder / f"new-{MODEL}").replace(folder / MODEL)
    return {
        **cost, "history": trained.history, "device": trained.device, "precision": trained.precision,
        "resumed_after": trained.resumed_after, "seconds": round(time.perf_counter() - began, 2),
    }  # fmt: skip


def probe(request: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Train for a moment: what is measured in an epoch, and how long a step takes.

    Args:
        request: What `tuning.settings.request` made.
        report: Called with the network's cost, before memory is taken for it.

    Returns:
        "measured", names of the history's figures, and "seconds" of an epoch, without reading its pictures.
    """
    import dataclasses

    from keras_cnns.training import fit

    task = _task(request)
    report({"cost": _cost(task)})  # the builder refuses what it cannot build, such as an input too small
    few = min(task.train.count, task.recipe.batch_size * _PROBED_BATCHES)
    steps = -(-task.train.count // task.recipe.batch_size)
    short = dataclasses.replace(
        task,
        train=_first(task.train, task.preprocess, few),
        test=_first(task.test, task.preprocess, min(few, task.test.count)),
        recipe=dataclasses.replace(task.recipe, epochs=2),
    )
    row = fit.train(short, keep_bad_batch=False).history[-1]
    each = row["seconds"] / -(-few // task.recipe.batch_size)
    return {"measured": [key for key in row if key not in ("epoch", "seconds")], "seconds": each * steps}


def _first(source: Any, how: Any, count: int) -> Any:
    """The first pictures of a source, read and fitted."""
    from keras_cnns.training import data

    if isinstance(source, data.Arrays):
        return data.Arrays(source.images[:count], source.labels[:count])
    batch = data.batches(source, how, batch_size=count, finish=lambda pixels, labels, _: (pixels, labels))
    images, labels = next(iter(batch))
    return data.Arrays(images.numpy(), labels.numpy())


def _latency_before(task: Any) -> float:
    """The latency of a network that is not trained yet, without the heads that a training needs."""
    from keras_cnns.heads import strip_auxiliary
    from keras_cnns.training import devices, fit

    devices.grow_gpu_memory()
    with devices.policy(devices.precision(task.options.precision)):
        return latency(strip_auxiliary(fit.untrained(task)))


def latency(model: Any) -> float:
    """Milliseconds that the network takes for one picture here: a median, after some to warm up."""
    import numpy as np
    import tensorflow as tf

    picture = tf.zeros([1, *model.input_shape[1:]])
    answer = tf.function(lambda image: model(image, training=False))
    took = []
    for _ in range(_TIMED + 3):
        began = time.perf_counter()
        tf.nest.map_structure(np.asarray, answer(picture))
        took.append(time.perf_counter() - began)
    return round(1000 * float(np.median(took[3:])), 3)


def _task(request: Mapping[str, Any]) -> Any:
    from keras_cnns.recipes import Recipe
    from keras_cnns.training import fit
    from keras_cnns.training.preprocess import Preprocess
    from tuning import pictures

    return fit.Task(
        model=request["model"], arguments=request["arguments"], labels=tuple(request["labels"]),
        train=pictures.source(request["train"]), test=pictures.source(request["val"]),
        preprocess=Preprocess(**request["preprocess"]), recipe=Recipe(**request["recipe"]),
        seed=request["seed"],
    )  # fmt: skip


def _cost(task: Any) -> dict[str, Any]:
    """Parameters and multiply-adds, from the graph alone."""
    import keras

    from keras_cnns.analysis.counts import macs
    from keras_cnns.heads import strip_auxiliary
    from keras_cnns.training import fit

    with keras.StatelessScope(initialize_variables=False):
        network = strip_auxiliary(fit.untrained(task))
        return {"parameters": network.count_params(), "macs": macs(network)}


def _too_large(cost: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    """What of a network's cost is above its limit; "" where nothing is."""
    words = {"parameters": "{:,} parameters", "macs": "{:,} multiply-adds", "latency_ms": "{} ms a picture"}
    for key, text in words.items():
        most = limits.get(key)
        if most is not None and key in cost and cost[key] > most:
            return f"{text.format(cost[key])}, more than {most:,g}"
    return ""


def _begin(folder: Path, parent: str | None) -> None:
    """Go on from another trial's checkpoint, where this one has none of its own yet."""
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / "checkpoints"
    if parent is None or own.exists() or not (Path(parent) / "checkpoints").is_dir():
        return
    new = folder / "new-checkpoints"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(Path(parent) / "checkpoints", new)
    new.replace(own)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:500]


def _end_with_parent() -> None:
    """The parent holds the other end of standard input; when it is gone, so is the reason to go on."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
