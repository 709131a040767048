"""Where images come from: scikit-learn's digits, a TFDS data set on disk, or a folder of class folders.

`inspect` looks at a data set without reading its images, quickly and without heavy imports, and says what a
pipeline must know before it is built. `read` brings the images themselves.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from keras_cnns._checks import nearest
from pipeline.config import Config
from pipeline.errors import BadInput
from pipeline.images import SUFFIXES, is_grey, opened


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set before its images are read.

    Attributes:
        kind: "digits", "tfds" or "folder".
        title: Its name for a person and for folders, such as "digits".
        classes: Class names; their index is the label.
        images: Number of images.
        channels: 1 for grey images, else 3.
        fingerprint: Changes when the data does, so that nothing stale comes from the cache.
        splits: Names of the data set's own parts, or empty where we split it.
        largest_share: Share of the most frequent class, what constant guessing would reach; for TFDS, whose
            labels lie in the examples, the share that equal classes would have.
        min_accuracy: Accuracy that blesses a model unless the configuration says otherwise.
        fit: "resize" or "pad" unless the configuration says otherwise.
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


@dataclass(frozen=True)
class Image:
    """One encoded image: its bytes, its label and where it came from, relative to the data set.

    `origin` is the folder inside of the class folder, such as a camera's; "" where there is none.
    """

    source: str
    label: int
    data: bytes
    origin: str = ""


def inspect(config: Config) -> Dataset:
    """Find a data set and check what can be checked without reading its images.

    Raises:
        BadInput: It is unknown, empty, or holds a single class.
    """
    if config.data == "digits":
        found = _digits()
    elif config.data_dir is None and _is_folder(config.data):
        found = _folder(Path(config.data))
    else:
        found = _tfds(config)
    if len(found.classes) < 2:
        raise BadInput(
            f"--data {config.data}: only one class ({found.classes[0]}); a classifier needs at least two"
        )
    return found


def read(config: Config, dataset: Dataset) -> Iterator[tuple[str, Image]]:
    """Each image with its split ("train" or "test"), in an order that only the data and the seed decide."""
    if dataset.kind == "tfds":
        yield from _read_tfds(config)
        return
    if dataset.kind == "digits":
        images = {image.source: image for image in _read_digits()}
        items = [(image.source, image.label) for image in images.values()]
        for split, source in _splits(items, config):
            yield split, images[source]
        return
    root = Path(config.data)
    label_of = {name: index for index, name in enumerate(dataset.classes)}
    files = _image_files(root, dataset.splits)
    items = [(path, label_of[_class_of(path, dataset.splits)]) for path, _ in files]
    labels = dict(items)
    chosen = _own_splits(items, config.seed) if dataset.splits else _splits(items, config)
    for split, source in chosen:
        origin = _origin_of(source, dataset.splits)
        yield split, Image(_printable(source), labels[source], _bytes_of(root / source), _printable(origin))


def _bytes_of(file: Path) -> bytes:
    """What is in a file; nothing where it cannot be opened, so that it is named with the unreadable."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _printable(path: str) -> str:
    """A path whose name is no text, as Linux allows, in a form that can be written down."""
    return path.encode(errors="surrogateescape").decode(errors="replace")


def _is_folder(data: str) -> bool:
    return os.sep in data or Path(data).is_dir()


# --- scikit-learn's digits -------------------------------------------------------------------------------


def _digits() -> Dataset:
    version = metadata.version("scikit-learn")
    return Dataset(
        kind="digits", title="digits", classes=tuple("0123456789"), images=1797, channels=1,
        fingerprint=f"scikit-learn {version} digits", splits=(), largest_share=183 / 1797, min_accuracy=0.95,
    )  # fmt: skip


def _read_digits() -> Iterator[Image]:
    """The 8x8 digits as PNG files; their 17 grey levels, 0 to 16, become 0 to 255."""
    from PIL import Image as Picture
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        buffer = io.BytesIO()
        Picture.fromarray((pixels * 255 / 16).round().astype("uint8")).save(buffer, "PNG")
        yield Image(f"{index:04d}-{label}.png", int(label), buffer.getvalue())


# --- a folder of class folders ---------------------------------------------------------------------------


def _folder(root: Path) -> Dataset:
    if not root.is_dir():
        raise BadInput(f"--data {root}: there is no such folder{_similar_folder(root)}")
    splits = _split_folders(root)
    files = _image_files(root, splits)
    if not files:
        raise BadInput(
            f"--data {root}: no images found; wanted are class folders with {', '.join(SUFFIXES)} files"
        )
    names = sorted({_class_of(path, splits) for path, _ in files})
    if splits:
        _check_own_splits(root, splits, [path for path, _ in files])
    counts = dict.fromkeys(names, 0)
    for path, _ in files:
        counts[_class_of(path, splits)] += 1
    state = hashlib.blake2b(digest_size=16)
    for path, stat in files:
        state.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="surrogateescape"))
    share = max(counts.values()) / len(files)
    return Dataset(
        kind="folder", title=root.resolve().name, classes=tuple(names), images=len(files),
        channels=_channels([root / path for path, _ in files]), fingerprint=state.hexdigest(), splits=splits,
        largest_share=share, min_accuracy=_better_than_guessing(share),
    )  # fmt: skip


def _image_files(root: Path, splits: Sequence[str]) -> list[tuple[str, os.stat_result]]:
    """Relative paths of all images below class folders, sorted, with their file status."""
    tops = [root / split for split in splits] or [root]
    found = []
    for top in tops:
        for folder, _, names in os.walk(top, followlinks=True):
            if folder == str(top):
                continue  # what lies beside the class folders has no class
            inside = Path(folder).relative_to(root).as_posix()
            found += [
                (f"{inside}/{name}", Path(folder, name).lstat())
                for name in names
                if name.lower().endswith(SUFFIXES) and not name.startswith(".")
            ]
    return sorted(found, key=lambda one: one[0])


def _split_folders(root: Path) -> tuple[str, ...]:
    """The data set's own parts: a train folder, and a test folder (or val, where there is no test)."""
    names = {path.name for path in root.iterdir() if path.is_dir()}
    held_out = next((name for name in ("test", "val", "validation") if name in names), None)
    return ("train", held_out) if "train" in names and held_out else ()


def _class_of(path: str, splits: Sequence[str]) -> str:
    return path.split("/")[1 if splits else 0]


def _origin_of(path: str, splits: Sequence[str]) -> str:
    return "/".join(path.split("/")[2 if splits else 1 : -1])


def _check_own_splits(root: Path, splits: Sequence[str], paths: Sequence[str]) -> None:
    classes: dict[str, set[str]] = {split: set() for split in splits}
    for path in paths:
        split, name, *_ = path.split("/")
        classes[split].add(name)
    for split in splits:
        if not classes[split]:
            raise BadInput(f"--data {root}: {split} holds no class folders with images")
    extra = classes[splits[1]] - classes[splits[0]]
    if extra:
        raise BadInput(
            f"--data {root}: {splits[1]} holds classes that train lacks: {', '.join(sorted(extra))}"
        )


def _own_splits(items: Sequence[tuple[str, int]], seed: int) -> Iterator[tuple[str, str]]:
    for source, _ in _shuffled(items, seed):
        yield ("train" if source.startswith("train/") else "test"), source


def _channels(paths: Sequence[Path], looked_at: int = 200) -> int:
    """1 when all of a sample of images are grey, else 3; an unreadable one is found later, by name."""
    for path in paths[:: max(1, len(paths) // looked_at)]:
        try:
            with opened(path) as picture:
                if not is_grey(picture):
                    return 3
        except Exception:
            continue
    return 1


def _better_than_guessing(largest_share: float) -> float:
    return round(min(largest_share + 0.01, 0.99), 4)


def _similar_folder(root: Path) -> str:
    try:
        close = nearest(root.name, [path.name for path in root.parent.iterdir() if path.is_dir()])
    except OSError:
        return ""
    return f"; did you mean {root.parent / close}?" if close else ""


# --- TFDS ------------------------------------------------------------------------------------------------

# What a data set needs to be treated as its papers do; others get the general rules.
_KNOWN: dict[str, dict[str, Any]] = {
    "mnist": {"fit": "pad", "min_accuracy": 0.98},
    "fashion_mnist": {"fit": "pad"},
}


def _tfds(config: Config) -> Dataset:
    folder = _tfds_folder(config)
    try:
        info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
        features = json.loads((folder / "features.json").read_text(encoding="utf-8"))
        counts = {one["name"]: sum(map(int, one["shardLengths"])) for one in info["splits"]}
        parts = features["featuresDict"]["features"]
        image, label = (one["featureKey"] for one in info["supervisedKeys"]["tuple"]["items"])
        classes = _tfds_classes(folder, label, parts[label])
        channels = 1 if parts[image]["image"]["shape"]["dimensions"][-1] == "1" else 3
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"--data {config.data}: {folder} is not a TFDS image-classification data set ({error!r})"
        ) from None
    splits = _tfds_splits(config, counts)
    name = config.data.split("/")[0].split(":")[0]
    known = _KNOWN.get(name, {})
    state = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.iterdir()):
        state.update(f"{path.name}\0{path.stat().st_size}\0{path.stat().st_mtime_ns}\n".encode())
    share = 1 / len(classes)
    return Dataset(
        kind="tfds", title=name, classes=classes, images=sum(counts[split] for split in splits),
        channels=channels, fingerprint=state.hexdigest(), splits=splits, largest_share=share,
        min_accuracy=float(known.get("min_accuracy", _better_than_guessing(share))),
        fit=str(known.get("fit", "resize")),
    )  # fmt: skip


def _tfds_folder(config: Config) -> Path:
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
            f"TFDS data sets in {root} ({', '.join(held) or 'none'}; --data-dir names another folder)."
        )
    versions = [path for path in (root / name).iterdir() if (path / "dataset_info.json").is_file()]
    if version:
        versions = [path for path in versions if path.name == version]
    if not versions:
        raise BadInput(f"--data {config.data}: {root / name} holds no prepared version of it")
    return max(
        versions, key=lambda path: [int(part) if part.isdigit() else -1 for part in path.name.split(".")]
    )


def _tfds_classes(folder: Path, label: str, feature: dict) -> tuple[str, ...]:
    names = folder / f"{label}.labels.txt"
    if names.is_file():
        return tuple(names.read_text(encoding="utf-8").splitlines())
    return tuple(str(index) for index in range(int(feature["classLabel"]["numClasses"])))


def _tfds_splits(config: Config, counts: dict[str, int]) -> tuple[str, str]:
    held_out = next((name for name in ("test", "validation") if name in counts), None)
    if "train" not in counts or held_out is None:
        raise BadInput(
            f"--data {config.data}: wanted are the splits train and test, found {', '.join(counts)}"
        )
    return "train", held_out


def _read_tfds(config: Config) -> Iterator[tuple[str, Image]]:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(_tfds_folder(config))
    image, label = builder.info.supervised_keys
    splits = _tfds_splits(config, {name: one.num_examples for name, one in builder.info.splits.items()})
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    for part, name in zip(("train", "test"), splits, strict=True):
        stream = builder.as_dataset(
            split=name,
            decoders={image: tfds.decode.SkipDecoding()},
            read_config=in_order,
            shuffle_files=False,
        )
        for index, one in enumerate(stream.as_numpy_iterator()):
            yield part, Image(f"{name}/{index:07d}", int(one[label]), one[image])


# --- splitting -------------------------------------------------------------------------------------------


def _shuffled(items: Sequence[tuple[str, int]], seed: int) -> list[tuple[str, int]]:
    """The items in an order that depends on their names and the seed alone, on every machine."""

    def key(item: tuple[str, int]) -> bytes:
        return hashlib.blake2b(f"{seed}\0{item[0]}".encode(errors="surrogateescape"), digest_size=8).digest()

    return sorted(items, key=key)


def _splits(items: Sequence[tuple[str, int]], config: Config) -> Iterator[tuple[str, str]]:
    """A stratified split: each class gives its share to the test part, in all ceil(share * n)."""
    order = _shuffled(items, config.seed)
    by_class: dict[int, list[str]] = {}
    for source, label in order:
        by_class.setdefault(label, []).append(source)
    held_out: set[str] = set()
    for label, count in _stratified({k: len(v) for k, v in by_class.items()}, config.test_share).items():
        held_out.update(by_class[label][:count])
    for source, _ in order:
        yield ("test" if source in held_out else "train"), source


def _stratified(counts: dict[int, int], share: float) -> dict[int, int]:
    """How many of each class are held out: the rounding's rest goes to the largest fractions.

    Each class with two images or more keeps one on either side.
    """
    total = -int(-sum(counts.values()) * share // 1)
    exact = {label: count * share for label, count in counts.items()}
    taken = {label: int(value) for label, value in exact.items()}
    for label in sorted(exact, key=lambda one: (taken[one] - exact[one], one))[: total - sum(taken.values())]:
        taken[label] += 1
    return {
        label: min(max(taken[label], 1), counts[label] - 1) if counts[label] > 1 else 0 for label in counts
    }
