"""A folder of class folders, with parts of its own (train, val, test) or without.

Names are bytes on disk. They are read as UTF-8 and composed (NFC), so that neither the locale nor the way
from another system changes names, order or split.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_cnns._checks import nearest
from pipeline.config import Config
from pipeline.images import SUFFIXES, is_grey, opened
from pipeline.sources.dataset import Dataset, Image, better_than_guessing
from pipeline.sources.splits import HELD_OUT, TEST, VAL, in_own_parts, order, own_parts, split
from tuning.errors import BadInput

SIZE_LIMIT = 512 << 20  # bytes of a picture's file; what is larger is no picture
_ENDINGS = tuple(suffix.encode() for suffix in SUFFIXES)


def inspect(config: Config) -> Dataset:
    """The class folders below a folder.

    Raises:
        BadInput: There are none, or the test part has classes that train lacks.
    """
    root = Path(config.data)
    if not root.is_dir():
        raise BadInput(f"--data {root}: there is no such folder{_similar_folder(root)}")
    used, unused = own_parts(_parts_in(root))
    raw, state = [], {}
    for path, seen in _walk(root, used):
        raw.append(path)
        state[path] = f"{seen.st_size}\0{seen.st_mtime_ns}".encode()
    paths = sorted(raw, key=_sorting)
    if not paths:
        raise BadInput(
            f"--data {root}: no images found; wanted are class folders with {', '.join(SUFFIXES)} files, "
            "or TFRecord files"
        )
    names = sorted({_class_of(path, used) for path in paths})
    if used:
        _check_own_parts(root, used, paths)
    counts = dict.fromkeys(names, 0)
    fingerprint = hashlib.blake2b(digest_size=16)
    for path in paths:
        counts[_class_of(path, used)] += 1
        fingerprint.update(path + b"\0" + state[path] + b"\n")
    share = max(counts.values()) / len(paths)
    return Dataset(
        kind="folder", title=root.resolve().name, classes=tuple(names), images=len(paths),
        channels=_channels(root, paths), fingerprint=fingerprint.hexdigest(), splits=used,
        largest_share=share, min_accuracy=better_than_guessing(share),
        unused=", ".join([*_unused(root, unused), *_empty(root, used, names)]),
    )  # fmt: skip


def read(
    config: Config, dataset: Dataset, start: int = 0, stop: int | None = None
) -> Iterator[tuple[str, Image]]:
    """Each image with its part, from the `start`-th up to the `stop`-th.

    A file that cannot be opened comes without bytes, to be named later.
    """
    label_of = {name: index for index, name in enumerate(dataset.classes)}
    files = sorted((text(path), path) for path, _ in _walk(Path(config.data), dataset.splits, look=False))
    names, paths = [name for name, _ in files], [path for _, path in files]
    inside = 2 if dataset.splits else 1  # where a path goes on below its class folder
    labels = [label_of[name.split("/")[inside - 1]] for name in names]
    parts: Iterator[tuple[str, int]]
    if dataset.splits:
        role_of = dict(zip(dataset.splits, dataset.roles, strict=True))
        own = in_own_parts(names, labels, [role_of[name.partition("/")[0]] for name in names], config)
        parts = ((own[index], index) for index in order(names, config.seed))
    else:
        parts = split(names, labels, config)
    root = os.fsencode(config.data) + b"/"
    for part, index in itertools.islice(parts, start, stop):
        origin = "/".join(names[index].split("/")[inside:-1])
        yield part, Image(names[index], labels[index], _bytes_of(root + paths[index]), origin)


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
        for one in _entries(top):
            if one.is_dir():  # what lies beside the class folders has no class
                yield from _images_in(one, start + one.name, frozenset(), look)


def _entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    try:
        return list(os.scandir(folder))
    except OSError as error:
        raise BadInput(f"--data: {text(folder)} cannot be read: {error.strerror}") from None


def _images_in(
    folder: os.DirEntry[bytes], name: bytes, above: frozenset[tuple[int, int]], look: bool
) -> Iterator[tuple[bytes, os.stat_result]]:
    seen = folder.stat()
    here = seen.st_dev, seen.st_ino
    if here in above:
        return  # a link to a folder that it lies in
    for one in _entries(folder.path):
        path = name + b"/" + one.name
        if one.is_dir():
            yield from _images_in(one, path, above | {here}, look)
        elif one.name.lower().endswith(_ENDINGS) and not one.name.startswith(b"."):
            yield path, _status(one) if look else seen


def _status(file: os.DirEntry[bytes]) -> os.stat_result:
    try:
        return file.stat()
    except OSError:  # a link to nothing
        return file.stat(follow_symlinks=False)


def _parts_in(root: Path) -> list[str]:
    """Folders with the names of parts; a val folder counts where it holds images."""
    names = [name for name in ("train", *HELD_OUT) if (root / name).is_dir()]
    return [name for name in names if name not in VAL or TEST not in names or _holds_images(root, name)]


def _holds_images(root: Path, part: str) -> bool:
    return any(True for _ in _walk(root, (part,), look=False))


def _unused(root: Path, parts: Sequence[str]) -> list[str]:
    counts = {part: sum(1 for _ in _walk(root, (part,), look=False)) for part in parts}
    return [f"{part} ({count:,} images)" for part, count in counts.items() if count]


def _empty(root: Path, parts: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Folders that would be classes if they held images."""
    top = os.fsencode(root / parts[0] if parts else root)
    held = sorted(text(one.name) for one in _entries(top) if one.is_dir() and not one.name.startswith(b"."))
    return [f"{name} (no images)" for name in held if name not in classes]


def _class_of(path: bytes, parts: Sequence[str]) -> str:
    return text(path.split(b"/")[1 if parts else 0])


def _check_own_parts(root: Path, parts: Sequence[str], paths: Sequence[bytes]) -> None:
    classes: dict[str, set[str]] = {part: set() for part in parts}
    for path in paths:
        classes[os.fsdecode(path.split(b"/")[0])].add(_class_of(path, parts))
    for part in parts:
        if not classes[part]:
            raise BadInput(f"--data {root}: {part} holds no class folders with images")
    for part in parts[1:]:
        extra = classes[part] - classes["train"]
        if extra:
            raise BadInput(
                f"--data {root}: {part} holds classes that train lacks: {', '.join(sorted(extra))}"
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
