"""What is known of a data set, and one image of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set before its images are read.

    Attributes:
        kind: "digits", "tfds", "folder" or "tfrecords".
        title: Its name for a person and for folders, such as "digits".
        classes: Class names; their index is the label.
        images: Number of images.
        channels: 1 for grey images, else 3.
        fingerprint: Changes when the data does, so that nothing stale comes from the cache.
        splits: Names of the data set's own parts, (train, test) or (train, val, test), or empty where we
            split it.
        largest_share: Share of the most frequent class, what constant guessing would reach; for TFDS, whose
            labels lie in the examples, the share that equal classes would have.
        min_accuracy: Accuracy that blesses a model unless the configuration says otherwise.
        fit: "resize" or "pad" unless the configuration says otherwise.
        unused: Parts and class folders that bring nothing, for a person: "val (9 images), c (no images)".
    """

    kind: str
    title: str
    classes: tuple[str, ...]
    images: int
    channels: int
    fingerprint: str
    splits: tuple[str, ...]
    largest_share: float
    min_accuracy: float
    fit: str = "resize"
    unused: str = ""

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Dataset:
        """The same again, when JSON has made lists of its tuples."""
        return cls(**{**found, "classes": tuple(found["classes"]), "splits": tuple(found["splits"])})

    @property
    def roles(self) -> tuple[str, ...]:
        """What each of `splits` is for: "train", "val" or "test"."""
        return {3: ("train", "val", "test"), 2: ("train", "test")}.get(len(self.splits), ())


@dataclass(frozen=True)
class Image:
    """One encoded image: its bytes, its label and where it came from, relative to the data set.

    `origin` is the folder inside of the class folder, such as a camera's; "" where there is none.
    """

    source: str
    label: int
    data: bytes
    origin: str = ""


def better_than_guessing(largest_share: float) -> float:
    """An accuracy that no constant answer reaches."""
    return round(min(largest_share + 0.01, 0.99), 4)
