"""The one place that knows how an image and its label lie in a `tf.Example`."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

IMAGE = "image"  # encoded bytes, as they were found
LABEL = "label"  # index into the class names
LABEL_TEXT = "label_text"
SOURCE = "source"  # where the image came from, relative to the data set


def to_example(image: bytes, label: int, label_text: str, source: str) -> bytes:
    """One image as a serialized `tf.Example`."""
    feature = {
        IMAGE: tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        LABEL_TEXT: tf.train.Feature(bytes_list=tf.train.BytesList(value=[label_text.encode()])),
        SOURCE: tf.train.Feature(bytes_list=tf.train.BytesList(value=[source.encode()])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """A batch of serialized examples, shape (n,), as {image: (n,) bytes, label: (n,)}."""
    return tf.io.parse_example(
        serialized,
        {
            IMAGE: tf.io.FixedLenFeature([], tf.string),
            LABEL: tf.io.FixedLenFeature([], tf.int64),
        },
    )


def images_of(serialized: tf.Tensor) -> tf.Tensor:
    """The encoded images of serialized examples, shape (n,); a served example needs nothing else."""
    return tf.io.parse_example(serialized, {IMAGE: tf.io.FixedLenFeature([], tf.string)})[IMAGE]


def records(files: Sequence[str] | Sequence[tf.Tensor]) -> tf.data.Dataset:
    """The serialized examples in gzip TFRecord files, in the order of the files."""
    return tf.data.TFRecordDataset(list(files), compression_type="GZIP", buffer_size=8 << 20)
