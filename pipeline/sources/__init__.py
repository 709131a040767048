"""Where images come from: scikit-learn's digits, TFDS data sets on disk, folders of class folders, TFRecords.

`inspect` looks at a data set without reading its images, quickly and without heavy imports (except for
TFRecords, whose labels lie among the images), and says what a pipeline must know before it is built. `read`
brings the images themselves. Each kind is a module here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import Config
from pipeline.images import SUFFIXES
from pipeline.sources import digits, folder, tfds, tfrecords
from pipeline.sources.dataset import Dataset, Image
from tuning.errors import BadInput

__all__ = ["SUFFIXES", "Dataset", "Image", "inspect", "parts", "read"]


def inspect(config: Config) -> Dataset:
    """Find a data set and check what can be checked without reading its images.

    Raises:
        BadInput: It is unknown, empty, or holds a single class.
    """
    if config.data == "digits":
        found = digits.inspect()
    elif config.data_dir is None and _is_folder(config.data):
        found = tfrecords.inspect(config) if tfrecords.is_here(Path(config.data)) else folder.inspect(config)
    else:
        found = tfds.inspect(config)
    given = {
        "--train-split": config.train_split, "--val-split": config.val_split,
        "--test-split": config.test_split,
    }  # fmt: skip
    for option, value in given.items():
        if value is not None and found.kind != "tfds":
            raise BadInput(f"{option} {value}: only TFDS data sets take it; {config.data} is none")
    if config.val_share and len(found.splits) == 3:
        raise BadInput(
            f"--val-share {config.val_share}: {config.data} has a val part of its own, {found.splits[1]}"
        )
    if len(found.classes) < 2:
        raise BadInput(
            f"--data {config.data}: only one class ({found.classes[0]}); a classifier needs at least two"
        )
    odd = next((name for name in found.classes if any(ord(one) < 32 for one in name)), None)
    if odd is not None:
        raise BadInput(f"--data {config.data}: the class name {odd!r} does not fit on a line of labels.txt")
    return found


def parts(config: Config, dataset: Dataset) -> tuple[str, ...]:
    """The parts that are written: train and test, and val between them where there is one."""
    has_val = bool(config.val_share) or len(dataset.splits) == 3
    return ("train", "val", "test") if has_val else ("train", "test")


def read(
    config: Config, dataset: Dataset, start: int = 0, stop: int | None = None
) -> Iterator[tuple[str, Image]]:
    """Each image with its part ("train", "val" or "test"), in an order that only data and seed decide.

    Args:
        config: What is read and how it is split.
        dataset: What `inspect` says of it.
        start: Images of that order to leave out.
        stop: The image of that order to end before; None for the last.
    """
    match dataset.kind:
        case "digits":
            return digits.read(config, start, stop)
        case "folder":
            return folder.read(config, dataset, start, stop)
        case "tfrecords":
            return tfrecords.read(config, dataset, start, stop)
    return tfds.read(config, dataset, start, stop)


def _is_folder(data: str) -> bool:
    return os.sep in data or Path(data).is_dir()
