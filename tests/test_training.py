"""The training package without TFX: preprocessing, data, loss, export."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns.losses import MAPCriterion
from keras_cnns.recipes import RECIPES, Recipe, recipe_for
from keras_cnns.training import data, examples, export, fit
from keras_cnns.training.preprocess import Preprocess, decode, preprocess, scale

HOW = Preprocess(32, 32, 1, "resize", -0.1, 1.175)


def picture(side: int, seed: int = 0, mode: str = "L", form: str = "PNG") -> bytes:
    channels = {"L": (), "RGB": (3,)}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side + 3, *channels)).astype("uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Fifty pictures in two gzip shards; the label says how bright the picture is."""
    folder = tmp_path_factory.mktemp("shards")
    names = [str(folder / f"data-{index}.gz") for index in range(2)]
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    writers = [tf.io.TFRecordWriter(name, options) for name in names]
    for index in range(50):
        buffer = io.BytesIO()
        Image.new("L", (12, 12), 40 + 150 * (index % 2)).save(buffer, "PNG")
        writers[index % 2].write(examples.to_example(buffer.getvalue(), index % 2, "x", str(index)))
    for writer in writers:
        writer.close()
    return names


@pytest.fixture(scope="module")
def task(shards: list[str]) -> fit.Task:
    recipe = dataclasses.replace(recipe_for("lenet5_modern"), epochs=8, batch_size=8, learning_rate=3e-3)
    return fit.Task(
        "lenet5_modern", ("dark", "bright"), tuple(shards), 50, tuple(shards), 50, HOW, recipe, seed=3
    )


@pytest.fixture(scope="module")
def trained(task: fit.Task) -> fit.Trained:
    return fit.train(task)


@pytest.fixture(scope="module")
def exported(trained: fit.Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "model"
    export.export(
        trained.model, folder, labels=("dark", "bright"), how=HOW, recipe={"model": "lenet5_modern"}
    )
    return folder


def test_scale_runs_from_low_to_high() -> None:
    ends = scale(np.array([0, 255], "uint8").reshape(1, 1, 2, 1), HOW).numpy().ravel()
    assert ends == pytest.approx([-0.1, 1.175])


def test_pad_centres_a_small_picture_on_black() -> None:
    white = io.BytesIO()
    Image.new("L", (28, 28), 255).save(white, "PNG")
    pixels = decode(tf.constant(white.getvalue()), dataclasses.replace(HOW, fit="pad")).numpy()[..., 0]
    assert pixels[2:30, 2:30].min() == 255
    assert pixels.sum() == 28 * 28 * 255


def test_resizing_a_picture_to_its_own_size_changes_nothing() -> None:
    raw = picture(32)
    how = dataclasses.replace(HOW, width=35)
    want = np.asarray(Image.open(io.BytesIO(raw)))
    assert np.array_equal(decode(tf.constant(raw), how).numpy()[..., 0], want)


def test_training_sees_what_the_exported_model_sees(exported: Path) -> None:
    """The same bytes through the training's path (decode, keep as bytes, scale) and through the signature."""
    raw = [
        picture(side, side, mode, form)
        for side, mode, form in [(8, "L", "PNG"), (40, "RGB", "PNG"), (33, "RGB", "JPEG"), (32, "L", "JPEG")]
    ]
    held = np.stack([decode(tf.constant(one), HOW).numpy() for one in raw])
    model = keras.models.load_model(exported / "model.keras")
    want = model(scale(held, HOW)).numpy()
    served = tf.saved_model.load(str(exported)).signatures
    assert served["serve_bytes"](tf.constant(raw))["probabilities"].numpy() == pytest.approx(want, abs=1e-6)
    assert np.array_equal(preprocess(tf.constant(raw), HOW).numpy(), scale(held, HOW).numpy())
    records = [examples.to_example(one, 0, "dark", "") for one in raw]
    by_example = served["serving_default"](tf.constant(records))["probabilities"].numpy()
    assert by_example == pytest.approx(want, abs=1e-6)
    pixels = served["serve_tensor"](tf.constant(held, tf.float32))["probabilities"].numpy()
    assert pixels == pytest.approx(want, abs=1e-6)


def test_the_export_holds_what_people_need(exported: Path) -> None:
    assert sorted(tf.saved_model.load(str(exported)).signatures) == sorted(export.SIGNATURES)
    assert (exported / "labels.txt").read_text() == "dark\nbright\n"
    recipe = json.loads((exported / "recipe.json").read_text())
    assert recipe == {"preprocess": dataclasses.asdict(HOW), "model": "lenet5_modern"}


def test_the_served_label_is_the_likeliest_class(exported: Path) -> None:
    answer = tf.saved_model.load(str(exported)).signatures["serve_bytes"](
        tf.constant([picture(16, seed) for seed in range(5)])
    )
    best = answer["probabilities"].numpy().argmax(axis=1)
    assert [one.decode() for one in answer["label"].numpy()] == [("dark", "bright")[index] for index in best]


def test_training_learns_and_tells_how(trained: fit.Trained, task: fit.Task) -> None:
    rows = trained.history
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert rows[-1]["val_accuracy"] == 1.0
    assert rows[0]["loss"] > rows[-1]["loss"]
    assert rows[-1]["learning_rate"] == pytest.approx(0, abs=1e-9), "the cosine schedule ends at zero"
    answers = fit.predict(trained.model, task.test_files, 50, HOW)
    assert answers.sum(axis=1) == pytest.approx(np.ones(50), abs=1e-5)


def test_the_same_seed_gives_the_same_network(task: fit.Task, trained: fit.Trained) -> None:
    again = fit.train(task)
    for one, other in zip(again.model.weights, trained.model.weights, strict=True):
        assert np.allclose(one.numpy(), other.numpy(), atol=1e-5)


@pytest.mark.parametrize("limit", [data.MEMORY_LIMIT, 0], ids=["memory", "streamed"])
def test_each_pass_brings_every_example_once(
    shards: list[str], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "MEMORY_LIMIT", limit)
    steps = math.ceil(50 / 8)
    for shuffle in (None, 1):
        stream = data.batches(shards, 50, HOW, batch_size=8, shuffle=shuffle).take(2 * steps)
        labels = [batch.numpy() for _, batch in stream]
        assert [len(batch) for batch in labels] == 2 * [8, 8, 8, 8, 8, 8, 2]
        for one_pass in (labels[:steps], labels[steps:]):
            assert np.concatenate(one_pass).sum() == 25


def test_memory_and_stream_bring_the_same_batches(shards: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    held = next(iter(data.batches(shards, 50, HOW, batch_size=50)))
    monkeypatch.setattr(data, "MEMORY_LIMIT", 0)
    streamed = next(iter(data.batches(shards, 50, HOW, batch_size=50)))
    assert all(np.array_equal(one, other) for one, other in zip(held, streamed, strict=True))


def test_map_criterion_is_the_papers_equation_9() -> None:
    penalties, right, rubbish = np.array([2.0, 0.5, 4.0]), 1, 3.0
    want = penalties[right] + math.log(math.exp(-rubbish) + np.exp(-penalties).sum())
    got = MAPCriterion(rubbish)(np.array([right]), -penalties[None].astype("float32"))
    assert float(got) == pytest.approx(want, rel=1e-6)


def test_a_loss_that_is_no_number_is_told(task: fit.Task) -> None:
    wild = dataclasses.replace(task.recipe, optimizer="sgd", learning_rate=1e30, schedule="constant")
    with pytest.raises(
        FloatingPointError, match=r"no longer a number in epoch 1 of 8 at learning rate 1e\+30"
    ):
        fit.train(dataclasses.replace(task, recipe=wild))


def test_an_interrupted_training_goes_on_from_its_last_epoch(task: fit.Task, tmp_path: Path) -> None:
    def stop_in_the_third_epoch(event: dict) -> None:
        if event["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit.train(task, checkpoints=tmp_path / "state", report=stop_in_the_third_epoch)
    seen = []
    trained = fit.train(task, checkpoints=tmp_path / "state", report=seen.append)
    assert trained.resumed_after == 2
    assert [row["epoch"] for row in trained.history] == list(range(1, 9))
    assert {event["epoch"] for event in seen} == set(range(3, 9))
    assert trained.history[-1]["learning_rate"] == pytest.approx(0, abs=1e-9), "the schedule went on, too"


def test_the_longest_prefix_chooses_the_recipe() -> None:
    assert recipe_for("lenet5") is recipe_for("lenet5_1998") is RECIPES["lenet5"]
    assert recipe_for("lenet5_modern_cifar") is RECIPES["lenet5_modern"]
    assert isinstance(recipe_for("resnet50"), Recipe)
