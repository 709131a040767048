"""What a search trains on: read once, kept beside the search, and handed to each trial by name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.errors import BadInput

VAL_SHARE = 0.2
PARTS = ("train", "val")
_VAL_NAMES = ("val", "validation")
Pictures = Any  # a folder, "digits", a .npz file, or (images, labels)


@dataclass(frozen=True)
class Data:
    """A training and a val part.

    Attributes:
        title: For people and for names of folders.
        classes: Their index is the label.
        channels: 1 or 3.
        train: A `keras_cnns.training.data.Source`.
        val: Another one, by which trials are compared; None takes a fifth of `train`.
        digits: Whether the pictures are of characters, which a mirror would change.
    """

    title: str
    classes: tuple[str, ...]
    channels: int
    train: Any
    val: Any
    digits: bool = False


def read(given: Pictures, seed: int) -> Data:
    """The pictures that a caller named.

    Args:
        given: `Data`; or "digits"; a folder of class folders, which may bring `train` and `val` parts of its
            own (a `test` part is not looked at); a .npz file with `images` and `labels`; or both as arrays,
            uint8 (n, height, width[, channels]) and whole numbers (n,).
        seed: Of the val part, a fifth of each class, where the pictures bring none.

    Raises:
        BadInput: There are no such pictures, or one of them cannot be read.
    """
    from keras_cnns.training import data, simple

    if isinstance(given, Data):
        return given
    if isinstance(given, tuple):
        whole, classes = _arrays(given, "data")
        return _split("arrays", classes, whole, seed)
    if str(given) == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = (digits.images * 255 / 16).round().astype("uint8")
        whole, classes = simple.source_of((pixels, digits.target), None)
        return _split("digits", classes, whole, seed, digits=True)
    path = Path(given)
    if path.suffix == ".npz" and path.is_file():
        whole, classes = _arrays(_npz(path), str(path))
        return _split(path.stem, classes, whole, seed)
    if not path.is_dir():
        raise BadInput(f"--data {given}: there is no such folder; give digits, a folder or a .npz file")
    own = next((path / name for name in _VAL_NAMES if (path / name).is_dir()), None)
    try:
        if (path / "train").is_dir() and own is not None:
            train, classes = data.folder(path / "train")
            val, others = data.folder(own)
            if others != classes:
                raise BadInput(
                    f"--data {path}: {own.name} has the classes {', '.join(others)}, not {', '.join(classes)}"
                )
            return Data(path.resolve().name, classes, _channels(train), train, val)
        whole, classes = data.folder(path / "train" if (path / "train").is_dir() else path)
    except ValueError as error:
        raise BadInput(f"--data {error}") from None
    return _split(path.resolve().name, classes, whole, seed)


def keep(found: Data, how: Any, folder: Path, seed: int) -> dict[str, Any]:
    """Write both parts into a folder, decoded where they fit into memory.

    Args:
        found: What `read` answered.
        how: The preprocessing, whose size the pictures get.
        folder: Where to write.
        seed: Of the val part where there is none yet.

    Returns:
        For each part what `source` takes, with "count" and a "digest" of what it holds.

    Raises:
        BadInput: A picture cannot be read, or arrays do not fit into memory.
    """
    import numpy as np
    import tensorflow as tf

    from keras_cnns.training import data

    folder.mkdir(parents=True, exist_ok=True)
    if found.val is None:
        found = _with_val(found, how, seed)
    parts: dict[str, Any] = {}
    for part in PARTS:
        held = getattr(found, part)
        if not data.fits(held, how):
            parts[part] = _named(held, how)
            continue
        try:
            images, labels = data.load(held, how)
        except tf.errors.InvalidArgumentError:
            raise BadInput(f"--data {_broken(held)}: the picture cannot be read") from None
        file = folder / f"{part}.npz"
        new = folder / f"new-{part}.npz"
        np.savez(new, images=images, labels=labels)
        new.replace(file)
        digest = hashlib.blake2b(images.tobytes() + labels.tobytes(), digest_size=12).hexdigest()
        parts[part] = {"kind": "arrays", "file": str(file.resolve()), "count": len(labels), "digest": digest}
    return parts


def source(part: Mapping[str, Any]) -> Any:
    """The source that `keep` described."""
    import numpy as np

    from keras_cnns.training import data

    if part["kind"] == "records":
        return data.Records(tuple(part["files"]), part["count"])
    if part["kind"] == "files":
        return data.Files(tuple(part["paths"]), tuple(part["labels"]))
    with np.load(part["file"]) as held:
        return data.Arrays(held["images"], held["labels"])


def _npz(path: Path) -> tuple[Any, Any]:
    import numpy as np

    try:
        held = np.load(path)
        names = getattr(held, "files", ["a single array"])
        if {"images", "labels"} <= set(names):
            with held:
                return held["images"], held["labels"]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"--data {path}: {error}") from None
    raise BadInput(f"--data {path}: it must hold images and labels, not {', '.join(names)}")


def _with_val(found: Data, how: Any, seed: int) -> Data:
    from keras_cnns.training import data

    if not data.fits(found.train, how):
        raise BadInput(
            "the pictures do not fit into memory, and bring no val part; give them one: a folder `val`, "
            "or in the pipeline --val-share 0.1"
        )
    train, val = data.split(data.Arrays(*data.load(found.train, how)), VAL_SHARE, seed)
    return dataclasses.replace(found, train=train, val=val)


def _split(title: str, classes: tuple[str, ...], whole: Any, seed: int, digits: bool = False) -> Data:
    from keras_cnns.training import data

    train, val = data.split(whole, VAL_SHARE, seed)
    if not train.count:
        raise BadInput(f"--data {title}: a class has a single picture, and none is left to train on")
    return Data(title, classes, _channels(whole), train, val, digits)


def _arrays(given: tuple[Any, Any], name: str) -> tuple[Any, tuple[str, ...]]:
    from keras_cnns.training import simple

    try:
        return simple.source_of(given, None)
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from None


def _channels(held: Any) -> int:
    """1 where the pictures are grey, as a first look at some of them says."""
    import tensorflow as tf

    from keras_cnns.training import data

    if isinstance(held, data.Arrays):
        return 1 if held.images.ndim == 3 else held.images.shape[-1]
    step = max(1, held.count // 16)
    for path in held.paths[::step]:
        try:
            picture = tf.io.decode_image(tf.io.read_file(path), expand_animations=False)
        except tf.errors.InvalidArgumentError:
            raise BadInput(f"--data {path}: the picture cannot be read") from None
        if picture.shape[-1] in (3, 4):
            return 3
    return 1


def _broken(held: Any) -> str:
    """The first picture that cannot be read."""
    import tensorflow as tf

    for path in held.paths:
        try:
            tf.io.decode_image(tf.io.read_file(path), expand_animations=False)
        except tf.errors.InvalidArgumentError:
            return path
    return "one of them"


def _named(held: Any, how: Any) -> dict[str, Any]:
    from keras_cnns.training import data

    if isinstance(held, data.Arrays):
        raise BadInput(
            f"--image-size {how.height}: {held.count:,} pictures of {how.height} × {how.width} take more "
            f"than the {data.MEMORY_LIMIT >> 30} GiB that arrays may; give a smaller size, or a folder"
        )
    if isinstance(held, data.Records):
        files = [str(Path(file).resolve()) for file in held.files]
        described: dict[str, Any] = {"kind": "records", "files": files, "count": held.count}
    else:
        files = [str(Path(file).resolve()) for file in held.paths]  # a trial works elsewhere
        described = {"kind": "files", "paths": files, "labels": list(held.labels), "count": held.count}
    sizes = [(Path(file).name, Path(file).stat().st_size) for file in files]
    digest = hashlib.blake2b(json.dumps(sizes).encode(), digest_size=12).hexdigest()
    return {**described, "digest": digest}
