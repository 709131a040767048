"""What may be changed of a training: augmentation, weights, precision, devices, TensorBoard, warm starts."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_child import pictures

from keras_cnns import list_models
from keras_cnns.recipes import MODERN, RECIPES, Recipe, recipe_for
from keras_cnns.training import augment, board, data, devices, export, fit, optimize, warm, watch
from keras_cnns.training.preprocess import Preprocess

HOW = Preprocess(32, 32, 1)
PAPER = dataclasses.replace(recipe_for("lenet5_modern"), epochs=3, batch_size=16)


def task(recipe: Recipe = PAPER, count: int = 64, **options: Any) -> fit.Task:
    names, how = ("dark", "bright"), Preprocess(32, 32, 1)
    seen, unseen = pictures(count, 1), pictures(40, 2)
    return fit.Task("lenet5_modern", names, seen, unseen, how, recipe, 7, fit.Options(**options))


# Recipes


def test_the_modern_recipe_keeps_the_networks_range_and_heads() -> None:
    modern = recipe_for("googlenet", "modern")
    assert (modern.low, modern.high, modern.auxiliary_weight) == (-1.0, 1.0, 0.3)
    assert (modern.policy, modern.mixup, modern.ema) == ("trivial", 0.2, 0.99)
    assert recipe_for("alexnet", "modern").learning_rate < MODERN[""].learning_rate
    fitting = [name for name in list_models() if recipe_for(name).loss != "map"]
    assert all(recipe_for(name, "modern").source for name in fitting)


def test_a_recipe_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="MAP criterion, which takes neither smooth nor mixed labels"):
        recipe_for("lenet5", "modern")
    with pytest.raises(ValueError, match=r"recipe='modrn' is not known. Did you mean 'modern'"):
        recipe_for("resnet50", "modrn")


def test_papers_crop_and_mirror_where_they_say_so() -> None:
    assert (recipe_for("cifar_resnet20").crop, recipe_for("cifar_resnet20").mirror) == (4 / 32, True)
    assert not any(RECIPES[name].mirror or RECIPES[name].crop for name in RECIPES if name.startswith("lenet"))


def test_the_rate_warms_up_and_falls_to_nothing() -> None:
    rate = optimize.schedule(dataclasses.replace(MODERN[""], learning_rate=1.0), 100)
    assert [float(rate(step)) for step in (0, 5, 10, 55, 100)] == pytest.approx([0, 0.5, 1, 0.5, 0], abs=1e-6)


# Augmentation


def changed(recipe: Recipe, images: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    change = tf.function(augment.augmenter(recipe, images.shape[-1]))
    labels = tf.one_hot(np.arange(len(images)) % 4, 4)
    made = change(tf.constant(images, tf.float32), labels, tf.constant([seed, 1], tf.int64))
    return made[0].numpy(), made[1].numpy()


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (21, 32, 32, 3)).astype("float32")


def test_a_crop_moves_by_whole_pixels_and_fills_with_black(noise: np.ndarray) -> None:
    moved, labels = changed(Recipe(crop=0.125), noise)
    assert np.array_equal(labels.argmax(axis=1), np.arange(21) % 4)
    padded = np.pad(noise, ((0, 0), (4, 4), (4, 4), (0, 0)))
    found = set()
    for before, after in zip(padded, moved, strict=True):
        places = [
            (y, x) for y in range(9) for x in range(9)
            if np.array_equal(before[y : y + 32, x : x + 32], after)
        ]  # fmt: skip
        assert len(places) == 1
        found |= set(places)
    assert len(found) > 10, "each picture has a place of its own"


def test_about_half_of_the_pictures_are_mirrored(noise: np.ndarray) -> None:
    many = np.repeat(noise, 10, axis=0)
    after, _ = changed(Recipe(mirror=True), many)
    mirrored = [np.array_equal(one[:, ::-1], other) for one, other in zip(many, after, strict=True)]
    kept = [np.array_equal(one, other) for one, other in zip(many, after, strict=True)]
    assert all(one != other for one, other in zip(mirrored, kept, strict=True))
    assert 0.35 < np.mean(mirrored) < 0.65


@pytest.mark.parametrize("channels", [1, 3])
def test_trivial_augment_changes_each_group_by_its_seed(noise: np.ndarray, channels: int) -> None:
    images = noise[..., :channels]
    one, other, again = (changed(Recipe(policy="trivial"), images, seed)[0] for seed in (1, 2, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.shape == images.shape
    assert one.min() >= 0
    assert one.max() <= 255


@pytest.mark.parametrize("channels", [1, 3])
def test_every_operation_stays_in_range_and_all_but_one_do_something(
    noise: np.ndarray, channels: int
) -> None:
    images = tf.constant(noise[..., :channels] * 0.5 + 20)
    idle = 0
    for layer in augment._operations(channels):
        after = augment._apply(layer, images, augment._Seeds(tf.constant([3, 4], tf.int64))).numpy()
        assert after.min() >= 0, layer.name
        assert after.max() <= 255, layer.name
        idle += np.array_equal(after, images)
    assert idle == 1


def test_mixup_mixes_labels_as_it_mixes_pictures() -> None:
    flat = np.arange(8, dtype="float32")[:, None, None, None] * np.ones((1, 4, 4, 1), "float32")
    change = augment.augmenter(Recipe(mixup=0.4), 1)
    images, labels = change(tf.constant(flat), tf.one_hot(np.arange(8), 8), tf.constant([5, 6], tf.int64))
    assert np.allclose(labels.numpy().sum(axis=1), 1)
    assert np.allclose(images.numpy()[:, 0, 0, 0], labels.numpy() @ np.arange(8), atol=1e-4)
    assert not np.allclose(labels.numpy().max(axis=1), 1)


def test_dropout_draws_by_seed_and_epoch_alone() -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs))
    epoch = tf.Variable(0, dtype=tf.int64)

    def drawn(seed: int, number: int) -> np.ndarray:
        seeds = watch.Seeds(seed, epoch)
        seeds.set_model(model)
        seeds.on_epoch_begin(number)
        return model(np.ones((4, 8)), training=True).numpy()

    first = drawn(1, 3)
    model(np.ones((4, 8)), training=True)  # moves the state on
    assert np.array_equal(drawn(1, 3), first)
    assert not np.array_equal(drawn(1, 4), first)
    assert int(epoch) == 4


# Weights, classes, gradients


def test_balanced_classes_count_the_same() -> None:
    images = np.zeros((10, 32, 32, 1), "uint8")
    rare = dataclasses.replace(task(), train=data.Arrays(images, np.array([0] * 8 + [1] * 2)))
    weights = fit.class_weights(rare)
    assert weights == pytest.approx([0.625, 2.5])
    assert weights[0] * 8 == weights[1] * 2


def test_class_weights_reach_the_loss() -> None:
    """One epoch without learning: the loss is the weighted mean."""
    still = dataclasses.replace(PAPER, learning_rate=1e-12, epochs=1, batch_size=50, schedule="constant")
    labels = np.array([0] * 40 + [1] * 10)
    images = pictures(50, 1).images
    plain = dataclasses.replace(
        task(still), train=data.Arrays(images, labels), test=data.Arrays(images, labels)
    )
    heavy = dataclasses.replace(plain, options=fit.Options(class_weights="balanced"))
    one, other = (fit.train(each).history[0] for each in (plain, heavy))
    assert one["loss"] == pytest.approx(one["val_loss"], rel=1e-4)
    assert other["val_loss"] == pytest.approx(one["val_loss"], rel=1e-4), "tests count each picture once"
    assert abs(other["loss"] - one["loss"]) > 1e-4


def test_gradients_of_batches_add_up_to_a_larger_batch() -> None:
    """Two batches of 8 make the step that one of 16 makes; SGD, without batch normalisation."""
    base = dataclasses.replace(
        PAPER, optimizer="sgd", learning_rate=0.05, schedule="constant", epochs=1, batch_size=16
    )
    small = dataclasses.replace(base, batch_size=8)
    large, added = fit.train(task(base)), fit.train(task(small, accumulate=2))
    single = fit.train(task(small))

    def apart(one: fit.Trained, other: fit.Trained) -> float:
        pairs = zip(one.model.get_weights(), other.model.get_weights(), strict=True)
        return max(float(np.abs(a - b).max()) for a, b in pairs)

    assert apart(large, added) < 1e-5
    assert apart(large, single) > 1e-3


def row(epoch: int, loss: float, accuracy: float = 0.0) -> dict[str, float]:
    return {"epoch": epoch, "val_loss": loss, "val_accuracy": accuracy}


def test_the_best_epoch_and_when_it_is_over() -> None:
    rows = [row(1, 2.0, 0.5), row(2, 1.0, 0.5), row(3, 1.5, 0.7), row(4, math.nan, 0.6)]
    assert [watch.best_epoch(rows, keep) for keep in ("last", "loss", "accuracy")] == [4, 2, 3]
    assert [watch.stalled(rows, "last", patience) for patience in (0, 1, 2, 3)] == [False, True, True, False]
    assert [watch.stalled(rows, "accuracy", patience) for patience in (1, 2)] == [True, False]
    assert watch.best_epoch([], "loss") == 0


@pytest.mark.parametrize("interrupted", [False, True])
def test_patience_ends_the_training_and_hands_out_the_best(tmp_path: Path, interrupted: bool) -> None:
    """A rate that ruins the network: the best epoch is an early one, before and after an interruption."""
    wild = dataclasses.replace(PAPER, learning_rate=0.3, schedule="constant", epochs=12)
    asked = task(wild, weights="loss", patience=2)
    if interrupted:

        def stop(event: Any) -> None:
            if event["epoch"] == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit.train(asked, checkpoints=tmp_path, report=stop)
    trained = fit.train(asked, checkpoints=tmp_path)
    rows = trained.history
    assert len(rows) < 12
    assert len(rows) == trained.kept_epoch + 2
    answers = fit.predict(trained.model, asked.test, HOW)
    loss = -np.log(np.maximum(answers[np.arange(40), asked.test.labels], 1e-7)).mean()
    assert loss == pytest.approx(rows[trained.kept_epoch - 1]["val_loss"], rel=1e-3)
    assert fit.train(asked, checkpoints=tmp_path).history == rows, "it is over, and stays so"


def test_the_average_of_the_weights_is_measured_and_handed_out() -> None:
    averaged = dataclasses.replace(PAPER, ema=0.9)
    trained = fit.train(task(averaged))
    model = trained.model
    labels = pictures(40, 2).labels
    right = (fit.predict(model, pictures(40, 2), HOW).argmax(axis=1) == labels).mean()
    assert right == pytest.approx(trained.history[-1]["val_accuracy"])
    plain = fit.train(task())
    assert not np.allclose(plain.model.get_weights()[0], model.get_weights()[0])


# Errors


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"weights": "best"}, "weights must be one of last, loss, accuracy, not 'best'"),
        ({"precision": "float16"}, "precision must be one of auto, float32"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        fit.train(task(**options))


def test_the_batch_that_ended_a_training_is_kept(tmp_path: Path) -> None:
    """One picture is infinitely bright: the batch in the file is the one that holds it."""
    source = pictures(64, 1)
    source.images[37] = 255
    epoch = tf.Variable(0, dtype=tf.int64)

    def finish(pixels: tf.Tensor, labels: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        white = tf.reduce_min(pixels, axis=[1, 2, 3], keepdims=True) == 255
        return tf.where(white, math.inf, tf.cast(pixels, tf.float32)), labels

    seen = data.batches(source, HOW, batch_size=8, epoch=epoch, seed=5, finish=finish)
    held_37 = [bool(np.isinf(images).any()) for images, _ in seen]
    inputs = keras.Input((32, 32, 1))
    scores = keras.layers.Dense(2)(keras.layers.Flatten()(inputs))
    model = watch.Watched.of(keras.Model(inputs, scores))
    recipe = Recipe(learning_rate=1e-3, schedule="constant", epochs=3)
    model.compile(optimize.optimizer(recipe, 24), steps_per_execution=3, **optimize.measures(model, recipe))
    with pytest.raises(FloatingPointError) as caught:
        model.fit(
            seen,
            epochs=3,
            callbacks=[watch.NaN(seen, recipe, 8, tmp_path / "logs", keep=True)],
            shuffle=False,
            verbose=0,
        )
    step = held_37.index(True) + 1
    assert str(caught.value) == (
        f"the loss is no longer a number at step {step} of 8 in epoch 1 of 3, at learning rate 0.001; the "
        f"batch lies in {tmp_path}/logs/bad-batch.npz, and a smaller learning rate may help"
    )
    with np.load(tmp_path / "logs" / "bad-batch.npz") as held:
        assert held["images"].shape == (8, 32, 32, 1)
        assert np.isinf(held["images"]).all(axis=(1, 2, 3)).sum() == 1
        assert held["labels"].shape == (8,)
    with pytest.raises(
        FloatingPointError, match=r"at learning rate 0\.001; a smaller learning rate may help$"
    ):
        model.fit(seen, callbacks=[watch.NaN(seen, recipe, 8, tmp_path / "none", keep=False)], verbose=0)
    assert not (tmp_path / "none").exists()


# Precision, XLA, devices


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_learns_and_hands_out_float32(precision: str) -> None:
    trained = fit.train(task(precision=precision))
    assert trained.precision == precision
    assert {layer.compute_dtype for layer in trained.model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32", "the policy is the caller's again"
    full = fit.train(task(precision="float32"))
    assert trained.history[-1]["val_loss"] == pytest.approx(full.history[-1]["val_loss"], rel=0.05)


def test_without_a_gpu_auto_is_float32() -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    assert devices.precision("auto") == "float32"
    assert devices.precision("mixed_float16") == "mixed_float16"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_xla_is_measured_once_and_remembered(cache: Path) -> None:
    asked: list[bool] = []

    def measure(jit: bool) -> float:
        asked.append(jit)
        return 0.5 if jit else 1.0

    assert not devices.xla("auto", devices.WORTH_MEASURING - 1, "float32", measure)
    assert asked == [], "a short training does not pay for it"
    assert devices.xla("auto", devices.WORTH_MEASURING, "float32", measure)
    assert devices.xla("auto", 1, "float32", measure)
    assert asked == [False, True], "measured once"
    (file,) = cache.rglob("*.json")
    assert json.loads(file.read_text())["faster"] is True
    assert devices.xla("auto", devices.WORTH_MEASURING, "mixed_float16", lambda jit: 1.0 + jit) is False
    file.write_text("{")
    assert devices.xla("auto", devices.WORTH_MEASURING, "float32", lambda jit: 1.0 + jit) is False
    assert (devices.xla("on", 1, "float32"), devices.xla("off", 10**9, "float32")) == (True, False)


def test_xla_trains() -> None:
    trained = fit.train(task(dataclasses.replace(PAPER, epochs=1), xla="on"))
    plain = fit.train(task(dataclasses.replace(PAPER, epochs=1), xla="off"))
    assert trained.xla
    assert trained.history[0]["val_loss"] == pytest.approx(plain.history[0]["val_loss"], rel=1e-3)


TWO = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import dataclasses
from test_options import PAPER, task
from keras_cnns.training import fit
asked = dataclasses.replace(task(dataclasses.replace(PAPER, batch_size=16), count=65), model="cifar_resnet20")
trained = fit.train(asked, on=["CPU:0", "CPU:1"])
same = fit.predict(trained.model, asked.test, asked.preprocess)
even = task(dataclasses.replace(PAPER, batch_size=16), count=64)
both, alone = (fit.train(even, on=names).history for names in (["CPU:0", "CPU:1"], ["CPU:0"]))
print(json.dumps([trained.history, same.tolist(), both, alone]))
"""


def test_two_devices_train_as_one_does(tmp_path: Path) -> None:
    """65 pictures in batches of 16: the last one would leave a device without any, and is left out.

    The network has batch normalization, whose averages each device moves by its own share.
    """
    done = subprocess.run(
        [sys.executable, "-c", TWO], capture_output=True, text=True, cwd=Path(__file__).parent, timeout=300,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    rows, answers, both, alone = json.loads(done.stdout.splitlines()[-1])
    for one, other in zip(both, alone, strict=True):
        for key in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
            assert one[key] == pytest.approx(other[key], rel=1e-3), f"{key} of epoch {one['epoch']}"
    assert len(rows) == 3
    assert all(math.isfinite(one["loss"]) and math.isfinite(one["val_loss"]) for one in rows)
    assert rows[-1]["loss"] < rows[0]["loss"]
    right = (np.array(answers).argmax(axis=1) == pictures(40, 2).labels).mean()
    assert right == pytest.approx(rows[-1]["val_accuracy"], abs=1e-6)


@pytest.mark.parametrize(("count", "size", "replicas", "fair"), [
    (64, 16, 2, True), (65, 16, 2, False), (66, 16, 2, True), (65, 16, 1, True), (69, 16, 4, False),
    (71, 16, 4, True), (70, 16, 4, False),
])  # fmt: skip
def test_no_device_is_left_without_pictures(count: int, size: int, replicas: int, fair: bool) -> None:
    assert fit._fair(count, size, replicas) is fair


# TensorBoard


def events(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    found: dict[str, list[tuple[int, Any]]] = {}
    for file in sorted(folder.glob("events.out.tfevents*")):
        for event in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            parsed = tf.compat.v1.Event.FromString(event)
            for value in parsed.summary.value:
                found.setdefault(value.tag, []).append((parsed.step, tf.make_ndarray(value.tensor)))
    return found


def test_tensorboard_has_curves_pictures_and_confusion(tmp_path: Path) -> None:
    trained = fit.train(task(dataclasses.replace(PAPER, mirror=True)), logs=tmp_path)
    found = events(tmp_path)
    for key in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        assert [step for step, _ in found[key]] == [1, 2, 3]
        told = [float(value) for _, value in found[key]]
        assert told == pytest.approx([one[key] for one in trained.history], rel=1e-5)
    assert all(value > 0 for _, value in found["images_per_second"])
    ((step, pictures_),) = found["training pictures"]
    assert (step, len(pictures_)) == (0, 2 + 16), "width, height and sixteen pictures"
    ((step, matrix),) = found["confusion matrix"]
    shown = tf.io.decode_png(matrix[2]).numpy()
    assert (step, shown.shape) == (3, (32, 32, 1))


def test_the_confusion_matrix_is_dark_where_the_answers_are() -> None:
    labels, predicted = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    cells = board.matrix(labels, predicted, 2)[::16, ::16, 0]
    assert cells == pytest.approx(np.array([[0.25, 0.75], [1.0, 0.0]]))


# Warm starts


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained and exported."""
    folder = tmp_path_factory.mktemp("before") / "1"
    trained = fit.train(task(dataclasses.replace(PAPER, learning_rate=3e-3, epochs=6)))
    recipe = {"model": "lenet5_modern"}
    export.export(trained.model, folder, labels=("dark", "bright"), how=HOW, recipe=recipe)
    return folder


def test_a_warm_start_begins_where_the_model_ended(before: Path) -> None:
    still = dataclasses.replace(PAPER, learning_rate=1e-9, epochs=1)
    warmed = fit.train(task(still, warm_start=str(before / "model.keras")))
    model = keras.models.load_model(before / "model.keras")
    for one, other in zip(warmed.model.get_weights(), model.get_weights(), strict=True):
        assert np.allclose(one, other, atol=1e-6)
    assert fit.train(task(still)).history[0]["val_loss"] > warmed.history[0]["val_loss"]


def test_a_warm_start_refuses_another_network(before: Path) -> None:
    other = dataclasses.replace(task(warm_start=str(before / "model.keras")), model="lenet_caffe")
    with pytest.raises(ValueError, match=r"is another network: the layer .* is not in both"):
        fit.train(other)
    more = fit.untrained(dataclasses.replace(task(), labels=("a", "b", "c")))
    with pytest.raises(ValueError, match="another number of classes"):
        warm.start(more, before / "model.keras")


@pytest.mark.parametrize(
    ("macs", "steps", "at_once"), [(1, 45, 15), (1, 64, 32), (1, 47, 1), (10**12, 64, 1)]
)
def test_steps_of_one_call_divide_the_epoch(macs: int, steps: int, at_once: int) -> None:
    assert devices.steps_at_once(macs, 1, steps) == at_once
