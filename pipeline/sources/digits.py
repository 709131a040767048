"""scikit-learn's digits, which come with it."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from importlib import metadata

from pipeline.config import Config
from pipeline.sources.dataset import Dataset, Image
from pipeline.sources.splits import split


def inspect() -> Dataset:
    """The digits, without reading them."""
    version = metadata.version("scikit-learn")
    return Dataset(
        kind="digits", title="digits", classes=tuple("0123456789"), images=1797, channels=1,
        fingerprint=f"scikit-learn {version} digits", splits=(), largest_share=183 / 1797, min_accuracy=0.95,
    )  # fmt: skip


def read(config: Config, start: int = 0, stop: int | None = None) -> Iterator[tuple[str, Image]]:
    """Each digit with its part of the split, from the `start`-th up to the `stop`-th."""
    images = list(_images())
    names, labels = [image.source for image in images], [image.label for image in images]
    for part, index in itertools.islice(split(names, labels, config), start, stop):
        yield part, images[index]


def _images() -> Iterator[Image]:
    """The 8x8 digits as PNG files; their 17 grey levels, 0 to 16, become 0 to 255."""
    from PIL import Image as Picture
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        buffer = io.BytesIO()
        Picture.fromarray((pixels * 255 / 16).round().astype("uint8")).save(buffer, "PNG")
        yield Image(f"{index:04d}-{label}.png", int(label), buffer.getvalue())
