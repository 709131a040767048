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
from sklearn.datasets import load_digits

from keras_cnns import list_models
from keras_cnns.losses import MAPCriterion
from keras_cnns.recipes import RECIPES, Recipe, recipe_for
from keras_cnns.training import checkpoint, data, examples, export, fit, optimize, simple
from keras_cnns.training.preprocess import Preprocess, decode, preprocess, scale

HOW = Preprocess(32, 32, 1, "resize", -0.1, 1.175)


def picture(side: int, seed: int = 0, mode: str = "L", form: str = "PNG") -> bytes:
    channels = {"L": (), "RGB": (3,)}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side + 3, *channels)).astype("uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def record(image: bytes, label: int, text: str, source: str) -> examples.Record:
    with Image.open(io.BytesIO(image)) as seen:
        return examples.Record(image, label, text, source, *seen.size, str(seen.format), "grey")


@pytest.mark.parametrize(("side", "said"), [(1, 1), (8, 8), (9, 16), (32, 32), (33, 64), (4000, 4096)])
def test_sizes_are_told_in_powers_of_two(side: int, said: int) -> None:
    assert examples.Record(b"", 0, "", "", side, 1, "PNG", "grey").size == f"up to {said} px"


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
        writers[index % 2].write(examples.to_example(record(buffer.getvalue(), index % 2, "x", str(index))))
    for writer in writers:
        writer.close()
    return names


def source(files: list[str], count: int = 50) -> data.Records:
    return data.Records(tuple(files), count)


@pytest.fixture(scope="module")
def task(shards: list[str]) -> fit.Task:
    recipe = dataclasses.replace(recipe_for("lenet5_modern"), epochs=8, batch_size=8, learning_rate=3e-3)
    return fit.Task("lenet5_modern", ("dark", "bright"), source(shards), source(shards), HOW, recipe, seed=3)


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
    records = [examples.to_example(record(one, 0, "dark", "")) for one in raw]
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
    answers = fit.predict(trained.model, task.test, HOW)
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
    keras.utils.set_random_seed(0)  # as a training does, by default
    epoch = tf.Variable(0, dtype=tf.int64)
    for number in (None, epoch):
        stream = data.batches(source(shards), HOW, batch_size=8, epoch=number, seed=1)
        assert int(stream.cardinality()) == 7
        for one_pass in (list(stream), list(stream)):
            assert [len(labels) for _, labels in one_pass] == [8, 8, 8, 8, 8, 8, 2]
            assert np.concatenate([labels for _, labels in one_pass]).sum() == 25


@pytest.mark.parametrize("limit", [data.MEMORY_LIMIT, 0], ids=["memory", "streamed"])
def test_seed_and_number_of_a_pass_decide_its_order(
    shards: list[str], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "MEMORY_LIMIT", limit)

    def order(seed: int, number: int) -> list[int]:
        epoch = tf.Variable(number, dtype=tf.int64)
        stream = data.batches(source(shards), HOW, batch_size=8, epoch=epoch, seed=seed)
        return [int(one) for _, labels in stream for one in labels]

    assert order(1, 4) == order(1, 4)
    assert order(1, 4) != order(1, 5)
    assert order(1, 4) != order(2, 4)


def test_memory_and_stream_bring_the_same_batches(shards: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    held = next(iter(data.batches(source(shards), HOW, batch_size=50)))
    monkeypatch.setattr(data, "MEMORY_LIMIT", 0)
    streamed = next(iter(data.batches(source(shards), HOW, batch_size=50)))
    assert all(np.array_equal(one, other) for one, other in zip(held, streamed, strict=True))


def test_map_criterion_is_the_papers_equation_9() -> None:
    penalties, right, rubbish = np.array([2.0, 0.5, 4.0]), 1, 3.0
    want = penalties[right] + math.log(math.exp(-rubbish) + np.exp(-penalties).sum())
    got = MAPCriterion(rubbish)(np.array([right]), -penalties[None].astype("float32"))
    assert float(got) == pytest.approx(want, rel=1e-6)


def test_a_loss_that_is_no_number_is_told(task: fit.Task) -> None:
    wild = dataclasses.replace(task.recipe, optimizer="sgd", learning_rate=1e30, schedule="constant")
    with pytest.raises(
        FloatingPointError,
        match=r"no longer a number at step \d of 7 in epoch 1 of 8, at learning rate 1e\+30",
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
    assert recipe_for("resnet50") is RECIPES["resnet"]
    assert recipe_for("resnext50_32x4d") is RECIPES["resnext"]
    assert recipe_for("se_bn_inception") is RECIPES["se_"]
    assert isinstance(recipe_for("unheard of"), Recipe)


def test_every_network_has_a_recipe_with_a_source() -> None:
    assert [name for name in list_models() if recipe_for(name) is RECIPES[""]] == []
    assert all(recipe_for(name).source for name in list_models())
    assert [name for name in RECIPES if RECIPES[name].auxiliary_weight] == ["googlenet"]


@pytest.mark.parametrize(
    ("decay", "expected"),
    [(0.0, [0.95, 0.855, 0.7645, 0.67805]), (5e-4, [0.94995, 0.8548575, 0.76426998, 0.67773739])],
)
def test_weight_decay_goes_through_the_momentum(decay: float, expected: list[float]) -> None:
    """A weight of 1 with a gradient of 0.5; the rate falls from 0.1 to 0.01 at the third step.

    By hand from AlexNet's rule, v = 0.9 v - decay * rate * w - rate * gradient (section 5 there).
    """
    recipe = Recipe(optimizer="sgd", learning_rate=0.1, schedule="constant", weight_decay=decay)
    descent = optimize.optimizer(recipe, 4)
    weight, found = keras.Variable(1.0), []
    descent.build([weight])
    for rate in (0.1, 0.1, 0.01, 0.01):
        descent.learning_rate = rate
        descent.apply([keras.ops.convert_to_tensor(0.5)])
        found.append(float(weight.numpy()))
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_rate_is_cut_at_a_half_and_three_quarters() -> None:
    rate = optimize.optimizer(Recipe(optimizer="sgd", learning_rate=0.1, schedule="steps"), 80)._learning_rate
    assert [float(rate(step)) for step in (0, 40, 41, 60, 61, 80)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


def test_nesterov_looks_ahead() -> None:
    weight = keras.Variable(1.0)
    descent = optimize.optimizer(
        Recipe(optimizer="sgd", learning_rate=0.1, schedule="constant", nesterov=True), 1
    )
    descent.build([weight])
    descent.apply([keras.ops.convert_to_tensor(0.5)])
    assert float(weight.numpy()) == pytest.approx(0.905)


@pytest.mark.parametrize(
    ("steps", "momentum"), [(1, 0.0), (10, 0.0), (24, 1 - 10 / 24), (1000, 0.99), (100_000, 0.99)]
)
def test_the_average_spans_a_tenth_of_the_training_at_most(steps: int, momentum: float) -> None:
    descent = optimize.optimizer(recipe_for("lenet5_modern", "modern"), steps)
    assert descent.ema_momentum == pytest.approx(momentum)
    assert not optimize.optimizer(recipe_for("lenet5_modern"), steps).use_ema


def test_a_momentum_of_nothing_keeps_the_weights_themselves() -> None:
    descent = optimize.optimizer(recipe_for("lenet5_modern", "modern"), 10)
    weight = keras.Variable([1.0, 2.0])
    descent.build([weight])
    for _ in range(3):
        descent.apply([keras.ops.convert_to_tensor([0.5, -0.5])])
    moved = weight.numpy()
    descent.finalize_variable_values([weight])
    assert np.array_equal(weight.numpy(), moved)
    assert not np.allclose(moved, [1.0, 2.0])


def test_a_short_modern_training_is_far_above_guessing() -> None:
    """Two epochs of 12 steps: at a momentum of 0.99 the average, near its random start, guessed (0.10)."""
    digits = load_digits()
    pictures = (digits.images * 15.9).astype("uint8").repeat(4, axis=1).repeat(4, axis=2)
    seen, unseen = (pictures[:1440], digits.target[:1440]), (pictures[1440:], digits.target[1440:])
    short = simple.task("lenet5_modern", seen, unseen, recipe="modern", epochs=2, mirror=False)
    assert fit.train(short).history[-1]["val_accuracy"] > 0.3


SMALLEST = Preprocess(79, 79, 3, "resize", -1.0, 1.0)


@pytest.fixture(scope="module")
def with_heads(shards: list[str]) -> fit.Task:
    """GoogLeNet on the smallest pictures that its heads take."""
    recipe = dataclasses.replace(recipe_for("googlenet"), epochs=2, batch_size=25)
    pictures = source(shards[:1], 25)
    return fit.Task("googlenet", ("dark", "bright"), pictures, pictures, SMALLEST, recipe, seed=3)


def test_heads_train_and_stay_behind(with_heads: fit.Task, tmp_path: Path) -> None:
    """Taken up after its first epoch: what is handed out is the main output alone, to the last bit."""
    full = fit.untrained(with_heads)
    full.compile(optimizer=optimize.optimizer(with_heads.recipe, 2))
    full.optimizer.build(full.trainable_variables)
    row = {"epoch": 1, "loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.0}
    decided = {"precision": "float32", "xla": False}
    checkpoint.save(full, checkpoint.State([row], decided=decided), tmp_path)
    before = full.get_layer("aux2_logits").get_weights()[0]
    trained = fit.train(with_heads, checkpoints=tmp_path)
    assert trained.resumed_after == 1
    assert [row["epoch"] for row in trained.history] == [1, 2]
    keys = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"]
    assert sorted(trained.history[1]) == sorted(keys)
    assert all(math.isfinite(value) for value in trained.history[1].values())
    assert not [layer.name for layer in trained.model.layers if layer.name.startswith("aux")]
    assert trained.model.output_shape == (None, 2)

    checkpoint.restore(full, checkpoint.load(tmp_path), tmp_path)
    assert list(full.output) == ["main", "aux1", "aux2"]
    images = data.load(with_heads.test, SMALLEST)[0][:4]
    logits = keras.Model(trained.model.input, trained.model.get_layer("logits").output)
    want = full(scale(images, SMALLEST), training=False)["main"].numpy()
    assert np.array_equal(logits(scale(images, SMALLEST), training=False).numpy(), want)
    after = full.get_layer("aux2_logits").get_weights()[0]
    assert not np.array_equal(before, after), "the heads learn, too"


@pytest.mark.slow
@pytest.mark.parametrize(("model", "side"), [("alexnet", 67), ("vgg11", 32)])
def test_networks_without_batch_normalisation_start_to_learn(
    shards: list[str], model: str, side: int
) -> None:
    """From small weights SGD at the papers' rate leaves them at guessing on so little."""
    recipe = dataclasses.replace(recipe_for(model), epochs=8, batch_size=10)
    how = Preprocess(side, side, 3, "resize", recipe.low, recipe.high)
    pictures = source(shards)
    rows = fit.train(fit.Task(model, ("dark", "bright"), pictures, pictures, how, recipe, seed=3)).history
    assert all(math.isfinite(row["loss"]) for row in rows)
    assert rows[-1]["val_loss"] < 0.5 * math.log(2)


def test_the_loss_is_the_weighted_sum(with_heads: fit.Task) -> None:
    """One batch, no step: Keras's total against main + 0.3 (aux1 + aux2) by hand."""
    full = fit.untrained(with_heads)
    full.compile(**optimize.measures(full, with_heads.recipe), run_eagerly=True)
    images, labels = data.load(with_heads.test, SMALLEST)
    found = full.evaluate(
        scale(images[:8], SMALLEST), dict.fromkeys(full.output, labels[:8]), return_dict=True, verbose=0
    )
    parts = {name: found[f"{name}_loss"] for name in full.output}
    assert found["loss"] == pytest.approx(parts["main"] + 0.3 * (parts["aux1"] + parts["aux2"]), rel=1e-5)
    assert optimize.of_main(found) == {"loss": parts["main"], "accuracy": found["main_accuracy"]}
    assert math.isnan(optimize.of_main({**found, "loss": math.nan})["loss"])


def test_networks_without_heads_refuse_to_be_trained_with_them(task: fit.Task) -> None:
    recipe = dataclasses.replace(task.recipe, auxiliary_weight=0.3)
    with pytest.raises(ValueError, match="argument='aux' is not known"):
        fit.train(dataclasses.replace(task, recipe=recipe))
