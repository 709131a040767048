"""Train a registered network by its recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.analysis.counts import macs
from keras_cnns.heads import strip_auxiliary
from keras_cnns.layers import RBF
from keras_cnns.recipes import Recipe
from keras_cnns.registry import create_model
from keras_cnns.training import board, checkpoint, data, devices, optimize, warm, watch
from keras_cnns.training.augment import augmenter, changes
from keras_cnns.training.preprocess import Preprocess, scale
from keras_cnns.training.quick import quick

Report = Callable[[Mapping[str, Any]], None]
WEIGHTS = ("last", "loss", "accuracy")
CLASS_WEIGHTS = ("equal", "balanced")
_TEST_BATCH = 256


@dataclass(frozen=True)
class Options:
    """What may be changed of a training besides its recipe.

    Attributes:
        weights: The weights that are handed out: "last", or those of the epoch with the best "loss" or
            "accuracy" on the task's `test`, by which nobody can then say how well it does on unseen ones.
        patience: Epochs without a better loss (accuracy, if `weights` says so) on the task's `test` after
            which the training ends; 0 goes through all of them.
        class_weights: "balanced" counts an image of a rare class more, so that all classes count the same.
        accumulate: Batches whose gradients are averaged before the weights change.
        precision: "float32", "mixed_bfloat16", "mixed_float16", or "auto": 16 bits where a GPU is.
        xla: "on", "off", or "auto": as it was measured on this machine; see `devices.xla`.
        warm_start: A `.keras` file of the same network, from whose weights training begins; None for random.
    """

    weights: str = "last"
    patience: int = 0
    class_weights: str = "equal"
    accumulate: int = 1
    precision: str = "auto"
    xla: str = "auto"
    warm_start: str | None = None


@dataclass(frozen=True)
class Task:
    """Everything that decides the outcome of a training.

    Attributes:
        model: Registered name of the network, such as "lenet5".
        labels: Class names; their index is the label.
        train: The training pictures.
        test: Those that are only measured on, after each epoch; the pipeline's val part if there is one.
        preprocess: From pictures to the network's input.
        recipe: How to train.
        seed: Of the weights, of the order of the pictures and of how they are changed.
        options: What else was asked for.
        arguments: Of the network's builder, besides what the name stands for, such as {"dropout": 0.2}.
    """

    model: str
    labels: tuple[str, ...]
    train: data.Source
    test: data.Source
    preprocess: Preprocess
    recipe: Recipe
    seed: int = 0
    options: Options = Options()
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """A trained network and how it came about.

    Attributes:
        model: From preprocessed pictures to class probabilities, float32 (n, classes); without the auxiliary
            heads that it was trained with.
        history: One row an epoch: epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds; all
            of the main output alone. The losses are the recipe's, label smoothing and mixup included.
        images_per_second: Training speed over all epochs after the first (which compiles), with validation.
        device: Where it ran, for a person.
        resumed_after: The epoch after which an interrupted training was taken up again; 0 for none.
        kept_epoch: The epoch whose weights these are.
        precision: What it was computed in.
        xla: Whether XLA compiled it.
    """

    model: keras.Model
    history: list[dict[str, float]]
    images_per_second: float
    device: str
    resumed_after: int
    kept_epoch: int
    precision: str
    xla: bool


def train(
    task: Task,
    *,
    checkpoints: Path | None = None,
    logs: Path | None = None,
    report: Report = lambda _: None,
    on: Sequence[str] | None = None,
    until: int | None = None,
    keep_bad_batch: bool = True,
) -> Trained:
    """Train the network of a task.

    Args:
        task: What to train on what, and how.
        checkpoints: A folder for the state after each epoch. An interrupted training that is called again
            with the same folder goes on from there, to the same result as an unbroken one; it is the caller's
            to remove.
        logs: A folder for TensorBoard, and for the batch at which a training came to grief.
        report: Called with {"epoch", "epochs", "step", "steps", "accuracy"} while training goes on, and at
            an epoch's end with its "row" of the history, too.
        on: Devices to mirror the network over, such as ["GPU:0", "GPU:1"]; by default all GPUs.
        until: The epoch after which to stop; the same call with more goes on from the checkpoints, and ends
            as a training that was never stopped. By default the recipe's last one.
        keep_bad_batch: Whether to write the batch at which a training came to grief.

    Returns:
        The network with class probabilities as its output, and its history.

    Raises:
        ValueError: An option is not known, or the network does not fit its task; the text says why.
        FloatingPointError: The loss is no longer a number; the text has step, rate and the batch's file.
    """
    _check(task.options)
    keras.utils.set_random_seed(task.seed)
    devices.grow_gpu_memory()
    recipe, options = task.recipe, task.options
    state = checkpoint.load(checkpoints)
    decided = state.decided = state.decided or _decide(task)
    spread = devices.strategy(on)
    mirrored = spread.num_replicas_in_sync > 1
    fair = _fair(task.train.count, recipe.batch_size, spread.num_replicas_in_sync)
    steps = (math.ceil if fair else math.floor)(task.train.count / recipe.batch_size)
    with spread.scope(), devices.policy(decided["precision"]):
        plain = scores_model(untrained(task))
        if options.warm_start and not state.rows:
            warm.start(plain, Path(options.warm_start))
        at_once = devices.steps_at_once(macs(plain), recipe.batch_size, steps)
        scores = watch.Watched.of(quick(plain))
        scores.compile(
            optimizer=optimize.optimizer(recipe, steps * recipe.epochs, options.accumulate),
            jit_compile=decided["xla"],
            # Keras 3.12's loop over steps does not work inside of a MirroredStrategy.
            steps_per_execution=1 if mirrored else at_once,
            **optimize.measures(scores, recipe),
        )
        if state.rows and checkpoints is not None:
            checkpoint.restore(scores, state, checkpoints)
    start = len(state.rows)
    with tf.device("/CPU:0"):  # where tf.data reads it
        epoch = tf.Variable(start, dtype=tf.int64, trainable=False)
    seen, unseen = _batches(task, scores, epoch, spread.num_replicas_in_sync)
    history = watch.History(state.rows, recipe.epochs, steps, task.train.count, report)
    keeper = watch.Keeper(state, checkpoints, options.weights, options.patience)
    callbacks: list[keras.callbacks.Callback] = [
        watch.Seeds(task.seed, epoch),
        watch.NaN(seen, recipe, steps, logs or checkpoints, keep_bad_batch),
        history,
        keeper,
        *([keras.callbacks.SwapEMAWeights()] if recipe.ema else []),
        *([board.Board(logs, state.rows, seen, task.train.count)] if logs is not None else []),
    ]  # fmt: skip
    last = min(until or recipe.epochs, recipe.epochs)
    if start < last and not watch.stalled(state.rows, options.weights, options.patience):
        scores.fit(
            seen, epochs=last, initial_epoch=start, validation_data=unseen, callbacks=callbacks,
            shuffle=False, verbose=0,
        )  # fmt: skip
    model, kept = _handed_out(task, plain, state, checkpoints, keeper)
    if logs is not None:
        predicted = predict(model, task.test, task.preprocess).argmax(axis=1)
        board.confusion(logs, data.labels_of(task.test), predicted, len(task.labels), kept)
    return Trained(
        model, state.rows, history.speed(start), devices.device(), start, kept,
        decided["precision"], decided["xla"],
    )  # fmt: skip


def _check(options: Options) -> None:
    for key, allowed in {
        "weights": WEIGHTS, "class_weights": CLASS_WEIGHTS,
        "precision": devices.PRECISIONS, "xla": devices.XLA,
    }.items():  # fmt: skip
        if getattr(options, key) not in allowed:
            raise ValueError(f"{key} must be one of {', '.join(allowed)}, not {getattr(options, key)!r}")
    if options.accumulate < 1 or options.patience < 0:
        raise ValueError(f"accumulate must be at least 1 and patience at least 0, not {options}")


def _decide(task: Task) -> dict[str, Any]:
    """What depends on the machine; an interrupted training goes on with it."""
    precision = devices.precision(task.options.precision)
    xla = devices.xla(task.options.xla, task.train.count * task.recipe.epochs, precision)
    return {"precision": precision, "xla": xla}


def _batches(
    task: Task, scores: keras.Model, epoch: tf.Variable, replicas: int
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Training and test batches as `fit` takes them."""
    how, recipe, classes = task.preprocess, task.recipe, len(task.labels)
    weights = class_weights(task) if task.options.class_weights == "balanced" else None
    augment = augmenter(recipe, how.channels) if changes(recipe) else None
    soft, heads = optimize.soft_labels(recipe), recipe.auxiliary_weight

    def handed(pixels: tf.Tensor, labels: tf.Tensor, counts: tf.Tensor | None) -> tuple[Any, ...]:
        spread = (lambda one: dict.fromkeys(scores.output, one)) if heads else (lambda one: one)
        rest = () if counts is None else (spread(counts),)
        return (scale(pixels, how), spread(labels), *rest)

    def training(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[Any, ...]:
        shares = tf.one_hot(labels, classes)
        if augment is not None:
            pixels, shares = augment(tf.cast(pixels, tf.float32), shares, seed)
        counts = None if weights is None else tf.linalg.matvec(shares, tf.constant(weights, tf.float32))
        # Labels keep their order where nothing mixes them.
        return handed(pixels, shares if soft else labels, counts)

    def testing(pixels: tf.Tensor, labels: tf.Tensor, _: tf.Tensor) -> tuple[Any, ...]:
        return handed(pixels, tf.one_hot(labels, classes) if soft else labels, None)

    seen = data.batches(
        task.train, how, batch_size=recipe.batch_size, epoch=epoch, seed=task.seed, finish=training,
        drop_last=not _fair(task.train.count, recipe.batch_size, replicas),
    )  # fmt: skip
    size = next(
        (size for size in range(_TEST_BATCH, 0, -1) if _fair(task.test.count, size, replicas)), _TEST_BATCH
    )
    return seen, data.batches(task.test, how, batch_size=size, finish=testing)


def _fair(count: int, size: int, replicas: int) -> bool:
    """Whether the last batch leaves no replica without pictures: the mean of nothing is no number."""
    rest = count % size
    return not rest or rest > math.ceil(rest / replicas) * (replicas - 1)


def class_weights(task: Task) -> np.ndarray:
    """What an image of each class counts, float32 (classes,), so that all classes count the same."""
    counts = np.bincount(data.labels_of(task.train), minlength=len(task.labels))
    return (counts.sum() / np.maximum(counts, 1) / max(1, np.count_nonzero(counts))).astype("float32")


def _handed_out(
    task: Task, scores: keras.Model, state: checkpoint.State, folder: Path | None, keeper: watch.Keeper
) -> tuple[keras.Model, int]:
    """The kept weights in Keras's own layers of float32 that answer probabilities, and their epoch."""
    kept = watch.best_epoch(state.rows, task.options.weights)
    if task.options.weights != "last":
        if keeper.best is not None:
            scores.set_weights(keeper.best)
        elif folder is not None and state.best:
            scores.set_weights(checkpoint.best(state, folder))
    if state.decided["precision"] != "float32" or scores.distribute_strategy.num_replicas_in_sync > 1:
        plain = scores_model(untrained(task))
        plain.set_weights(scores.get_weights())
        scores = plain
    return probabilities_model(strip_auxiliary(scores)), kept


def untrained(task: Task) -> keras.Model:
    """The network of a task with class scores as its output, and with auxiliary heads if the recipe has them.

    Raises:
        ValueError: The network refuses its input or has no heads; the text says what works.
    """
    heads = {"aux": True} if task.recipe.auxiliary_weight else {}
    shape, classes = task.preprocess.input_shape, len(task.labels)
    own = {"input_shape": shape, "classes": classes, "classifier_activation": None}
    return create_model(task.model, **own, **heads, **task.arguments)


def scores_model(model: keras.Model) -> keras.Model:
    """The same network with an output that is larger for likelier classes: RBF units give penalties."""
    if not isinstance(model.layers[-1], RBF):
        return model
    return keras.Model(model.input, keras.ops.negative(model.output), name=model.name)


def probabilities_model(scores: keras.Model) -> keras.Model:
    """The network with class probabilities as its output, in float32."""
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return keras.Model(scores.input, softmax(scores.output), name=scores.name)


def predict(model: keras.Model, source: data.Source, how: Preprocess) -> np.ndarray:
    """Class probabilities, float32 (count, classes), of the pictures in the source's order."""
    stream = data.batches(source, how, batch_size=_TEST_BATCH)
    return np.concatenate([np.asarray(model.predict_on_batch(images)) for images, _ in stream])
