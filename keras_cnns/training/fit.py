"""Train a registered network by its recipe."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.heads import strip_auxiliary
from keras_cnns.layers import RBF
from keras_cnns.losses import MAPCriterion
from keras_cnns.recipes import Recipe
from keras_cnns.registry import create_model
from keras_cnns.training import checkpoint, data
from keras_cnns.training.preprocess import Preprocess

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Task:
    """Everything that decides the outcome of a training.

    Attributes:
        model: Registered name of the network, such as "lenet5".
        labels: Class names; their index is the label.
        train_files: Gzip TFRecord files of the training examples.
        train_count: Number of training examples.
        test_files: The same for the examples that are only measured on.
        test_count: Number of those.
        preprocess: From bytes to the network's input.
        recipe: How to train.
        seed: Of the weights and of the order of the examples.
    """

    model: str
    labels: tuple[str, ...]
    train_files: tuple[str, ...]
    train_count: int
    test_files: tuple[str, ...]
    test_count: int
    preprocess: Preprocess
    recipe: Recipe
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """A trained network and how it came about.

    Attributes:
        model: From preprocessed pictures to class probabilities, float32 (n, classes); without the auxiliary
            heads that it was trained with.
        history: One row an epoch: epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds; all
            of the main output alone.
        images_per_second: Training speed over all epochs after the first (which compiles), with validation.
        device: Where it ran, for a person.
        resumed_after: The epoch after which an interrupted training was taken up again; 0 for none.
    """

    model: keras.Model
    history: list[dict[str, float]]
    images_per_second: float
    device: str
    resumed_after: int


def train(task: Task, *, checkpoints: Path | None = None, report: Report = lambda _: None) -> Trained:
    """Train the network of a task.

    Args:
        task: What to train on what, and how.
        checkpoints: A folder for the state after each epoch. An interrupted training that is called again
            with the same folder goes on from there; it is the caller's to remove.
        report: Called with {"epoch", "epochs", "step", "steps", "accuracy"} while training goes on.

    Returns:
        The network with class probabilities as its output, and its history.

    Raises:
        FloatingPointError: The loss is no longer a number.
    """
    keras.utils.set_random_seed(task.seed)
    _grow_gpu_memory()
    how, recipe = task.preprocess, task.recipe
    scores = scores_model(untrained(task))
    steps = math.ceil(task.train_count / recipe.batch_size)
    scores.compile(
        optimizer=optimizer(recipe, steps * recipe.epochs), jit_compile=False, **_measures(scores, recipe)
    )
    history = _History(recipe.epochs, steps, report)
    if checkpoints is not None:
        history.rows += checkpoint.restore(scores, checkpoints)
    start = len(history.rows)
    seen = data.batches(
        task.train_files, task.train_count, how, batch_size=recipe.batch_size, shuffle=task.seed + start
    )
    unseen = data.batches(task.test_files, task.test_count, how, batch_size=_TEST_BATCH)
    if recipe.auxiliary_weight:
        seen, unseen = (
            each.map(lambda x, y: (x, dict.fromkeys(scores.output, y))) for each in (seen, unseen)
        )
    callbacks: list[keras.callbacks.Callback] = [history, keras.callbacks.TerminateOnNaN()]
    if checkpoints is not None:
        keep = checkpoint.save
        callbacks.append(
            keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: keep(scores, history.rows, checkpoints))
        )
    scores.fit(
        seen, epochs=recipe.epochs, initial_epoch=start, steps_per_epoch=steps,
        validation_data=unseen, validation_steps=math.ceil(task.test_count / _TEST_BATCH),
        callbacks=callbacks, verbose=0,
    )  # fmt: skip
    if history.rows and not math.isfinite(history.rows[-1]["loss"]):
        raise FloatingPointError(
            f"the loss is no longer a number in epoch {len(history.rows)} of {recipe.epochs} "
            f"at learning rate {recipe.learning_rate:g}; a smaller --learning-rate may help"
        )
    speed = history.speed(task.train_count, start)
    return Trained(probabilities_model(strip_auxiliary(scores)), history.rows, speed, _device(), start)


_TEST_BATCH = 256


def untrained(task: Task) -> keras.Model:
    """The network of a task with class scores as its output, and with auxiliary heads if the recipe has them.

    Raises:
        ValueError: The network refuses its input or has no heads; the text says what works.
    """
    heads = {"aux": True} if task.recipe.auxiliary_weight else {}
    shape, classes = task.preprocess.input_shape, len(task.labels)
    return create_model(task.model, input_shape=shape, classes=classes, classifier_activation=None, **heads)


def scores_model(model: keras.Model) -> keras.Model:
    """The same network with an output that is larger for likelier classes: RBF units give penalties."""
    if not isinstance(model.layers[-1], RBF):
        return model
    return keras.Model(model.input, keras.ops.negative(model.output), name=model.name)


def probabilities_model(scores: keras.Model) -> keras.Model:
    """The network with class probabilities as its output, in float32."""
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return keras.Model(scores.input, softmax(scores.output), name=scores.name)


def predict(model: keras.Model, files: tuple[str, ...], count: int, how: Preprocess) -> np.ndarray:
    """Class probabilities, float32 (count, classes), of the examples in the files' order."""
    stream = data.batches(files, count, how, batch_size=_TEST_BATCH).take(math.ceil(count / _TEST_BATCH))
    return np.concatenate([np.asarray(model.predict_on_batch(images)) for images, _ in stream])


def optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """What a recipe trains with, over so many steps."""
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    if recipe.schedule == "steps":
        rates = [rate, rate / 10, rate / 100]
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([steps // 2, steps * 3 // 4], rates)
    if recipe.optimizer == "sgd":
        return _SGD(recipe.weight_decay, rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
    return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)


class _SGD(keras.optimizers.SGD):
    """Stochastic gradient descent whose weight decay is part of the gradient, and so of the momentum.

    So do the papers (Krizhevsky et al. 2012, section 5) and Caffe and Torch; Keras's own `weight_decay` does
    not go through the momentum, and is ten times weaker at a momentum of 0.9.
    """

    def __init__(self, decay: float, learning_rate: Any, *, momentum: float, nesterov: bool) -> None:
        super().__init__(learning_rate, momentum=momentum, nesterov=nesterov)
        self._decay = decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        decay = keras.ops.cast(self._decay, variable.dtype) * variable
        super().update_step(gradient + decay, variable, learning_rate)


def _measures(model: keras.Model, recipe: Recipe) -> dict[str, Any]:
    """Loss and accuracy for `compile`; with heads the sum main + weight · (aux1 + aux2)."""
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    if not recipe.auxiliary_weight:
        return {"loss": _loss(recipe), "metrics": [accuracy]}
    weights = {name: 1.0 if name == "main" else recipe.auxiliary_weight for name in model.output}
    losses = {name: _loss(recipe) for name in weights}
    return {"loss": losses, "loss_weights": weights, "metrics": {"main": [accuracy]}}


def _loss(recipe: Recipe) -> keras.losses.Loss:
    if recipe.loss == "map":
        return MAPCriterion()
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _of_main(logs: Mapping[str, float] | None) -> dict[str, float]:
    """Keras's figures of the main output, under the names that a network without heads has."""
    figures = {key: float(value) for key, value in (logs or {}).items()}
    if "main_loss" not in figures:
        return figures
    # A sum that is no number ends the training, and must be seen.
    loss = figures["main_loss"] if math.isfinite(figures["loss"]) else figures["loss"]
    main = {key.replace("main_", ""): value for key, value in figures.items() if "main_" in key}
    return {**main, "loss": loss}


def _grow_gpu_memory() -> None:
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _device() -> str:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
        return name if len(gpus) == 1 else f"{len(gpus)} × {name}"
    return f"CPU ({os.cpu_count()} cores)"


class _History(keras.callbacks.Callback):
    """Keeps a row an epoch and reports at most five times a second."""

    def __init__(self, epochs: int, steps: int, report: Report) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self._epochs, self._steps, self._report = epochs, steps, report
        self._epoch, self._began, self._told = 0, 0.0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch, self._began = epoch + 1, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        now = time.perf_counter()
        if now - self._told >= 0.2:
            self._told = now
            self._tell(batch + 1, _of_main(logs).get("accuracy", 0.0))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        seconds = time.perf_counter() - self._began
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row = _of_main(logs)
        self.rows.append({"epoch": epoch + 1, **row, "learning_rate": rate, "seconds": seconds})
        self._tell(self._steps, row.get("accuracy", 0.0))

    def speed(self, images: int, start: int) -> float:
        """Images a second after epoch `start`, without the next epoch where there are more."""
        rows = self.rows[start + 1 :] or self.rows[-1:]
        return images * len(rows) / sum(row["seconds"] for row in rows) if rows else 0.0

    def _tell(self, step: int, accuracy: float) -> None:
        self._report({
            "epoch": self._epoch, "epochs": self._epochs,
            "step": step, "steps": self._steps, "accuracy": float(accuracy),
        })  # fmt: skip
