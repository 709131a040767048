"""Batches for training: from memory where the pictures fit, else streamed from the shards."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_cnns.training import examples
from keras_cnns.training.preprocess import Preprocess, decode, preprocess, scale

MEMORY_LIMIT = 2 << 30  # bytes of decoded pixels kept in memory
_SHUFFLED_RECORDS = 10_000
_SHARDS_AT_ONCE = 4


def batches(
    files: Sequence[str], count: int, how: Preprocess, *, batch_size: int, shuffle: int | None = None
) -> tf.data.Dataset:
    """An endless stream of (input, label) batches; one pass is ceil(count / batch_size) of them.

    Args:
        files: Gzip TFRecord files of `tf.Example`s.
        count: Number of examples in them.
        how: The preprocessing.
        batch_size: Examples a batch; the last of each pass may be smaller.
        shuffle: Seed of a new order in each pass; None keeps the files' order.

    Returns:
        Batches of float32 (n, height, width, channels) and int64 (n,).
    """
    if count * how.height * how.width * how.channels <= MEMORY_LIMIT:
        stream = _from_memory(*load(files, how), how, batch_size, shuffle)
    else:
        stream = _from_shards(files, how, batch_size, shuffle)
    return stream.prefetch(2).with_options(_fixed_parallelism())


def load(files: Sequence[str], how: Preprocess) -> tuple[np.ndarray, np.ndarray]:
    """All pictures, uint8 (n, height, width, channels), and labels, int64 (n,), in the files' order."""
    pixels = tf.TensorSpec(how.input_shape, tf.uint8)

    def read(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = examples.parse(serialized)
        images = tf.map_fn(lambda one: decode(one, how), batch[examples.IMAGE], fn_output_signature=pixels)
        return images, batch[examples.LABEL]

    stream = examples.records(files).batch(256).map(read, num_parallel_calls=os.cpu_count())
    parts = list(stream.with_options(_fixed_parallelism()).as_numpy_iterator())
    return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])


def _from_memory(
    images: np.ndarray, labels: np.ndarray, how: Preprocess, batch_size: int, shuffle: int | None
) -> tf.data.Dataset:
    held_images, held_labels = tf.constant(images), tf.constant(labels)
    order = tf.data.Dataset.range(len(labels))
    if shuffle is not None:
        order = order.shuffle(len(labels), seed=shuffle)

    def take(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return scale(tf.gather(held_images, index), how), tf.gather(held_labels, index)

    return order.batch(batch_size).repeat().map(take, num_parallel_calls=1)


def _from_shards(
    files: Sequence[str], how: Preprocess, batch_size: int, shuffle: int | None
) -> tf.data.Dataset:
    names = tf.data.Dataset.from_tensor_slices(list(files))
    if shuffle is None:
        stream = names.flat_map(lambda name: examples.records([name]))
    else:
        names = names.shuffle(len(files), seed=shuffle)
        stream = names.interleave(lambda name: examples.records([name]), cycle_length=_SHARDS_AT_ONCE)
        stream = stream.shuffle(_SHUFFLED_RECORDS, seed=shuffle)

    def read(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = examples.parse(serialized)
        return preprocess(batch[examples.IMAGE], how), batch[examples.LABEL]

    return stream.batch(batch_size).repeat().map(read, num_parallel_calls=os.cpu_count())


def _fixed_parallelism() -> tf.data.Options:
    """Without tf.data's autotuner: at the end of an iterator its thread sleeps through a whole period."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return options
