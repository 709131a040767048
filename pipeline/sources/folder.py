"""A folder of class folders, with parts of its own (train and test) or without.

Names are bytes on disk. They are read as UTF-8 and composed (NFC), so that neither the locale nor the way
from another system changes names, order or split.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_cnns._checks import nearest
from pipeline.config import Config
from pipeline.errors import BadInput
from pipeline.images import SUFFIXES, is_grey, opened
from pipeline.sources.dataset import Dataset, Image, better_than_guessing
from pipeline.sources.splits import HELD_OUT, order, split

SIZE_LIMIT = 512 << 20  # bytes of a picture's file; what is larger is no picture
_ENDINGS = tuple(suffix.encode() for suffix in SUFFIXES)


@dataclass(frozen=True)
class _Parts:
    """The folder's own parts: names of their folders; both are empty where we split."""

    used: tuple[str, ...] = ()  # train, and what is evaluated
    unused: tuple[str, ...] = ()  # a val folder beside a test folder


def inspect(config: Config) -> Dataset:
    """The class folders below a folder.

    Raises:
        BadInput: There are none, or the test part has classes that train lacks.
    """
    root = Path(config.data)
    if not root.is_dir():
        raise BadInput(f"--data {root}: there is no such folder{_similar_folder(root)}")
    parts = _own_parts(root)
    raw, state = [], {}
    for path, seen in _walk(root, parts.used):
        raw.append(path)
        state[path] = f"{seen.st_size}\0{seen.st_mtime_ns}".encode()
    paths = sorted(raw, key=_sorting)
    if not paths:
        raise BadInput(
            f"--data {root}: no images found; wanted are class folders with {', '.join(SUFFIXES)} files, "
            "or TFRecord files"
        )
    names = sorted({_class_of(path, parts.used) for path in paths})
    if parts.used:
        _check_own_parts(root, parts.used, paths)
    counts = dict.fromkeys(names, 0)
    fingerprint = hashlib.blake2b(digest_size=16)
    for path in paths:
        counts[_class_of(path, parts.used)] += 1
        fingerprint.update(path + b"\0" + state[path] + b"\n")
    share = max(counts.values()) / len(paths)
    return Dataset(
        kind="folder", title=root.resolve().name, classes=tuple(names), images=len(paths),
        channels=_channels(root, paths), fingerprint=fingerprint.hexdigest(), splits=parts.used,
        largest_share=share, min_accuracy=better_than_guessing(share), unused=_unused(root, parts.unused),
    )  # fmt: skip


def read(config: Config, dataset: Dataset) -> Iterator[tuple[str, Image]]:
    """Each image with its part; a file that cannot be opened comes without bytes, to be named later."""
    label_of = {name: index for index, name in enumerate(dataset.classes)}
    files = sorted((text(path), path) for path, _ in _walk(Path(config.data), dataset.splits, look=False))
    names, paths = [name for name, _ in files], [path for _, path in files]
    inside = 2 if dataset.splits else 1  # where a path goes on below its class folder
    parts: Iterator[tuple[str, int]]
    if dataset.splits:
        held_out = dataset.splits[1] + "/"
        parts = (("test" if names[i].startswith(held_out) else "train", i) for i in order(names, config.seed))
    else:
        labels = [label_of[name.partition("/")[0]] for name in names]
        parts = split(names, labels, config)
    root = os.fsencode(config.data) + b"/"
    for part, index in parts:
        steps = names[index].split("/")
        label = label_of[steps[inside - 1]]
        yield part, Image(names[index], label, _bytes_of(root + paths[index]), "/".join(steps[inside:-1]))


def text(path: bytes) -> str:
    """A path as text, the same on every machine; bytes that are no text are written as their number."""
    if path.isascii():
        return path.decode("ascii")
    return unicodedata.normalize("NFC", path.decode("utf-8", "backslashreplace"))


def _sorting(path: bytes) -> tuple[str, bytes]:
    return text(path), path


def _bytes_of(path: bytes) -> bytes:
    """What is in a file; nothing where it cannot be opened, is no file (a pipe), or is too large."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        seen = os.fstat(file)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > SIZE_LIMIT:
            return b""
        data = os.read(file, seen.st_size)
        while len(data) < seen.st_size and (more := os.read(file, seen.st_size - len(data))):
            data += more
        return data
    except OSError:
        return b""
    finally:
        os.close(file)


def _walk(root: Path, parts: Sequence[str], look: bool = True) -> Iterator[tuple[bytes, os.stat_result]]:
    """Paths of all images in class folders, relative to the root, with their status if it is looked for."""
    for part in parts or ("",):
        top = os.fsencode(root / part)
        start = os.fsencode(part) + b"/" if part else b""
        for one in list(os.scandir(top)):
            if one.is_dir():  # what lies beside the class folders has no class
                yield from _images_in(one, start + one.name, frozenset(), look)


def _images_in(
    folder: os.DirEntry[bytes], name: bytes, above: frozenset[tuple[int, int]], look: bool
) -> Iterator[tuple[bytes, os.stat_result]]:
    seen = folder.stat()
    here = seen.st_dev, seen.st_ino
    if here in above:
        return  # a link to a folder that it lies in
    try:
        entries = list(os.scandir(folder.path))
    except OSError:
        return
    for one in entries:
        path = name + b"/" + one.name
        if one.name.lower().endswith(_ENDINGS) and not one.name.startswith(b"."):
            if one.is_file() or one.is_symlink():
                yield path, _status(one) if look else seen
        elif one.is_dir():
            yield from _images_in(one, path, above | {here}, look)


def _status(file: os.DirEntry[bytes]) -> os.stat_result:
    try:
        return file.stat()
    except OSError:  # a link to nothing
        return file.stat(follow_symlinks=False)


def _own_parts(root: Path) -> _Parts:
    names = {path.name for path in root.iterdir() if path.is_dir()}
    held_out = [name for name in HELD_OUT if name in names]
    return _Parts(("train", held_out[0]), tuple(held_out[1:])) if "train" in names and held_out else _Parts()


def _unused(root: Path, parts: Sequence[str]) -> str:
    counts = {part: sum(1 for _ in _walk(root, (part,), look=False)) for part in parts}
    return ", ".join(f"{part} ({count:,} images)" for part, count in counts.items() if count)


def _class_of(path: bytes, parts: Sequence[str]) -> str:
    return text(path.split(b"/")[1 if parts else 0])


def _check_own_parts(root: Path, parts: Sequence[str], paths: Sequence[bytes]) -> None:
    classes: dict[str, set[str]] = {part: set() for part in parts}
    for path in paths:
        classes[os.fsdecode(path.split(b"/")[0])].add(_class_of(path, parts))
    for part in parts:
        if not classes[part]:
            raise BadInput(f"--data {root}: {part} holds no class folders with images")
    extra = classes[parts[1]] - classes[parts[0]]
    if extra:
        raise BadInput(
            f"--data {root}: {parts[1]} holds classes that train lacks: {', '.join(sorted(extra))}"
        )


def _channels(root: Path, paths: Sequence[bytes], looked_at: int = 200) -> int:
    """1 when all of a sample of images are grey, else 3; an unreadable one is found later, by name."""
    for path in paths[:: max(1, len(paths) // looked_at)]:
        try:
            with opened(root / os.fsdecode(path)) as picture:
                if not is_grey(picture):
                    return 3
        except Exception:
            continue
    return 1


def _similar_folder(root: Path) -> str:
    try:
        close = nearest(root.name, [path.name for path in root.parent.iterdir() if path.is_dir()])
    except OSError:
        return ""
    return f"; did you mean {root.parent / close}?" if close else ""
