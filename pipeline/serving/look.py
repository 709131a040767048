"""What the page shows: what a model says of a picture, and what it saw of it."""

from __future__ import annotations

import base64
import time
from typing import Any

import numpy as np

from pipeline import pushed
from pipeline.exported import Exported
from pipeline.images import look_at
from pipeline.serving.held import version_of
from pipeline.serving.rest import Refused

_CLOSE = 1e-4  # of a probability


def about(name: str, model: Exported) -> dict[str, Any]:
    """Name, version and origin of a model."""
    facts = pushed.facts_of(model.folder)
    return {
        "name": name, "version": version_of(model), "network": model.recipe.get("model"),
        "classes": len(model.labels), "when": facts.get("when"), "accuracy": facts.get("accuracy"),
        "run": facts.get("run"), "revision": (facts.get("git") or {}).get("revision"),
    }  # fmt: skip


def look(model: Exported, data: bytes) -> dict[str, Any]:
    """Classify one picture and show what the network saw of it.

    Args:
        model: The loaded model.
        data: The picture's file.

    Returns:
        version, milliseconds, classes (all, the likeliest first), picture (its size, format and colour,
        and whether it was turned or made plain), and input (what the network saw), or None where this
        version's preprocessing is not the one of this code.

    Raises:
        Refused: The picture cannot be read.
    """
    seen = look_at(data)
    if seen.why:
        raise Refused(400, f"the picture cannot be read: {seen.why}")
    began = time.perf_counter()
    answer = model.probabilities([seen.data])[0]
    milliseconds = 1000 * (time.perf_counter() - began)
    order = answer.argsort()[::-1]
    return {
        "version": version_of(model), "milliseconds": round(milliseconds, 1),
        "classes": [{"label": model.labels[i], "probability": float(answer[i])} for i in order],
        "picture": {
            "width": seen.width, "height": seen.height, "format": seen.format, "colour": seen.colour,
            "made_plain": seen.data != data,
        },
        "input": _input(model, seen.data, answer),
    }  # fmt: skip


def _input(model: Exported, data: bytes, answer: np.ndarray) -> dict[str, Any] | None:
    """The network's input as a picture; nothing where the model, asked about it, says something else."""
    import tensorflow as tf

    from keras_cnns.training.preprocess import Preprocess, decode

    try:
        how = Preprocess(**model.recipe["preprocess"])
    except (KeyError, TypeError):
        return None
    pixels = decode(tf.constant(data), how)
    again = model.loaded.signatures["serve_tensor"](images=tf.cast(pixels, tf.float32)[tf.newaxis])
    if float(np.abs(again["probabilities"].numpy()[0] - answer).max()) > _CLOSE:
        return None
    png = base64.b64encode(tf.io.encode_png(pixels).numpy()).decode("ascii")
    return {
        "png": f"data:image/png;base64,{png}", "width": how.width, "height": how.height,
        "channels": how.channels, "fit": how.fit, "low": how.low, "high": how.high,
    }  # fmt: skip
