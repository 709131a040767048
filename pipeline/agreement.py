"""A TFMA metric that looks at both models at once: how often the new and the last blessed one are both right.

TFMA counts each model by itself, and its own metrics over two models know of thresholds only. This one number
is what the interval of their difference lacks: two models err mostly on the same pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.utils import model_util

NAME = "both_right"


class BothRight(metric_types.Metric):
    """The share of pictures that both models put into their class; nothing where there is one model."""

    def __init__(self, name: str = NAME) -> None:
        super().__init__(_computations, name=name)


def _computations(
    name: str, eval_config: tfma.EvalConfig, model_names: Iterable[str], output_names: Iterable[str] = ("",)
) -> list[Any]:
    baseline = model_util.get_baseline_model_spec(eval_config)
    others = [one for one in model_names if baseline is not None and one != baseline.name]
    keys = [
        metric_types.MetricKey(name=name, model_name=one, output_name=output, is_diff=True)
        for one in others
        for output in output_names
    ]
    return [
        metric_types.MetricComputation(
            keys=[key], preprocessors=None, combiner=_Count(key, eval_config, baseline.name)
        )
        for key in keys
    ]


class _Count(beam.CombineFn):
    """Pictures that both have right, and all."""

    def __init__(self, key: Any, eval_config: tfma.EvalConfig, baseline: str) -> None:
        self._key, self._config, self._models = key, eval_config, (key.model_name, baseline)

    def create_accumulator(self) -> tuple[int, int]:
        return 0, 0

    def add_input(self, counts: tuple[int, int], element: Any) -> tuple[int, int]:
        right = True
        for model in self._models:
            label, answer, _ = next(
                metric_util.to_label_prediction_example_weight(
                    element, eval_config=self._config, model_name=model, output_name=self._key.output_name,
                    flatten=False,
                )
            )  # fmt: skip
            right = right and int(np.argmax(answer)) == int(label.item())
        return counts[0] + right, counts[1] + 1

    def merge_accumulators(self, accumulators: Iterable[tuple[int, int]]) -> tuple[int, int]:
        counts = list(accumulators)
        return sum(right for right, _ in counts), sum(seen for _, seen in counts)

    def extract_output(self, counts: tuple[int, int]) -> dict[Any, float]:
        right, seen = counts
        return {self._key: right / seen if seen else float("nan")}
