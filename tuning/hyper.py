"""A family as a hypermodel of KerasTuner, for any of its tuners."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_cnns.registry import MODELS, create_model
from tuning import declared, narrowing, spaces


def hypermodel(
    family: str,
    *,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    images: int = 50_000,
    epochs: int = 30,
    fix: Mapping[str, Any] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    mirror: bool = True,
) -> keras_tuner.HyperModel:
    """A family's space and networks for `keras_tuner.RandomSearch`, `Hyperband` and the others.

    The networks take pixels from 0 to 255, which they scale themselves, and answer class probabilities;
    labels are whole numbers. Optimizer, schedule, label smoothing, batch size and augmentation are those of
    the trial; batch size and augmentation are applied in `fit`, to arrays (with TensorFlow).

    Args:
        family: As in `tuning.space`.
        input_shape: (height, width, channels) in pixels; None for those of the paper's network that the
            space has by default, such as (32, 32, 3) of "resnet".
        classes: Their number; None for that network's own, such as 10.
        images: Training images, by which schedules know how many steps there will be.
        epochs: Of a whole training, for the same.
        fix: As in `tuning.narrow`.
        ranges: As in `tuning.narrow`.
        mirror: Whether pictures may be mirrored.

    Raises:
        tuning.errors.BadInput: There is no such family or hyperparameter; the text says what there is.
    """
    space = narrowing.narrow(spaces.space(family, mirror=mirror), fix, ranges)
    own = MODELS[spaces.plan(space, space.defaults(), epochs).model]
    shape = tuple(input_shape or own.input_shape)
    return _Family(space, shape, classes or own.classes, images, epochs, mirror)


class _Family(keras_tuner.HyperModel):
    def __init__(
        self, space: spaces.Space, input_shape: tuple[int, ...], classes: int, images: int, epochs: int,
        mirror: bool,
    ) -> None:  # fmt: skip
        super().__init__(name=space.model or space.family)
        self._space, self._shape, self._classes = space, input_shape, classes
        self._images, self._epochs, self._mirror = images, epochs, mirror

    def build(self, hp: Any) -> keras.Model:
        """The compiled network of a trial; KerasTuner calls this."""
        from keras_cnns.training.fit import scores_model
        from keras_cnns.training.optimize import optimizer

        plan = spaces.plan(self._space, declared.declare(self._space, hp), self._epochs, mirror=self._mirror)
        recipe = plan.recipe
        network = create_model(
            plan.model, input_shape=self._shape, classes=self._classes, classifier_activation=None,
            **plan.arguments,
        )  # fmt: skip
        pixels = keras.Input(self._shape, name="pixels")
        scaled = keras.layers.Rescaling((recipe.high - recipe.low) / 255.0, recipe.low, name="scale")(pixels)
        scores = scores_model(network)(scaled)
        shares = keras.layers.Softmax(dtype="float32", name="probabilities")(scores)
        model = keras.Model(pixels, shares, name=network.name)
        steps = math.ceil(self._images / recipe.batch_size) * self._epochs
        model.compile(
            optimizer=optimizer(recipe, steps),
            loss=_Crossentropy(self._classes, recipe.label_smoothing),
            metrics=[keras.metrics.MeanMetricWrapper(_hits, name="accuracy")],
        )
        # KerasTuner's Hyperband loads weights into it before it trains; an optimizer without variables would
        # pass over its own, and its schedule and momentum would begin anew in each round.
        model.optimizer.build(model.trainable_variables)
        return model

    def fit(self, hp: Any, model: keras.Model, x: Any, y: Any = None, **options: Any) -> Any:
        """Train a trial; KerasTuner calls this with what its `search` was given."""
        plan = spaces.plan(self._space, dict(hp.values), self._epochs, mirror=self._mirror)
        if y is None:  # the caller's own batches
            return model.fit(x, **options)
        options.setdefault("batch_size", plan.recipe.batch_size)
        batches = _augmented(x, y, self._classes, plan.recipe, options)
        return model.fit(x, y, **options) if batches is None else model.fit(batches, **options)


def _augmented(x: Any, y: Any, classes: int, recipe: Any, options: dict[str, Any]) -> Any:
    """Batches whose pictures are changed anew in each epoch; None where the recipe changes nothing."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    from keras_cnns.training.augment import augmenter, changes

    if not changes(recipe):
        return None
    size, share, weight = (
        options.pop(key, None) for key in ("batch_size", "validation_split", "sample_weight")
    )
    arrays = [np.asarray(one) for one in (x, np.reshape(y, -1), *([] if weight is None else [weight]))]
    if share and options.get("validation_data") is None:  # the last ones, as Keras takes them
        cut = math.floor(len(arrays[0]) * (1 - share))
        options["validation_data"] = tuple(one[cut:] for one in arrays)
        arrays = [one[:cut] for one in arrays]
    augment = augmenter(recipe, arrays[0].shape[-1])

    def changed(index: Any, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        pixels, labels, *weights = batch
        drawn = tf.random.uniform([1], maxval=tf.int64.max, dtype=tf.int64)
        seed = tf.concat([drawn, [index]], 0)
        return (*augment(tf.cast(pixels, tf.float32), tf.one_hot(labels, classes), seed), *weights)

    stream = tf.data.Dataset.from_tensor_slices(tuple(arrays))
    stream = stream.shuffle(min(len(arrays[0]), 10_000)).batch(size).enumerate()
    return stream.map(changed, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


@keras.saving.register_keras_serializable("keras_cnns")
class _Crossentropy(keras.losses.Loss):
    """Cross-entropy of probabilities and of labels that are whole numbers or shares of the classes."""

    def __init__(self, classes: int, smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(**{"name": "crossentropy", **options})
        self._classes, self._smoothing = classes, smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Keras calls this."""
        shares = _shares(y_true, self._classes)
        return keras.losses.categorical_crossentropy(shares, y_pred, label_smoothing=self._smoothing)

    def get_config(self) -> dict[str, Any]:
        """Keras calls this."""
        return {**super().get_config(), "classes": self._classes, "smoothing": self._smoothing}


@keras.saving.register_keras_serializable("keras_cnns")
def _hits(y_true: Any, y_pred: Any) -> Any:
    """1 where the likeliest class is the label's largest share."""
    shares = _shares(y_true, y_pred.shape[-1])
    hit = keras.ops.equal(keras.ops.argmax(shares, -1), keras.ops.argmax(y_pred, -1))
    return keras.ops.cast(hit, "float32")


def _shares(labels: Any, classes: int) -> Any:
    if len(labels.shape) == 2 and labels.shape[-1] == classes and classes > 1:
        return keras.ops.cast(labels, "float32")
    return keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(labels, [-1]), "int32"), classes)
