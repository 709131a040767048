"""Training images changed at random by Keras's own layers, as a pure function of a seed.

Keras's layers draw from a state that each call moves on; after an interruption nobody knows where it stood.
Here each batch brings its own seed, so that it looks the same whenever and wherever it is made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from keras_cnns.recipes import Recipe

Augment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
_RANGE = (0, 255)
_GROUPS = 8  # in a batch; each gets one of TrivialAugment's operations
# Shears, shifts as a share of the side, and turns of 30 degrees: ranges of RandAugment and TrivialAugment.
_SHEAR, _SHIFT, _ROTATION = 0.3, 0.3, 30 / 360
_STRENGTH, _BITS = 0.9, 4


class _Seeds(keras.random.SeedGenerator):
    """Hands Keras's layers one seed after the other, all derived from one tensor; it has no state."""

    def __init__(self, seed: tf.Tensor) -> None:
        self._seed, self._drawn = seed, 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        self._drawn += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._drawn)


def changes(recipe: Recipe) -> bool:
    """Whether a recipe changes its training images at all."""
    return bool(recipe.crop or recipe.mirror or recipe.policy or recipe.mixup)


def augmenter(recipe: Recipe, channels: int) -> Augment:
    """Crops, mirrors, TrivialAugment and mixup, as far as a recipe has them.

    Args:
        recipe: Says what is done.
        channels: Of the images, 1 or 3.

    Returns:
        A function of pixels, float32 (n, height, width, channels) from 0 to 255, of one-hot labels, float32
        (n, classes), and of a seed, int64 (2,). It returns pixels and labels of the same shapes; only mixup
        changes labels, and the same seed gives the same pictures.
    """
    steps: list[Any] = []
    if recipe.crop:
        # Nearest pixels at a shift of any size are those at the nearest whole shift.
        shift = (recipe.crop, recipe.crop)
        steps.append(layers.RandomTranslation(*shift, fill_mode="constant", interpolation="nearest"))
    if recipe.mirror:
        steps.append(layers.RandomFlip("horizontal"))
    trivial = _operations(channels) if recipe.policy == "trivial" else []
    mix = layers.MixUp(alpha=recipe.mixup) if recipe.mixup else None

    def augment(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seeds = _Seeds(seed)
        for layer in steps:
            pixels = _apply(layer, pixels, seeds)
        if trivial:
            pixels = _one_for_each_group(trivial, pixels, seeds)
        if mix is not None:
            how = mix.get_random_transformation(pixels, training=True, seed=seeds)
            pixels = mix.transform_images(pixels, how, training=True)
            labels = mix.transform_labels(labels, how, training=True)
        return pixels, labels

    return augment


def _one_for_each_group(operations: list[Any], pixels: tf.Tensor, seeds: _Seeds) -> tf.Tensor:
    """One operation of random strength for each eighth of the batch, whose order is random.

    Keras's RandAugment computes all of its operations for all images and keeps one of them, which takes as
    long as ResNet-20's training step.
    """
    count, shape = tf.shape(pixels)[0], pixels.shape[1:]
    each = -(-count // _GROUPS)
    filled = tf.gather(pixels, tf.range(each * _GROUPS) % count)
    groups = tf.reshape(filled, [_GROUPS, each, *shape])
    chosen = tf.random.stateless_uniform([_GROUPS], seeds.next(), 0, len(operations), tf.int32)
    seed = seeds.next()

    def one(given: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        group, operation, number = given
        drawn = tf.random.experimental.stateless_fold_in(seed, number)
        branches = [partial(_apply, layer, group, _Seeds(drawn)) for layer in operations]
        return tf.switch_case(operation, branches)

    spec = tf.TensorSpec([None, *shape], tf.float32)
    changed = tf.map_fn(one, (groups, chosen, tf.range(_GROUPS)), fn_output_signature=spec)
    return tf.reshape(changed, [-1, *shape])[:count]


def _operations(channels: int) -> list[Any]:
    """TrivialAugment's operations as Keras has them."""
    colour = [layers.RandomColorDegeneration(_STRENGTH, _RANGE)] if channels == 3 else []
    return [
        layers.Identity(),
        layers.RandomShear(x_factor=_SHEAR, y_factor=0.0, fill_mode="constant"),
        layers.RandomShear(x_factor=0.0, y_factor=_SHEAR, fill_mode="constant"),
        layers.RandomTranslation(0.0, _SHIFT, fill_mode="constant"),
        layers.RandomTranslation(_SHIFT, 0.0, fill_mode="constant"),
        layers.RandomRotation(_ROTATION, fill_mode="constant"),
        layers.RandomBrightness(_STRENGTH / 2, _RANGE),
        layers.RandomContrast(_STRENGTH, _RANGE),
        layers.RandomSharpness(_STRENGTH, _RANGE),
        layers.RandomPosterization(_BITS, _RANGE),
        layers.Solarization(threshold_factor=_STRENGTH, value_range=_RANGE),
        layers.AutoContrast(_RANGE),
        layers.Equalization(_RANGE),
        *colour,
    ]


def _apply(layer: Any, images: tf.Tensor, seeds: _Seeds) -> tf.Tensor:
    if isinstance(layer, layers.Identity):
        return images
    how = layer.get_random_transformation(images, training=True, seed=seeds)
    changed = layer.transform_images(images, how, training=True)
    return tf.ensure_shape(tf.cast(changed, tf.float32), images.shape)
