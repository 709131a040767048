"""A folder of TFRecord files that hold `tf.Example`s, with encoded images and labels in them.

Whether a file belongs to the train, val or test part is read from its path, such as
`train-00000-of-00004.tfrecord`, `val/part-1.tfrecord.gz`, `Split-test/data_tfrecord-00000-of-00001.gz`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.images import is_grey, opened
from pipeline.sources.dataset import Dataset, Image, better_than_guessing
from pipeline.sources.splits import in_own_parts, own_parts, split
from tuning import lean
from tuning.errors import BadInput

# Names of features that are understood, the first found of each.
IMAGES = ("image", "image/encoded", "image_raw", "encoded")
LABELS = ("label", "image/class/label", "image/label", "class")
TEXTS = ("label_text", "image/class/text", "class_text")  # names of the classes, where labels are numbers
LABEL_NAMES = "labels.txt"  # a class a line, beside the files; goes before TEXTS

_FILE = re.compile(r"[._-]?tfrecords?([._-].*)?$", re.IGNORECASE)
_PART = re.compile(r"(?:^|[^a-z])(train|test|val|validation)(?=[^a-z]|$)", re.IGNORECASE)
_AT_ONCE = 32  # records; one by one takes ten times as long
_LOOKED_AT = 50  # images whose header tells whether all are grey


@dataclass(frozen=True)
class _Found:
    """What lies in the files.

    Attributes:
        files: Sorted, relative to the folder.
        keys: Names of image, label, and the label's text ("" where there is none).
        classes: Class names.
        labels: For each file the index of each record's class.
    """

    files: list[str]
    keys: tuple[str, str, str]
    classes: tuple[str, ...]
    labels: list[list[int]]


def is_here(root: Path) -> bool:
    """Whether a folder holds TFRecord files, in itself or in folders of its parts."""
    return root.is_dir() and any(True for _ in _files(root))


def inspect(config: Config) -> Dataset:
    """Read the labels of all records.

    Raises:
        BadInput: A file is broken, or its features are not understood.
    """
    root = Path(config.data)
    lean.tensorflow()
    found = _scan(root)
    used, unused = _own_parts(root, found.files)
    counts = [0] * len(found.classes)
    taken = 0
    for file, labels in zip(found.files, found.labels, strict=True):
        if used and _part_of(file) not in used:
            continue
        taken += len(labels)
        for label in labels:
            counts[label] += 1
    if not taken:
        raise BadInput(f"--data {root}: its TFRecord files hold no examples")
    share = max(counts) / taken
    return Dataset(
        kind="tfrecords", title=root.resolve().name, classes=found.classes, images=taken,
        channels=_channels(root, found), fingerprint=_fingerprint(root, found.files), splits=used,
        largest_share=share, min_accuracy=better_than_guessing(share), unused=_unused(found, unused),
    )  # fmt: skip


def read(
    config: Config, dataset: Dataset, start: int = 0, stop: int | None = None
) -> Iterator[tuple[str, Image]]:
    """Each image with its part, in the order of the files, from the `start`-th up to the `stop`-th."""
    root = Path(config.data)
    found = _scan_once(root, dataset.fingerprint)
    places = [
        f"{file}#{at:07d}"
        for file, of_file in zip(found.files, found.labels, strict=True)
        for at in range(len(of_file))
    ]
    labels = [label for of_file in found.labels for label in of_file]
    if dataset.splits:
        role_of = dict(zip(dataset.splits, dataset.roles, strict=True))
        roles = [role_of.get(_part_of(place), "") for place in places]
        parts = {i: part for i, part in enumerate(in_own_parts(places, labels, roles, config)) if part}
    else:
        parts = {index: part for part, index in split(places, labels, config)}
    wanted = set(sorted(parts)[start:stop])
    first = 0  # record of a file
    for file, of_file in zip(found.files, found.labels, strict=True):
        asked = [index for index in range(first, first + len(of_file)) if index in wanted]
        if asked:
            some = itertools.islice(_examples(root, file, asked[0] - first), asked[-1] - asked[0] + 1)
            for index, example in enumerate(some, asked[0]):
                if index in wanted:
                    data = example.features.feature[found.keys[0]].bytes_list.value
                    yield parts[index], Image(places[index], labels[index], data[0] if data else b"")
        first += len(of_file)


def _files(root: Path) -> Iterator[str]:
    inside = [one.name + "/" for one in list(os.scandir(root)) if one.is_dir()]
    for folder in ("", *inside):
        for one in list(os.scandir(root / folder)):
            if _FILE.search(one.name) and not one.name.startswith(".") and one.is_file():
                yield folder + one.name


def _part_of(file: str) -> str:
    """train, test, val or validation; "" where the path says nothing."""
    found = _PART.findall(file)
    return found[-1].lower() if found else ""


def _own_parts(root: Path, files: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parts = {_part_of(file): file for file in reversed(files)}
    used, unused = own_parts(list(parts))
    if used and "" in parts:
        raise BadInput(
            f"--data {root}: some files are of the parts train and {used[-1]}, and {parts['']} is of "
            "none; the path of each must say its part"
        )
    return used, unused


def _unused(found: _Found, parts: Sequence[str]) -> str:
    counts = dict.fromkeys(parts, 0)
    for file, labels in zip(found.files, found.labels, strict=True):
        if _part_of(file) in counts:
            counts[_part_of(file)] += len(labels)
    return ", ".join(f"{part} ({count:,} images)" for part, count in counts.items() if count)


@functools.lru_cache(maxsize=1)
def _scan_once(root: Path, fingerprint: str) -> _Found:
    """`_scan`, which reads everything, once for all ranges that a process reads of the same files."""
    return _scan(root)


def _scan(root: Path) -> _Found:
    files = sorted(_files(root))
    keys = _keys_in(root, files)
    raw: list[list[int | str]] = []
    names: dict[int | str, str] = {}
    for file in files:
        raw.append([])
        for at, example in enumerate(_examples(root, file)):
            label = _value(example, keys[1])
            if label is None:
                raise BadInput(f"--data {root}: record {at} of {file} has no {keys[1]}")
            raw[-1].append(label)
            if label not in names:
                given = _value(example, keys[2]) if keys[2] else None
                names[label] = str(label if given is None else given)
    listed = root / LABEL_NAMES
    if listed.is_file() and all(isinstance(label, int) for label in names):
        classes = listed.read_text(encoding="utf-8").splitlines()
        wrong = [label for label in names if not 0 <= int(label) < len(classes)]
        if wrong:
            raise BadInput(
                f"--data {root}: label {wrong[0]} is out of range; {LABEL_NAMES} names {len(classes)} classes"
            )
        index_of = {label: int(label) for label in names}
    else:
        held = sorted(names, key=lambda label: (isinstance(label, str), label))
        classes = [names[label] for label in held]
        index_of = {label: index for index, label in enumerate(held)}
    if len(set(classes)) < len(classes):
        raise BadInput(f"--data {root}: two labels have the same name in {keys[2] or LABEL_NAMES}")
    return _Found(files, keys, tuple(classes), [[index_of[one] for one in of_file] for of_file in raw])


def _keys_in(root: Path, files: Sequence[str]) -> tuple[str, str, str]:
    """Names of the features, by the first record that there is."""
    for file in files:
        for example in _examples(root, file):
            held = sorted(example.features.feature)
            image, label, told = (
                next((name for name in names if name in held), "") for names in (IMAGES, LABELS, TEXTS)
            )
            if not image or not (label or told):
                raise BadInput(
                    f"--data {root}: {file} has the features {', '.join(held) or 'none'}; wanted are an "
                    f"image ({', '.join(IMAGES)}) and a label ({', '.join(LABELS)})"
                )
            return image, label or told, told if label else ""
    raise BadInput(f"--data {root}: its TFRecord files hold no examples")


def _examples(root: Path, file: str, skip: int = 0) -> Iterator[Any]:
    """The `tf.Example`s of a file, compressed or not, without the first `skip` ones.

    Raises:
        BadInput: It is broken, or holds something else.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        with (root / file).open("rb") as start:
            packed = start.read(2) == b"\x1f\x8b"
        stream = tf.data.TFRecordDataset(
            str(root / file), compression_type="GZIP" if packed else "", buffer_size=1 << 20
        )
        for some in stream.skip(skip).batch(_AT_ONCE).as_numpy_iterator():
            yield from map(tf.train.Example.FromString, some)
    except (tf.errors.OpError, OSError, DecodeError) as error:
        why = "no tf.Example in it" if isinstance(error, DecodeError) else "broken, or no TFRecord file"
        raise BadInput(f"--data {root}: {file} cannot be read: {why}") from None


def _value(example: Any, key: str) -> int | str | None:
    feature = example.features.feature[key]
    if feature.int64_list.value:
        return int(feature.int64_list.value[0])
    if feature.bytes_list.value:
        return feature.bytes_list.value[0].decode("utf-8", "backslashreplace")
    return None


def _channels(root: Path, found: _Found) -> int:
    looked_at = 0
    for file in found.files:
        for example in _examples(root, file):
            data = example.features.feature[found.keys[0]].bytes_list.value
            try:
                with opened(data[0]) as picture:
                    if not is_grey(picture):
                        return 3
            except Exception:  # found later, by name
                continue
            looked_at += 1
            if looked_at == _LOOKED_AT:
                return 1
    return 1


def _fingerprint(root: Path, files: Sequence[str]) -> str:
    state = hashlib.blake2b(digest_size=16)
    for file in [*files, LABEL_NAMES]:
        path = root / file
        if path.is_file():
            seen = path.stat()
            state.update(f"{file}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return state.hexdigest()
