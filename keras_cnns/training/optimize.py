"""Optimizer, schedule and losses of a recipe, as Keras has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from keras_cnns.losses import MAPCriterion
from keras_cnns.recipes import Recipe


def optimizer(recipe: Recipe, steps: int, accumulate: int = 1) -> keras.optimizers.Optimizer:
    """What a recipe trains with.

    Args:
        recipe: Rate, schedule, decay and average of the weights.
        steps: Batches of the whole training.
        accumulate: Batches whose gradients are averaged before the weights change.
    """
    common: dict[str, Any] = {"use_ema": bool(recipe.ema)}
    if recipe.ema:
        common["ema_momentum"] = _average_momentum(recipe, steps)
    if accumulate > 1:
        common["gradient_accumulation_steps"] = accumulate
    rate = schedule(recipe, steps)
    if recipe.optimizer == "sgd":
        return _SGD(recipe.weight_decay, rate, momentum=recipe.momentum, nesterov=recipe.nesterov, **common)
    return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, **common)


def schedule(recipe: Recipe, steps: int) -> Any:
    """The learning rate at each of so many steps: a number, or one of Keras's schedules."""
    rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        warm = round(recipe.warmup * steps)
        if not warm:
            return keras.optimizers.schedules.CosineDecay(rate, steps)
        return keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - warm), warmup_target=rate, warmup_steps=warm
        )
    if recipe.schedule == "steps":
        rates = [rate, rate / 10, rate / 100]
        return keras.optimizers.schedules.PiecewiseConstantDecay([steps // 2, steps * 3 // 4], rates)
    return rate


def _average_momentum(recipe: Recipe, steps: int) -> float:
    """How much of the average of the weights stays at each of so many steps.

    At a momentum of m the average looks back over some 1 / (1 - m) steps. Over more than a tenth of the
    training, what is handed out would still hold the random weights that it began with.
    """
    return min(recipe.ema, max(0.0, 1 - 10 / max(1, steps)))


class _SGD(keras.optimizers.SGD):
    """Stochastic gradient descent whose weight decay is part of the gradient, and so of the momentum.

    So do the papers (Krizhevsky et al. 2012, section 5) and Caffe and Torch; Keras's own `weight_decay` does
    not go through the momentum, and is ten times weaker at a momentum of 0.9.
    """

    def __init__(self, decay: float, learning_rate: Any, **common: Any) -> None:
        super().__init__(learning_rate, name="sgd", **common)
        self._decay = decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        decay = keras.ops.cast(self._decay, variable.dtype) * variable
        super().update_step(gradient + decay, variable, learning_rate)


def soft_labels(recipe: Recipe) -> bool:
    """Whether labels are handed to the loss as shares of all classes, not as one class's index."""
    return bool(recipe.label_smoothing or recipe.mixup)


def measures(model: keras.Model, recipe: Recipe) -> dict[str, Any]:
    """Loss and accuracy for `compile`; with heads the sum main + weight · (aux1 + aux2)."""
    kind = (
        keras.metrics.CategoricalAccuracy if soft_labels(recipe) else keras.metrics.SparseCategoricalAccuracy
    )
    accuracy = kind(name="accuracy")
    if not recipe.auxiliary_weight:
        return {"loss": _loss(recipe), "metrics": [accuracy]}
    weights = {name: 1.0 if name == "main" else recipe.auxiliary_weight for name in model.output}
    losses = {name: _loss(recipe) for name in weights}
    return {"loss": losses, "loss_weights": weights, "metrics": {"main": [accuracy]}}


def _loss(recipe: Recipe) -> keras.losses.Loss:
    if recipe.loss == "map":
        return MAPCriterion()
    if soft_labels(recipe):
        return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def of_main(logs: Mapping[str, float] | None) -> dict[str, float]:
    """Keras's figures of the main output, under the names that a network without heads has."""
    figures = {key: float(value) for key, value in (logs or {}).items()}
    if "main_loss" not in figures:
        return figures
    # A sum that is no number ends the training, and must be seen.
    loss = figures["main_loss"] if math.isfinite(figures["loss"]) else figures["loss"]
    main = {key.replace("main_", ""): value for key, value in figures.items() if "main_" in key}
    return {**main, "loss": loss}
