"""The one place that knows how an image and its label lie in a `tf.Example`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

IMAGE = "image"  # encoded bytes, as they were found
LABEL = "label"  # index into the class names
LABEL_TEXT = "label_text"
SOURCE = "source"  # where the image came from, relative to the data set
# What is looked at by statistics and slices, and not by the network:
WIDTH, HEIGHT = "width", "height"  # in pixels
SIZE = "size"  # of the longer side, in powers of two
FORMAT = "format"  # "PNG", "JPEG", …
COLOUR = "colour"  # "grey" or "colour"
ORIGIN = "origin"  # the folder inside of the class folder, such as a camera's; "" where there is none


@dataclass(frozen=True)
class Record:
    """One image with everything that is written down of it."""

    image: bytes
    label: int
    label_text: str
    source: str
    width: int
    height: int
    format: str
    colour: str
    origin: str = ""

    @property
    def size(self) -> str:
        """Such as "up to 32 px": the smallest power of two that the longer side fits into."""
        return f"up to {1 << (max(self.width, self.height, 1) - 1).bit_length()} px"


def to_example(record: Record) -> bytes:
    """One image as a serialized `tf.Example`."""
    named: dict[str, int | str | bytes] = {
        IMAGE: record.image, LABEL: record.label, LABEL_TEXT: record.label_text, SOURCE: record.source,
        WIDTH: record.width, HEIGHT: record.height, SIZE: record.size,
        FORMAT: record.format, COLOUR: record.colour, ORIGIN: record.origin,
    }  # fmt: skip
    feature = {name: _feature(value) for name, value in named.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


def _feature(value: int | str | bytes) -> tf.train.Feature:
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    data = value.encode() if isinstance(value, str) else value
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))


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
