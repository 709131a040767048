"""What is made of TFMA's counts: real TFMA on probabilities that are known, against plain arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import lanes
from pipeline.config import Config, check
from pipeline.sources import Dataset
from tuning.errors import BadInput

COUNT = 400


def dataset(classes: int) -> Dataset:
    return Dataset(
        kind="folder", title="known", classes=tuple(f"class {index}" for index in range(classes)),
        images=COUNT, channels=3, fingerprint="", splits=(), largest_share=0.5, min_accuracy=0.1,
    )  # fmt: skip


def answers(classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True labels and a model's probabilities, surer than it is right."""
    dice = np.random.default_rng(seed)
    weights = np.exp(2 * dice.normal(0, 1, (COUNT, classes)))
    probabilities = weights / weights.sum(1, keepdims=True)
    honest = np.sqrt(probabilities) / np.sqrt(probabilities).sum(1, keepdims=True)
    return np.array([dice.choice(classes, p=row) for row in honest]), probabilities.astype("float32")


def evaluated(
    folder: Path,
    config: Config,
    classes: int,
    models: dict[str, np.ndarray],
    labels: np.ndarray,
    **columns: Any,
) -> Path:
    """TFMA's results for models' probabilities, written as the Evaluator does."""
    lanes.complete_tfma()
    import pandas as pd
    import tensorflow_model_analysis as tfma

    from pipeline import evaluation

    asked = evaluation.eval_config(config, dataset(classes))
    [spec] = asked.model_specs
    del asked.model_specs[:]
    for name in models:
        one = tfma.ModelSpec(name=name, label_key=spec.label_key, prediction_key=name)
        one.is_baseline = name == "baseline"
        asked.model_specs.append(one)
    for bound in asked.metrics_specs[0].metrics[0].per_slice_thresholds:
        bound.threshold.ClearField("change_threshold")  # the Evaluator's, which knows of rubber stamps
    if len(models) == 1:
        asked.model_specs[0].name = ""
    held = {name: list(one) for name, one in models.items()}
    frame = pd.DataFrame({"label": labels, **held, "size": "up to 32 px", "origin": "", **columns})
    tfma.analyze_raw_data(frame, asked, output_path=str(folder))
    return folder


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, np.ndarray, np.ndarray]:
    """(summary, labels, probabilities) of a model of seven classes that nothing came before."""
    from pipeline import evaluation

    labels, probabilities = answers(7)
    sizes = np.where(np.arange(COUNT) % 4, "up to 32 px", "up to 128 px")
    folder = evaluated(
        tmp_path_factory.mktemp("first"), Config(), 7, {"candidate": probabilities}, labels, size=sizes
    )
    return evaluation.summary(folder, list(dataset(7).classes), True, 0.1, 0.36), labels, probabilities


def test_accuracy_top_five_and_loss_are_tfmas(first: tuple[dict, np.ndarray, np.ndarray]) -> None:
    found, labels, probabilities = first
    ranks = np.argsort(-probabilities, axis=1)
    assert found["count"] == COUNT
    assert found["accuracy"] == pytest.approx((ranks[:, 0] == labels).mean())
    assert found["top5"] == pytest.approx((ranks[:, :5] == labels[:, None]).any(1).mean())
    assert found["loss"] == pytest.approx(-np.log(probabilities[np.arange(COUNT), labels]).mean(), rel=1e-4)


def test_the_calibration_error_is_the_papers(first: tuple[dict, np.ndarray, np.ndarray]) -> None:
    """Guo et al. 2017, equation 3, with 15 bins."""
    found, labels, probabilities = first
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = (sure * 15).astype(int)
    expected = sum(abs(right[bins == one].sum() - sure[bins == one].sum()) for one in range(16)) / COUNT
    assert expected > 0.1
    assert found["calibration_error"] == pytest.approx(expected, abs=1e-5)


def test_groups_are_shown_where_there_are_several(first: tuple[dict, np.ndarray, np.ndarray]) -> None:
    found, labels, probabilities = first
    right = probabilities.argmax(1) == labels
    small = np.arange(COUNT) % 4 != 0
    assert [(one["feature"], one["value"], one["count"]) for one in found["slices"]] == [
        ("size", "up to 32 px", 300), ("size", "up to 128 px", 100),
    ]  # fmt: skip
    assert [one["accuracy"] for one in found["slices"]] == pytest.approx(
        [right[small].mean(), right[~small].mean()]
    )
    for one in found["slices"]:
        assert one["interval"][0] < one["accuracy"] < one["interval"][1]


def test_what_lies_below_its_bound_is_named(first: tuple[dict, np.ndarray, np.ndarray]) -> None:
    found, _, _ = first
    low = {row["label"] for row in found["per_class"] if row["accuracy"] < 0.36}
    low |= {one["value"] for one in found["slices"] if one["accuracy"] < 0.36}
    assert {one["value"] for one in found["too_low"]} == low
    assert low


def test_a_first_model_says_so(first: tuple[dict, np.ndarray, np.ndarray]) -> None:
    found, _, _ = first
    assert found["baseline"] is None
    assert found["comparison"].startswith("the first model: there is no blessed one")


def test_a_bound_for_each_slice_refuses_a_model_that_is_good_on_the_whole(tmp_path: Path) -> None:
    lanes.complete_tfma()
    import tensorflow_model_analysis as tfma

    labels = np.arange(COUNT) % 2
    probabilities = np.eye(2, dtype="float32")[labels]
    dark = np.arange(COUNT) < 20
    probabilities[dark] = probabilities[dark][:, ::-1]
    origins = np.where(dark, "cellar", "garden")

    def passes(name: str, **bounds: float) -> bool:
        config = Config(min_accuracy=0.9, **bounds)
        evaluated(tmp_path / name, config, 2, {"candidate": probabilities}, labels, origin=origins)
        return tfma.load_validation_result(str(tmp_path / name)).validation_ok

    assert passes("without")
    assert not passes("with", min_slice_accuracy=0.5)


def test_the_difference_to_the_last_blessed_model_has_an_interval(tmp_path: Path) -> None:
    from pipeline import evaluation

    labels, probabilities = answers(3)
    _, other = answers(3, seed=1)
    models = {"candidate": probabilities, "baseline": other}
    found = evaluation.summary(evaluated(tmp_path, Config(), 3, models, labels), list("abc"), True, 0.1)
    assert found["top5"] is None, "with three classes it would be 1"
    before = found["baseline"]
    assert before["accuracy"] == pytest.approx((other.argmax(1) == labels).mean())
    assert before["difference"] == pytest.approx(found["accuracy"] - before["accuracy"])
    right, was_right = probabilities.argmax(1) == labels, other.argmax(1) == labels
    both = (right & was_right).mean()
    assert before["interval"] == evaluation.difference(found["accuracy"], before["accuracy"], both, COUNT)
    assert before["interval"][0] < before["difference"] < before["interval"][1]
    assert found["comparison"].endswith(" to the last blessed model")


def test_the_interval_of_a_difference_is_newcombes() -> None:
    """Altman et al. 2000, Statistics with Confidence, table 6.2: both 14, one 5, the other 0, none 22."""
    from pipeline import evaluation

    assert evaluation.difference(19 / 41, 14 / 41, 14 / 41, 41) == pytest.approx([0.0111, 0.2257], abs=1e-3)
    apart = evaluation.difference(0.9, 0.88, 0.9 * 0.88, 1000)  # unrelated: as for two samples
    alike = evaluation.difference(0.9, 0.88, 0.88, 1000)
    assert apart[0] < 0 < alike[0], "a model that mends some mistakes and makes none is better beyond chance"
    assert evaluation.difference(0.9, 0.9, 0.9, 1000) == pytest.approx([0, 0], abs=0.006), "the same model"


def test_a_bound_is_a_share() -> None:
    with pytest.raises(BadInput, match="--min-slice-accuracy is a share between 0 and 1, not 70"):
        check(Config(min_slice_accuracy=70.0))


def test_a_refusal_names_the_worst_slice() -> None:
    from pipeline import run

    low = [
        {"feature": "class", "value": "cat", "accuracy": 0.6},
        {"feature": "origin", "value": "cellar", "accuracy": 0.2},
    ]
    found = {
        "accuracy": 0.97, "threshold": 0.9, "too_low": low, "slice_threshold": 0.7, "blessed": False,
        "baseline": None,
    }  # fmt: skip
    said = run._why_not({"evaluation": found, "serving": {"why": ""}})
    assert said == "accuracy 0.200 of origin cellar is below --min-slice-accuracy 0.700"
