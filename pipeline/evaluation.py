"""What the Evaluator is asked to measure, and what it found, for people."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from keras_cnns.training.examples import LABEL
from pipeline.config import Config
from pipeline.sources import Dataset

_ACCURACY = "sparse_categorical_accuracy"
_LOSS = "sparse_categorical_crossentropy"


def eval_config(config: Config, dataset: Dataset) -> tfma.EvalConfig:
    """Accuracy, loss and confusion, overall and per class, with the thresholds that bless a model."""
    lowest = tfma.GenericValueThreshold(lower_bound={"value": minimum(config, dataset)})
    no_drop = tfma.GenericChangeThreshold(
        direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -config.max_drop}
    )
    overall = tfma.PerSliceMetricThreshold(
        slicing_specs=[tfma.SlicingSpec()],
        threshold=tfma.MetricThreshold(value_threshold=lowest, change_threshold=no_drop),
    )
    accuracy = tfma.MetricConfig(class_name="SparseCategoricalAccuracy", per_slice_thresholds=[overall])
    others = ("SparseCategoricalCrossentropy", "ExampleCount", "MultiClassConfusionMatrixPlot")
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_default", label_key=LABEL, prediction_key="probabilities",
                inference_batch_size=128,
            )
        ],
        slicing_specs=[tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=[LABEL])],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[accuracy, *(tfma.MetricConfig(class_name=name) for name in others)]
            )
        ],
    )  # fmt: skip


def minimum(config: Config, dataset: Dataset) -> float:
    """The accuracy that a model must reach."""
    return dataset.min_accuracy if config.min_accuracy is None else config.min_accuracy


def summary(folder: Path, classes: list[str], blessed: bool, threshold: float) -> dict[str, Any]:
    """What the Evaluator wrote below `folder`, in the words of the report.

    Returns:
        accuracy, interval (Wilson, 95 %), loss, count, threshold, blessed, baseline (accuracy of the last
        blessed model on the same examples, or None), per_class, confusion (rows are true classes).
    """
    candidate, base = _results(folder)
    metrics = _by_slice(candidate)
    overall = metrics[()]
    count = int(overall["example_count"])
    confusion = _confusion(candidate, len(classes))
    return {
        "accuracy": overall[_ACCURACY],
        "interval": wilson(overall[_ACCURACY], count),
        "loss": overall[_LOSS],
        "count": count,
        "threshold": threshold,
        "blessed": blessed,
        "baseline": None if base is None else {"accuracy": _by_slice(base)[()][_ACCURACY]},
        "per_class": [
            _class_row(label, metrics.get(((LABEL, index),)), confusion, index)
            for index, label in enumerate(classes)
        ],
        "confusion": confusion.tolist(),
    }


def accuracy(folder: Path) -> float:
    """The new model's accuracy on all examples, of what the Evaluator wrote below `folder`."""
    return _by_slice(_results(folder)[0])[()][_ACCURACY]


def wilson(share: float, count: int, z: float = 1.96) -> list[float]:
    """The 95 % interval of a share that was seen in `count` draws (Wilson 1927)."""
    if not count:
        return [0.0, 1.0]
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return [max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)]


def worst_class(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The class that is recognised least."""
    return min((row for row in evaluation["per_class"] if row["count"]), key=lambda row: row["accuracy"])


def mistakes(predictions: Path, most: int = 20) -> list[dict[str, Any]]:
    """The most confident wrong answers: index in the test files, true and predicted label, probability."""
    held = np.load(predictions)
    wrong = np.flatnonzero(held["labels"] != held["predicted"])
    worst = wrong[np.argsort(-held["probability"][wrong], kind="stable")][:most]
    return [
        {"index": int(i), "true": int(held["labels"][i]), "predicted": int(held["predicted"][i]),
         "probability": float(held["probability"][i])}
        for i in worst
    ]  # fmt: skip


def _results(folder: Path) -> tuple[Any, Any]:
    """TFMA's results for the new model and for the last blessed one, None where there is none."""
    specs = tfma.load_eval_result(str(folder)).config.model_specs
    loaded = {
        spec.is_baseline: tfma.load_eval_result(str(folder), model_name=spec.name if len(specs) > 1 else None)
        for spec in specs
    }
    return loaded[False], loaded.get(True)


def _by_slice(result: Any) -> dict[tuple, dict[str, float]]:
    return {
        key: {
            name: float(value["doubleValue"])
            for name, value in outputs[""][""].items()
            if "doubleValue" in value and not name.startswith("__")
        }
        for key, outputs in result.slicing_metrics
    }


def _confusion(result: Any, classes: int) -> np.ndarray:
    counts = np.zeros((classes, classes), int)
    for key, outputs in result.plots:
        if key == ():
            matrices = outputs[""][""]["multiClassConfusionMatrixAtThresholds"]["matrices"]
            for entry in matrices[0]["entries"]:
                counts[int(entry.get("actualClassId", 0)), int(entry.get("predictedClassId", 0))] += round(
                    float(entry.get("numWeightedExamples", 0))
                )
    return counts


def _class_row(
    label: str, metrics: dict[str, float] | None, confusion: np.ndarray, index: int
) -> dict[str, Any]:
    accuracy, count = (metrics[_ACCURACY], int(metrics["example_count"])) if metrics else (0.0, 0)
    said = int(confusion[:, index].sum())
    precision = float(confusion[index, index] / said) if said else 0.0
    return {
        "label": label, "count": count, "accuracy": accuracy, "interval": wilson(accuracy, count),
        "precision": precision,
    }  # fmt: skip
