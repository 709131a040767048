"""Ask a pushed model about pictures."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cnns._checks import nearest
from pipeline import pushed
from pipeline.images import SUFFIXES
from tuning.errors import BadInput, printable

if TYPE_CHECKING:
    from pipeline.exported import Exported

BATCH = 64  # pictures that are asked about at once,
BATCH_BYTES = 64 << 20  # as long as their files hold no more than this

Row = dict[str, Any]


def predict(model: Path, files: list[Path], top: int = 3) -> Iterator[Row]:
    """Classify pictures with a SavedModel, through the signature that takes encoded bytes.

    Only two batches are in memory at once, one that is asked about and one that is read meanwhile.

    Args:
        model: A version's folder, or the folder of versions, of which the one that is served is taken.
        files: The pictures.
        top: Classes to name for each.

    Yields:
        One row a picture, in their order: file, label, probability, and classes with the likeliest first; of
        one that cannot be read file and error.

    Raises:
        BadInput: There is no model.
    """
    from pipeline import exported

    loaded = exported.load(find_model(model))
    batches = list(_batches(files))
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(_read, batches[0])
        for index, batch in enumerate(batches):
            looks = ahead.result()
            if index + 1 < len(batches):
                ahead = reader.submit(_read, batches[index + 1])
            yield from _answers(loaded, batch, looks, top)


def find_model(model: Path) -> Path:
    """The folder of a SavedModel: the one named, or the version in it that is to be served."""
    if (model / "saved_model.pb").is_file():
        return model
    if not model.is_dir():
        known = (
            [path.name for path in model.parent.iterdir() if path.is_dir()] if model.parent.is_dir() else []
        )
        close = nearest(model.name, known)
        hint = f"; did you mean {model.parent / close}?" if close else ""
        raise BadInput(f"{model}: there is no such model{hint}")
    return pushed.current(model)


def find_pictures(pictures: list[Path]) -> list[Path]:
    """The files among the paths, and the pictures in the folders among them, sorted."""
    found: list[Path] = []
    for path in pictures:
        if path.is_dir():
            inside = (one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES)
            found += sorted(one for one in inside if not one.is_dir())
        elif path.is_file():
            found.append(path)
        else:
            raise BadInput(f"{path}: there is no such picture")
    if not found:
        raise BadInput(f"{', '.join(map(str, pictures))}: no pictures ({', '.join(SUFFIXES)}) there")
    return found


def as_line(row: Row, width: int) -> str:
    """A row of a table: file, then the likeliest classes, or why it cannot be read."""
    named = "   ".join(f"{one['label']} {one['probability']:.3f}" for one in row.get("classes", ()))
    return f"{printable(row['file']):<{width}}   {named or row['error']}"


def _batches(files: list[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for file in files:
        try:
            more = file.stat().st_size
        except OSError:
            more = 0  # reading it will say why
        if batch and (len(batch) == BATCH or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += more
    if batch:
        yield batch


def _read(files: list[Path]) -> list[tuple[bytes, str]]:
    """Bytes that TensorFlow can read of each file, or why there are none."""
    from pipeline.images import look_at_all
    from pipeline.sources.folder import SIZE_LIMIT

    held: dict[int, bytes] = {}
    faults: dict[int, str] = {}
    for index, file in enumerate(files):
        try:
            seen = file.stat()
            if stat.S_ISREG(seen.st_mode) and seen.st_size <= SIZE_LIMIT:
                held[index] = file.read_bytes()
            else:  # reading a pipe would wait for somebody who writes
                faults[index] = "too large for a picture" if stat.S_ISREG(seen.st_mode) else "no regular file"
        except OSError as error:
            faults[index] = error.strerror or str(error)
    looks = dict(zip(held, look_at_all(list(held.values())), strict=True))
    return [
        (b"", faults[index]) if index in faults else (looks[index].data, looks[index].why)
        for index in range(len(files))
    ]


def _answers(loaded: Exported, files: list[Path], looks: list[tuple[bytes, str]], top: int) -> Iterator[Row]:
    good = [data for data, why in looks if not why]
    answers = iter(loaded.probabilities(good) if good else ())
    for file, (_, why) in zip(files, looks, strict=True):
        if why:
            yield {"file": str(file), "error": f"cannot be read: {why}"}
            continue
        answer = next(answers)
        order = answer.argsort()[::-1][:top]
        classes = [{"label": loaded.labels[i], "probability": float(answer[i])} for i in order]
        yield {"file": str(file), **classes[0], "classes": classes}
