"""Batches for training: from memory where the pictures fit, else streamed.

What a pass brings depends on its seed and its number alone, so that a training that was cut off sees in its
next pass what an unbroken one would have seen.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_cnns.training import examples
from keras_cnns.training.preprocess import Preprocess, decode, fitted, scale

MEMORY_LIMIT = 2 << 30  # bytes of decoded pixels kept in memory
_SHUFFLED_RECORDS = 4096  # at once; ExampleGen's shards are in a random order already
_SHARDS_AT_ONCE = 4
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
# A batch of uint8 pixels, of int64 labels, and the batch's seed, int64 (2,), to what `fit` takes.
Finish = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Any]


@dataclass(frozen=True)
class Records:
    """Pictures as `tf.Example`s in gzip TFRecord files, and their number."""

    files: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Files:
    """Pictures as files, each with its label."""

    paths: tuple[str, ...]
    labels: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of pictures."""
        return len(self.paths)


@dataclass(frozen=True, eq=False)
class Arrays:
    """Pictures in memory: uint8 (n, height, width[, channels]), and labels (n,)."""

    images: np.ndarray
    labels: np.ndarray

    @property
    def count(self) -> int:
        """Number of pictures."""
        return len(self.images)


Source = Records | Files | Arrays


def folder(path: Path | str) -> tuple[Files, tuple[str, ...]]:
    """The pictures of a folder of class folders, and the classes' names in order.

    Raises:
        ValueError: There are not two classes with pictures.
    """
    classes = sorted(child.name for child in Path(path).iterdir() if child.is_dir())
    found = [
        (str(file), label)
        for label, name in enumerate(classes)
        for file in sorted((Path(path) / name).rglob("*"))
        if file.suffix.lower() in _SUFFIXES
    ]
    if len({label for _, label in found}) < max(2, len(classes)):
        raise ValueError(f"{path} must hold two or more folders, each with pictures of one class")
    paths, labels = zip(*found, strict=True)
    return Files(paths, labels), tuple(classes)


def split(source: Files | Arrays, share: float, seed: int) -> tuple[Any, Any]:
    """A training and a test part; each class gives the same share to the test, one picture at least."""
    labels, dice = np.asarray(source.labels), np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        mine = dice.permutation(np.flatnonzero(labels == label))
        held[mine[: max(1, round(share * len(mine)))]] = True
    return _part(source, np.flatnonzero(~held)), _part(source, np.flatnonzero(held))


def _part(source: Files | Arrays, index: np.ndarray) -> Files | Arrays:
    if isinstance(source, Arrays):
        return Arrays(source.images[index], source.labels[index])
    return Files(tuple(source.paths[i] for i in index), tuple(source.labels[i] for i in index))


def batches(
    source: Source,
    how: Preprocess,
    *,
    batch_size: int,
    epoch: tf.Variable | None = None,
    seed: int = 0,
    finish: Finish | None = None,
    drop_last: bool = False,
    held: tuple[np.ndarray, np.ndarray] | None = None,
) -> tf.data.Dataset:
    """One pass over the pictures; ceil(count / batch_size) batches, of which the last may be smaller.

    Args:
        source: Where they are.
        how: The preprocessing.
        batch_size: Pictures a batch.
        epoch: An int64 scalar that is read as each pass begins: passes of another number or seed have another
            order. None keeps the source's order.
        seed: Of the order and of `finish`.
        finish: Makes of uint8 pixels, labels and the batch's own seed what is handed out; pixels as the
            network wants them, and labels, if not given.
        drop_last: Leave out a last batch that is smaller.
        held: What `load` answered, where the caller has it.

    Returns:
        Batches of float32 (n, height, width, channels) and int64 (n,), or what `finish` makes of them.
    """
    number = tf.constant(0, tf.int64) if epoch is None else epoch
    last = finish or (lambda pixels, labels, _: (scale(pixels, how), labels))
    steps = (math.floor if drop_last else math.ceil)(source.count / batch_size)

    def key() -> tf.Tensor:
        return tf.random.experimental.stateless_fold_in(tf.constant([seed, 1], tf.int64), number + 0)

    def finished(index: tf.Tensor, rest: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> Any:
        pixels, labels, drawn = rest
        return last(pixels, labels, tf.random.experimental.stateless_fold_in(drawn, index))

    one_pass = tf.data.Dataset.from_tensors(0).map(lambda _: key())
    if held is not None or fits(source, how):
        stream = one_pass.flat_map(_from_memory(*(held or load(source, how)), batch_size, epoch is not None))
    else:
        stream = one_pass.flat_map(_streamed(source, how, batch_size, epoch is not None))
    stream = stream.take(steps).enumerate().map(finished, num_parallel_calls=os.cpu_count() if finish else 1)
    stream = stream.apply(tf.data.experimental.assert_cardinality(steps))
    return stream.prefetch(2).with_options(_fixed_parallelism())


def fits(source: Source, how: Preprocess) -> bool:
    """Whether the decoded pictures are kept in memory."""
    return source.count * how.height * how.width * how.channels <= MEMORY_LIMIT


def load(source: Source, how: Preprocess) -> tuple[np.ndarray, np.ndarray]:
    """All pictures, uint8 (n, height, width, channels), and labels, int64 (n,), in the source's order."""
    stream = (
        _encoded(source, _in_order(source))
        .batch(256)
        .map(lambda *batch: _pixels(source, how, batch), num_parallel_calls=os.cpu_count())
    )
    parts = list(stream.with_options(_fixed_parallelism()).as_numpy_iterator())
    return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])


def labels_of(source: Source) -> np.ndarray:
    """The labels alone, int64 (n,), in the source's order."""
    if not isinstance(source, Records):
        return np.asarray(source.labels, np.int64)
    stream = examples.records(source.files).batch(1024)
    return np.concatenate([examples.parse(batch)[examples.LABEL].numpy() for batch in stream])


def _from_memory(images: np.ndarray, labels: np.ndarray, batch_size: int, shuffled: bool) -> Any:
    with tf.device("/CPU:0"):
        held_images, held_labels, count = tf.constant(images), tf.constant(labels), len(labels)

    def one_pass(key: tf.Tensor) -> tf.data.Dataset:
        order = tf.range(count, dtype=tf.int64)
        if shuffled:
            order = tf.random.experimental.stateless_shuffle(order, key)

        def take(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            index = order[start : start + batch_size]
            return tf.gather(held_images, index), tf.gather(held_labels, index), key

        return tf.data.Dataset.range(0, count, batch_size).map(take)

    return one_pass


def _streamed(source: Source, how: Preprocess, batch_size: int, shuffled: bool) -> Any:
    def one_pass(key: tf.Tensor) -> tf.data.Dataset:
        order = _in_order(source)
        if shuffled:
            order = tf.random.experimental.stateless_shuffle(order, key)
        stream = _encoded(source, order, at_once=_SHARDS_AT_ONCE if shuffled else 1)
        if shuffled and isinstance(source, Records):
            # Dataset.shuffle takes no tensor as its seed where TensorFlow's global seed is 0.
            stream = (
                stream.batch(_SHUFFLED_RECORDS)
                .enumerate()
                .flat_map(
                    lambda number, some: _shuffled(
                        some, tf.random.experimental.stateless_fold_in(key, number)
                    )
                )
            )
        return stream.batch(batch_size).map(
            lambda *batch: (*_pixels(source, how, batch), key), num_parallel_calls=os.cpu_count()
        )

    return one_pass


def _shuffled(records: tf.Tensor, key: tf.Tensor) -> tf.data.Dataset:
    order = tf.random.experimental.stateless_shuffle(tf.range(tf.shape(records)[0]), key)
    return tf.data.Dataset.from_tensor_slices(tf.gather(records, order))


def _in_order(source: Source) -> tf.Tensor:
    return tf.range(len(source.files) if isinstance(source, Records) else source.count, dtype=tf.int64)


def _encoded(source: Source, order: tf.Tensor, at_once: int = 1) -> tf.data.Dataset:
    """Single pictures as they lie there: (serialized example,) or (path or pixels, label)."""
    index = tf.data.Dataset.from_tensor_slices(order)
    if isinstance(source, Records):
        files = tf.constant(source.files)
        return index.interleave(
            lambda one: examples.records([files[one]]), cycle_length=at_once, num_parallel_calls=None
        )
    labels = tf.constant(np.asarray(source.labels, np.int64))
    if isinstance(source, Files):
        paths = tf.constant(source.paths)
        return index.map(lambda one: (paths[one], labels[one]))
    images = tf.constant(source.images if source.images.ndim == 4 else source.images[..., None])
    return index.map(lambda one: (images[one], labels[one]))


def _pixels(source: Source, how: Preprocess, batch: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    spec = tf.TensorSpec(how.input_shape, tf.uint8)
    if isinstance(source, Records):
        parsed = examples.parse(batch[0])
        encoded, labels = parsed[examples.IMAGE], parsed[examples.LABEL]
        return tf.map_fn(lambda one: decode(one, how), encoded, fn_output_signature=spec), labels
    if isinstance(source, Files):
        read = tf.map_fn(lambda path: decode(tf.io.read_file(path), how), batch[0], fn_output_signature=spec)
        return read, batch[1]
    return fitted(batch[0], how), batch[1]


def _fixed_parallelism() -> tf.data.Options:
    """Without tf.data's autotuner: at the end of an iterator its thread sleeps through a whole period."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return options
