"""What the Evaluator is asked to measure, and what it found, for people."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from keras_cnns.training.examples import LABEL, ORIGIN, SIZE
from pipeline.config import Config
from pipeline.sources import Dataset

_ACCURACY = "sparse_categorical_accuracy"
_LOSS = "sparse_categorical_crossentropy"
_TOP5 = "top5"
_BOTH = "both_right_diff"  # pipeline.agreement's, under the name that TFMA gives to what compares two models
_GROUPS = (SIZE, ORIGIN)  # what pictures are sliced by besides their class
_HISTOGRAM = "calibrationHistogramBuckets"
_BINS = 15  # of the calibration error, as Guo et al. 2017 have it


def eval_config(config: Config, dataset: Dataset) -> tfma.EvalConfig:
    """Accuracy, loss, calibration and confusion, overall, per class and per group of pictures.

    The thresholds that bless a model are in it.
    """
    lowest = tfma.GenericValueThreshold(lower_bound={"value": minimum(config, dataset)})
    no_drop = tfma.GenericChangeThreshold(
        direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -config.max_drop}
    )
    overall = tfma.PerSliceMetricThreshold(
        slicing_specs=[tfma.SlicingSpec()],
        threshold=tfma.MetricThreshold(value_threshold=lowest, change_threshold=no_drop),
    )
    slices = [tfma.SlicingSpec(feature_keys=[feature]) for feature in (LABEL, *_GROUPS)]
    bounds = [overall]
    if config.min_slice_accuracy is not None:
        bound = tfma.GenericValueThreshold(lower_bound={"value": config.min_slice_accuracy})
        threshold = tfma.MetricThreshold(value_threshold=bound)
        bounds.append(tfma.PerSliceMetricThreshold(slicing_specs=slices, threshold=threshold))
    metrics = [tfma.MetricConfig(class_name="SparseCategoricalAccuracy", per_slice_thresholds=bounds)]
    if len(dataset.classes) > 5:
        five = json.dumps({"k": 5, "name": _TOP5})
        metrics.append(tfma.MetricConfig(class_name="SparseTopKCategoricalAccuracy", config=five))
    others = ("SparseCategoricalCrossentropy", "ExampleCount", "MultiClassConfusionMatrixPlot")
    metrics += [tfma.MetricConfig(class_name=name) for name in others]
    metrics.append(tfma.MetricConfig(class_name="BothRight", module="pipeline.agreement"))
    bins = tfma.MetricConfig(class_name="CalibrationPlot", config=json.dumps({"num_buckets": _BINS}))
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_default", label_key=LABEL, prediction_key="probabilities",
                inference_batch_size=128,
            )
        ],
        slicing_specs=[tfma.SlicingSpec(), *slices],
        metrics_specs=[
            tfma.MetricsSpec(metrics=metrics),
            # The model's answer alone, and whether it is right: a histogram of what it is sure of.
            tfma.MetricsSpec(
                metrics=[bins],
                aggregate=tfma.AggregationOptions(micro_average=True, top_k_list={"values": [1]}),
            ),
        ],
    )  # fmt: skip


def minimum(config: Config, dataset: Dataset) -> float:
    """The accuracy that a model must reach."""
    return dataset.min_accuracy if config.min_accuracy is None else config.min_accuracy


def summary(
    folder: Path, classes: list[str], blessed: bool, threshold: float, slice_threshold: float | None = None
) -> dict[str, Any]:
    """What the Evaluator wrote below `folder`, in the words of the report.

    Returns:
        accuracy, interval (Wilson, 95 %), loss, top5 (None with 5 classes or fewer), calibration_error,
        count, threshold, blessed, baseline (of the last blessed model on the same examples: accuracy,
        difference to it and the difference's interval; None for a first model), comparison (the same in
        words), per_class,
        slices (feature, value, count, accuracy, interval), too_low (classes and slices below
        slice_threshold), slice_threshold, confusion (rows are true classes).
    """
    candidate, base = _results(folder)
    metrics = _by_slice(candidate)
    overall = metrics[()]
    count = int(overall["example_count"])
    confusion = _confusion(candidate, len(classes))
    per_class = [
        _class_row(label, metrics.get(((LABEL, index),)), confusion, index)
        for index, label in enumerate(classes)
    ]
    slices = _slices(metrics)
    before = None if base is None else _compared(overall, _by_slice(base)[()])
    rows = [{"feature": "class", "value": row["label"], **row} for row in per_class] + slices
    return {
        "accuracy": overall[_ACCURACY],
        "interval": wilson(overall[_ACCURACY], count),
        "loss": overall[_LOSS],
        "top5": overall.get(_TOP5),
        "calibration_error": _calibration_error(candidate),
        "count": count,
        "threshold": threshold,
        "blessed": blessed,
        "baseline": before,
        "comparison": _in_words(before),
        "per_class": per_class,
        "slices": slices,
        "slice_threshold": slice_threshold,
        "too_low": [
            {key: row[key] for key in ("feature", "value", "count", "accuracy")}
            for row in rows
            if slice_threshold is not None and row["count"] and row["accuracy"] < slice_threshold
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


def difference(share: float, other: float, both: float, count: int) -> list[float]:
    """The 95 % interval of the difference of two shares of the same draws (Newcombe 1998, method 10).

    Args:
        share: What one model has right, of all pictures.
        other: What another one has right of the same ones.
        both: What both have right.
        count: The pictures.
    """
    (low, high), (other_low, other_high) = wilson(share, count), wilson(other, count)
    alike = _correlation(share, other, both, count)

    def apart(one: float, two: float) -> float:
        return math.sqrt(max(one * one - 2 * alike * one * two + two * two, 0.0))

    below, above = apart(share - low, other_high - other), apart(high - share, other - other_low)
    return [share - other - below, share - other + above]


def _correlation(share: float, other: float, both: float, count: int) -> float:
    """Of being right, with Newcombe's correction for few draws; 0 where one is always or never right."""
    spread = share * (1 - share) * other * (1 - other)
    if not count or spread <= 0:
        return 0.0
    together = both - share * other
    together = max(together - 1 / (2 * count), 0.0) if together > 0 else together
    return together / math.sqrt(spread)


def _compared(new: dict[str, float], old: dict[str, float]) -> dict[str, Any]:
    accuracy, before, count = new[_ACCURACY], old[_ACCURACY], int(new["example_count"])
    interval = difference(accuracy, before, new[_BOTH], count)
    return {"accuracy": before, "difference": accuracy - before, "interval": interval}


def _in_words(baseline: dict[str, Any] | None) -> str:
    if baseline is None:
        return "the first model: there is no blessed one of these classes to compare it with"
    low, high = baseline["interval"]
    return f"{baseline['difference']:+.3f} [{low:+.3f}, {high:+.3f}] to the last blessed model"


def _slices(metrics: dict[tuple, dict[str, float]]) -> list[dict[str, Any]]:
    """Accuracy by the values of a feature, where it has more than one."""
    rows = []
    for feature in _GROUPS:
        found = {key[0][1]: one for key, one in metrics.items() if len(key) == 1 and key[0][0] == feature}
        for value, one in sorted(found.items(), key=lambda pair: _in_order(str(pair[0]))):
            accuracy, count = one[_ACCURACY], int(one["example_count"])
            rows.append(
                {"feature": feature, "value": str(value), "count": count, "accuracy": accuracy,
                 "interval": wilson(accuracy, count)}
            )  # fmt: skip
        if len(found) < 2:
            del rows[len(rows) - len(found) :]
    return rows


def _in_order(value: str) -> tuple[int, str]:
    """Sizes by their pixels, "up to 64 px" before "up to 128 px"; other values by their letters."""
    digits = "".join(one for one in value if one.isdigit()) if value.startswith("up to ") else ""
    return int(digits or 0), value


def _calibration_error(result: Any) -> float | None:
    """Expected calibration error: how far sureness lies from being right, on average over the answers.

    From TFMA's histogram of the likeliest class's probability: the sum over its bins of the difference
    between right answers and probabilities, divided by all answers (Guo et al. 2017, equation 3).
    """
    for key, outputs in result.plots:
        if key == ():
            found = [one[_HISTOGRAM] for one in outputs[""].values() if _HISTOGRAM in one]
            bins = [one for one in found[0]["buckets"] if _number(one, "numWeightedExamples")]
            apart = [
                abs(_number(one, "totalWeightedLabel") - _number(one, "totalWeightedRefinedPrediction"))
                for one in bins
            ]
            return sum(apart) / sum(_number(one, "numWeightedExamples") for one in bins)
    return None


def _number(message: dict[str, Any], key: str) -> float:
    return float(message.get(key, 0.0))  # protobuf's JSON leaves zeros out


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
