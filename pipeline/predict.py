"""Ask a pushed model about pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from keras_cnns._checks import nearest
from pipeline import pushed
from pipeline.errors import BadInput
from pipeline.images import SUFFIXES

_BATCH = 64


def predict(model: Path, pictures: list[Path], top: int = 3) -> list[dict[str, Any]]:
    """Classify pictures with a SavedModel, through the signature that takes encoded bytes.

    Args:
        model: A version's folder, or the folder of versions, of which the one that is served is taken.
        pictures: Files, and folders that are searched for pictures.
        top: Classes to name for each.

    Returns:
        One row a picture: file, label, probability, and classes with the likeliest first.

    Raises:
        BadInput: There is no model, no picture, or a picture cannot be read.
    """
    folder = find_model(model)
    files = find_pictures(pictures)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from pipeline import lean

    with lean.imports(without=lean.KERAS_EXTRAS):
        import tensorflow as tf
    images = [_checked(file) for file in files]
    try:
        serve = tf.saved_model.load(str(folder)).signatures["serve_bytes"]
        labels = (folder / "labels.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, KeyError, ValueError):
        raise BadInput(f"{folder} is not a model that this line exported") from None
    rows = []
    for start in range(0, len(files), _BATCH):
        answers = serve(image_bytes=tf.constant(images[start : start + _BATCH]))["probabilities"].numpy()
        for file, answer in zip(files[start : start + _BATCH], answers, strict=True):
            order = answer.argsort()[::-1][:top]
            classes = [{"label": labels[i], "probability": float(answer[i])} for i in order]
            rows.append({"file": str(file), **classes[0], "classes": classes})
    return rows


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
            found += sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES)
        elif path.is_file():
            found.append(path)
        else:
            raise BadInput(f"{path}: there is no such picture")
    if not found:
        raise BadInput(f"{', '.join(map(str, pictures))}: no pictures ({', '.join(SUFFIXES)}) there")
    return found


def _checked(file: Path) -> bytes:
    from pipeline.images import readable

    try:
        return readable(file.read_bytes())
    except (BadInput, OSError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from None


def as_text(rows: list[dict[str, Any]]) -> str:
    """A table: file, then the likeliest classes."""
    width = max(len(row["file"]) for row in rows)
    lines = []
    for row in rows:
        named = "   ".join(f"{one['label']} {one['probability']:.3f}" for one in row["classes"])
        lines.append(f"{row['file']:<{width}}   {named}")
    return "\n".join(lines)


def as_json(rows: list[dict[str, Any]]) -> str:
    """The rows as JSON."""
    return json.dumps(rows, indent=1, ensure_ascii=False)
