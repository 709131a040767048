"""The one place that knows how an image and its label lie in a `tf.Example`."""

from __future__ import annotations

import functools
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
    """One image as a serialized `tf.Example`, its features in the order of their names.

    What many images share is serialized once, and the rest is put between by hand: making the message anew
    takes longer than decoding a small picture. `tests/test_example_gen.py` holds it to what protobuf writes,
    whose order of names differs between its versions. Two serialized messages one after the other, which
    every reader merges, would need none of this, but 5.0 µs instead of 2.5, and the ratio that
    `benchmarks/examples.py` measures would miss its target.
    """
    before, between, after = _shared(
        record.label, record.label_text, record.width, record.height, record.size, record.format,
        record.colour, record.origin,
    )  # fmt: skip
    source = record.source.encode()
    parts = (
        before, _start(IMAGE, len(record.image)), record.image, between, _start(SOURCE, len(source)), source,
        after,
    )  # fmt: skip
    return b"".join((b"\x0a", _varint(sum(map(len, parts))), *parts))


@functools.lru_cache(maxsize=1024)
def _shared(
    label: int, label_text: str, width: int, height: int, size: str, form: str, colour: str, origin: str
) -> tuple[bytes, bytes, bytes]:
    """The serialized features before the image, between image and source, and after them."""
    named: dict[str, int | str] = {
        LABEL: label, LABEL_TEXT: label_text, WIDTH: width, HEIGHT: height, SIZE: size, FORMAT: form,
        COLOUR: colour, ORIGIN: origin,
    }  # fmt: skip
    parts = [b"", b"", b""]
    for name, value in sorted(named.items()):
        parts[(name > IMAGE) + (name > SOURCE)] += _entry(name, value)
    return parts[0], parts[1], parts[2]


def _entry(name: str, value: int | str) -> bytes:
    """A feature with its name, as protobuf writes an entry of a map."""
    if isinstance(value, str):
        data = value.encode()
        return _start(name, len(data)) + data
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[value])).SerializeToString()
    return _before(b"\x0a" + _varint(len(name)) + name.encode() + b"\x12" + _varint(len(feature)) + feature)


@functools.lru_cache(maxsize=65536)
def _start(name: str, size: int) -> bytes:
    """What stands before the bytes of a feature of one byte string of this size."""
    values = b"\x0a" + _varint(size)
    bytes_list = b"\x0a" + _varint(len(values) + size) + values
    feature = b"\x12" + _varint(len(bytes_list) + size) + bytes_list
    return _before(b"\x0a" + _varint(len(name)) + name.encode() + feature, size)


def _before(entry: bytes, more: int = 0) -> bytes:
    return b"\x0a" + _varint(len(entry) + more) + entry


@functools.lru_cache(maxsize=65536)
def _varint(number: int) -> bytes:
    """A length as protobuf writes it, in groups of seven bits."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


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
