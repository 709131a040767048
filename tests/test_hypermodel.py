"""A family in KerasTuner's own tuners, and our search as a tuner of KerasTuner."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from searching import begun

import tuning
from keras_cnns.registry import create_model
from tuning import declared, spaces
from tuning.asked import Asked
from tuning.errors import BadInput
from tuning.tuner import Tuner

TUNERS = {
    "random": lambda model, **how: keras_tuner.RandomSearch(model, max_trials=2, **how),
    "bayesian": lambda model, **how: keras_tuner.BayesianOptimization(model, max_trials=2, **how),
    "grid": lambda model, **how: keras_tuner.GridSearch(model, max_trials=2, **how),
    "hyperband": lambda model, **how: keras_tuner.Hyperband(model, max_epochs=2, factor=2, **how),
}


def pictures(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Grey pictures of two kinds, whose brightness tells them apart."""
    dice = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = dice.integers(0, 90, (count, 32, 32, 1)) + 150 * labels[:, None, None, None]
    return images.astype("uint8"), labels


def family(**how: Any) -> keras_tuner.HyperModel:
    fix = {"width": 0.5, "version": "modern", "batch_size": 32, **how.pop("fix", {})}
    ranges = {"lr": (1e-3, 1e-2)}
    return tuning.hypermodel(
        "lenet", input_shape=(32, 32, 1), classes=2, images=40, epochs=2, fix=fix, ranges=ranges, **how
    )


@pytest.mark.parametrize("name", TUNERS)
def test_any_tuner_of_kerastuner_takes_it(name: str, tmp_path: Path) -> None:
    tuner = TUNERS[name](family(), objective="val_accuracy", directory=str(tmp_path), seed=1)
    images, labels = pictures()
    held = (images[40:], labels[40:])
    tuner.search(images[:40], labels[:40], validation_data=held, epochs=2, verbose=0)
    best = tuner.oracle.get_best_trials(1)[0]
    assert best.status == "COMPLETED"
    assert 0 <= best.score <= 1
    assert tuner.oracle.objective.direction == "max"
    model = tuner.get_best_models(1)[0]
    answer = np.asarray(model.predict(images[:4], verbose=0))
    assert answer.shape == (4, 2)
    assert np.allclose(answer.sum(1), 1, atol=1e-5)


def test_it_builds_our_network_and_scales_pixels_itself() -> None:
    hp = keras_tuner.HyperParameters()
    model = family().build(hp)
    own = create_model("lenet5_modern", input_shape=(32, 32, 1), classes=2, width=0.5)
    assert model.count_params() == own.count_params()
    images, _ = pictures(4)
    plan = spaces.plan(spaces.space("lenet"), hp.values, 2)
    scaled = keras.Model(model.input, model.get_layer("scale").output).predict(images, verbose=0)
    assert scaled.min() >= plan.recipe.low
    assert scaled.max() <= plan.recipe.high
    assert np.allclose(scaled, images / 255 * (plan.recipe.high - plan.recipe.low) + plan.recipe.low)


def test_a_family_alone_is_the_papers_network_that_its_space_has_by_default() -> None:
    model = tuning.hypermodel("resnet").build(keras_tuner.HyperParameters())
    own = create_model("cifar_resnet20", shortcut="B")
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 10))
    assert model.count_params() == own.count_params()
    small = tuning.hypermodel("resnet", input_shape=(48, 48, 1), classes=3)
    hp = keras_tuner.HyperParameters()
    hp.values["depth"], hp.values["stem"] = 18, "3x3"  # which only a depth of ImageNet's has
    model = small.build(hp)
    assert (model.input_shape, model.output_shape) == ((None, 48, 48, 1), (None, 3))
    own = create_model("resnet18", input_shape=(48, 48, 1), classes=3, stem="3x3")
    assert model.count_params() == own.count_params()


def test_a_training_that_is_taken_up_by_its_weights_keeps_its_optimizer(tmp_path: Path) -> None:
    """As KerasTuner's Hyperband does from round to round."""
    images, labels = pictures(64)
    hp = keras_tuner.HyperParameters()
    how = {"optimizer": "sgd", "schedule": "cosine", "augmentation": 0}
    before = family(fix=how).build(hp)
    before.fit(images, labels, batch_size=32, verbose=0)
    before.save_weights(tmp_path / "w.weights.h5")
    after = family(fix=how).build(hp)
    after.load_weights(tmp_path / "w.weights.h5")
    assert int(after.optimizer.iterations) == 2
    for mine, theirs in zip(after.optimizer.variables, before.optimizer.variables, strict=True):
        assert np.array_equal(np.asarray(mine), np.asarray(theirs)), mine.path


def test_labels_are_smoothed_as_the_trial_says() -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["label_smoothing"] = 0.2
    model = family().build(hp)
    shares, labels = np.array([[0.7, 0.3]], "float32"), np.array([0])
    expected = -(0.9 * np.log(0.7) + 0.1 * np.log(0.3))
    assert float(model.loss(labels, shares)) == pytest.approx(expected, rel=1e-5)
    soft = np.array([[1.0, 0.0]], "float32")
    assert float(model.loss(soft, shares)) == pytest.approx(expected, rel=1e-5)


def test_pictures_are_changed_as_the_trial_says(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    images, labels = pictures(32)

    def fit(self: keras.Model, x: Any, y: Any = None, **options: Any) -> None:
        seen.append(np.concatenate([np.asarray(batch[0]) for batch in x]) if y is None else x)

    monkeypatch.setattr(keras.Model, "fit", fit)
    for strength in (0, 1):
        hp = keras_tuner.HyperParameters()
        model = family(fix={"augmentation": strength}).build(hp)
        family(fix={"augmentation": strength}).fit(hp, model, images, labels)
    plain, changed = (np.sort(one.astype("float32").reshape(32, -1), 0) for one in seen)
    assert np.array_equal(plain, np.sort(images.astype("float32").reshape(32, -1), 0))
    assert not np.array_equal(plain, changed)


@pytest.mark.parametrize("strength", [0, 3])
def test_a_share_is_held_out_and_pictures_are_weighed(strength: int, tmp_path: Path) -> None:
    images, labels = pictures(100)
    weights = np.where(np.arange(100) < 80, 1.0, 0.0)
    model = family(fix={"augmentation": strength, "label_smoothing": 0, "lr": 0.01})
    tuner = keras_tuner.RandomSearch(
        model, objective="val_accuracy", max_trials=1, directory=str(tmp_path), overwrite=True
    )
    tuner.search(images, labels, validation_split=0.2, sample_weight=weights, epochs=1, verbose=0)
    trial = tuner.oracle.get_best_trials(1)[0]
    assert trial.status == "COMPLETED"
    assert trial.metrics.get_history("val_loss")[0].mean() == [0.0]  # the last fifth, which weighs nothing


def test_a_search_as_a_tuner_must_be_told_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="output must be the folder of the search, not None"):
        Tuner(Asked("lenet5_modern"))
    assert not list(tmp_path.iterdir())


def test_a_search_as_a_tuner_may_be_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chief that is another process; what was found is then known here, too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    role = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    chief = begun(
        tmp_path, "search", "lenet5_modern", "--engine", "random", "--trials", 1, "--epochs", 1,
        "--output", "s", KERASTUNER_TUNER_ID="chief", **role,
    )  # fmt: skip
    try:
        for name, value in {**role, "KERASTUNER_TUNER_ID": "other"}.items():
            monkeypatch.setenv(name, value)
        asked = Asked("lenet5_modern", engine="random", trials=1, epochs=1, output=tmp_path / "s")
        tuner = Tuner(asked)
        tuner.search()
        assert chief.wait(120) == 0, (tmp_path / "printed.txt").read_text()
    finally:
        chief.kill()
        chief.wait()
    assert tuner.result["outcome"] == "worker"
    told = json.loads((tmp_path / "s" / "result.json").read_text())
    [trial] = told["trials"]
    assert trial["worker"] == "other"
    assert tuner.get_best_hyperparameters(1)[0].values == trial["values"]


def test_conditions_are_kerastuners_own() -> None:
    space = declared.hyperparameters(spaces.space("resnet"))
    space.values["depth"] = 20
    [stem] = [one for one in space.space if one.name == "stem"]
    assert not space.is_active(stem)
    space.values["depth"] = 18
    assert space.is_active(stem)


def test_what_is_not_known_is_told() -> None:
    with pytest.raises(BadInput, match="resnet"):
        tuning.hypermodel("resnt", input_shape=(32, 32, 3), classes=10)
    with pytest.raises(BadInput, match="depth"):
        tuning.hypermodel("resnet", input_shape=(32, 32, 3), classes=10, fix={"dept": 20})
    with pytest.raises(AttributeError, match="nothing"):
        tuning.nothing  # noqa: B018


def test_a_space_is_plain_data() -> None:
    rows = json.loads(json.dumps(spaces.space("resnet").rows()))
    assert spaces.from_rows("resnet", None, rows) == spaces.space("resnet")
