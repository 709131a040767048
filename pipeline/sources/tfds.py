"""Any image-classification data set of TensorFlow Datasets that lies on disk; nothing is downloaded."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_cnns._checks import nearest
from pipeline.config import Config
from pipeline.sources.dataset import Dataset, Image, better_than_guessing
from pipeline.sources.splits import HELD_OUT, VAL, taken_for_val
from tuning.errors import BadInput

# What a data set needs to be treated as its papers do; others get the general rules.
_KNOWN: dict[str, dict[str, Any]] = {
    "mnist": {"fit": "pad", "min_accuracy": 0.98},
    "fashion_mnist": {"fit": "pad"},
}


def inspect(config: Config) -> Dataset:
    """What TFDS's own files say of a prepared data set.

    Raises:
        BadInput: It is not there, is not for image classification, or has no such splits.
    """
    folder = _folder(config)
    try:
        info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
        features = json.loads((folder / "features.json").read_text(encoding="utf-8"))
        counts = {one["name"]: sum(map(int, one["shardLengths"])) for one in info["splits"]}
        parts = features["featuresDict"]["features"]
        image, label = _keys(info, parts)
        classes = _classes(folder, label, parts[label])
        channels = 1 if parts[image]["image"]["shape"]["dimensions"][-1] == "1" else 3
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"--data {config.data}: {folder} is not a TFDS image-classification data set ({error!r})"
        ) from None
    if info.get("fileFormat", "tfrecord") != "tfrecord":
        raise BadInput(f"--data {config.data}: it is stored as {info['fileFormat']}; wanted is tfrecord")
    splits = _splits(config, counts)
    name = config.data.split("/")[0].split(":")[0]
    known = _KNOWN.get(name, {})
    state = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.iterdir()):
        state.update(f"{path.name}\0{path.stat().st_size}\0{path.stat().st_mtime_ns}\n".encode())
    share = 1 / len(classes)
    return Dataset(
        kind="tfds", title=name, classes=classes, channels=channels, splits=splits, largest_share=share,
        images=sum(_images_in(config, folder, split, counts) for split in splits),
        fingerprint=state.hexdigest(), fit=str(known.get("fit", "resize")),
        min_accuracy=float(known.get("min_accuracy", better_than_guessing(share))),
        unused=_unused(splits, counts),
    )  # fmt: skip


def read(
    config: Config, dataset: Dataset, start: int = 0, stop: int | None = None
) -> Iterator[tuple[str, Image]]:
    """Each image as it is encoded there, in the order of the splits and their shards, in [start, stop)."""
    import tensorflow_datasets as tfds

    folder = _folder(config)
    builder = tfds.builder_from_directory(folder)
    info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    features = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    image, label = _keys(info, features["featuresDict"]["features"])
    counts = {name: one.num_examples for name, one in builder.info.splits.items()}
    first = 0  # image of a split, in the whole stream
    for name, part in zip(dataset.splits, dataset.roles, strict=True):
        count = _images_in(config, folder, name, counts)
        low = max(start - first, 0)
        high = count if stop is None else min(stop - first, count)
        first += count
        if low >= high:
            continue
        held = _held(config, folder, label, name, dataset.fingerprint) if part == "train" else frozenset()
        decoders = tfds.decode.PartialDecoding(
            {image: True, label: True}, decoders={image: tfds.decode.SkipDecoding()}
        )
        stream = _stream(builder, name, decoders).skip(low).take(high - low)
        for index, one in enumerate(stream.as_numpy_iterator(), low):
            side = "val" if index in held else part
            yield side, Image(f"{name}/{index:07d}", int(one[label]), one[image])


def _stream(builder: Any, split: str, decoders: Any) -> Any:
    """The examples of a split in the order of its shards."""
    import tensorflow_datasets as tfds

    return builder.as_dataset(
        split=split, decoders=decoders, read_config=tfds.ReadConfig(interleave_cycle_length=1),
        shuffle_files=False,
    )  # fmt: skip


@functools.lru_cache(maxsize=1)
def _held(config: Config, folder: Path, label: str, split: str, fingerprint: str) -> frozenset[int]:
    """Training images that `val_share` keeps apart; their labels lie among the images, and are read first."""
    import tensorflow_datasets as tfds

    if not config.val_share:
        return frozenset()
    stream = _stream(tfds.builder_from_directory(folder), split, tfds.decode.PartialDecoding({label: True}))
    labels = [int(one[label]) for one in stream.as_numpy_iterator()]
    names = [f"{split}/{index:07d}" for index in range(len(labels))]
    return frozenset(taken_for_val(names, labels, config))


def _folder(config: Config) -> Path:
    """The newest version folder of a TFDS data set on disk."""
    root = Path(config.data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()
    name, _, version = config.data.partition(":")
    held = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if config.data_dir and not root.is_dir():
        raise BadInput(f"--data-dir {root}: there is no such folder")
    if name.split("/")[0] not in held:
        close = nearest(name, ["digits", *held])
        hint = f" Did you mean {close}?" if close else ""
        raise BadInput(
            f"--data {config.data} is not known.{hint} Known: digits, a folder of class folders, and the "
            f"TFDS data sets in {root} ({', '.join(held) or 'none'}; --data-dir names another folder). "
            f"Nothing is downloaded here: `tfds build {name} --data_dir {root}` prepares one."
        )
    if not (root / name).is_dir():
        raise BadInput(
            f"--data {config.data}: {root / name} is not there; {_configs(root / name.split('/')[0])}"
        )
    versions = [path for path in (root / name).iterdir() if (path / "dataset_info.json").is_file()]
    if version:
        versions = [path for path in versions if path.name == version]
    if not versions:
        raise BadInput(
            f"--data {config.data}: {root / name} holds no prepared version of it; {_configs(root / name)}"
        )
    return max(
        versions, key=lambda path: [int(part) if part.isdigit() else -1 for part in path.name.split(".")]
    )


def _configs(folder: Path) -> str:
    """What lies in a data set's folder: its versions, or its forms, such as `imagenette/320px`."""
    held = sorted(path.name for path in folder.iterdir() if path.is_dir())
    return f"{folder} holds {', '.join(held) or 'nothing'}"


def _keys(info: dict[str, Any], parts: dict[str, Any]) -> tuple[str, str]:
    """Names of the image and the label: as the builder has it, or the only two that there are."""
    if "supervisedKeys" in info:
        image, label = (one["featureKey"] for one in info["supervisedKeys"]["tuple"]["items"])
    else:
        [image] = [name for name, part in parts.items() if "image" in part]
        [label] = [name for name, part in parts.items() if "classLabel" in part]
    if "image" not in parts[image] or "classLabel" not in parts[label]:
        raise ValueError(f"{image} and {label} are no image and its class")
    return image, label


def _classes(folder: Path, label: str, feature: dict) -> tuple[str, ...]:
    names = folder / f"{label}.labels.txt"
    if names.is_file():
        return tuple(names.read_text(encoding="utf-8").splitlines())
    return tuple(str(index) for index in range(int(feature["classLabel"]["numClasses"])))


def _splits(config: Config, counts: dict[str, int]) -> tuple[str, ...]:
    """The expressions of the parts, such as `train[:80%]`: of train and test, or of train, val and test."""
    train = config.train_split or ("train" if "train" in counts else None)
    test = config.test_split or next((name for name in HELD_OUT if name in counts), None)
    if train is None or test is None:
        raise BadInput(
            f"--data {config.data}: wanted are the splits train and test, found {', '.join(counts)}; parts "
            'of one can be named: --train-split "train[:80%]" --test-split "train[80%:]"'
        )
    val = config.val_split
    if val is None:  # one that nobody has named otherwise
        free = [name for name in VAL if counts.get(name) and name not in f"{train} {test}"]
        val = next(iter(free), None)
    return (train, test) if val is None else (train, val, test)


def _images_in(config: Config, folder: Path, split: str, counts: dict[str, int]) -> int:
    """How many images an expression stands for."""
    if split in counts:
        return counts[split]
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(folder).info.splits[split].num_examples
    except Exception as error:  # ValueError, KeyError, AssertionError, …
        options = {"--train-split": config.train_split, "--val-split": config.val_split}
        option = next((one for one, given in options.items() if split == given), "--test-split")
        known = ", ".join(counts)
        close = nearest(split.partition("[")[0], list(counts))
        hint = f"; did you mean {close}?" if close and close not in split else ""
        why = str(error).splitlines()[-1] if str(error) else type(error).__name__
        raise BadInput(
            f"{option} {split}: {config.data} has the splits {known}, of which parts are written like "
            f"train[:80%]{hint} ({why})"
        ) from None


def _unused(splits: tuple[str, ...], counts: dict[str, int]) -> str:
    held = [name for name in HELD_OUT if name in counts and not any(name in split for split in splits)]
    return ", ".join(f"{name} ({counts[name]:,} images)" for name in held if counts[name])
