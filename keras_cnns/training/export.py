"""Write a trained network so that TensorFlow Serving, TFMA and Keras can each load it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_cnns.training import examples
from keras_cnns.training.preprocess import Preprocess, preprocess, scale

SIGNATURES = ("serving_default", "serve_bytes", "serve_tensor")


def export(
    model: keras.Model,
    folder: Path,
    *,
    labels: tuple[str, ...],
    how: Preprocess,
    recipe: dict[str, Any] | None = None,
) -> None:
    """Write a SavedModel with its Keras sibling, class names and recipe.

    Each signature answers {"probabilities": float32 (n, classes), "label": string (n,), the likeliest}:

    * `serving_default(examples)`: serialized `tf.Example`s, string (n,)
    * `serve_bytes(image_bytes)`: encoded pictures, string (n,)
    * `serve_tensor(images)`: pixels from 0 to 255 at the input's size, float32 (n, height, width, channels)

    Args:
        model: From preprocessed pictures to class probabilities.
        folder: Where to write; `model.keras`, `labels.txt` and `recipe.json` stand beside `saved_model.pb`.
        labels: Class names in the order of the probabilities.
        how: The preprocessing, which becomes part of the signatures.
        recipe: What `recipe.json` says besides the preprocessing.
    """
    names = tf.constant(labels)

    def answer(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = model(inputs, training=False)
        return {"probabilities": probabilities, "label": tf.gather(names, tf.argmax(probabilities, axis=1))}

    strings = tf.TensorSpec([None], tf.string)
    pixels = tf.TensorSpec([None, *how.input_shape], tf.float32)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        lambda examples_: answer(preprocess(examples.images_of(examples_), how)),
        [_named(strings, "examples")],
    )
    archive.add_endpoint(
        "serve_bytes",
        lambda image_bytes: answer(preprocess(image_bytes, how)),
        [_named(strings, "image_bytes")],
    )
    archive.add_endpoint(
        "serve_tensor", lambda images: answer(scale(images, how)), [_named(pixels, "images")]
    )
    archive.write_out(str(folder), verbose=False)
    model.save(folder / "model.keras")
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    facts = {"preprocess": asdict(how), **(recipe or {})}
    (folder / "recipe.json").write_text(
        json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _named(spec: tf.TensorSpec, name: str) -> tf.TensorSpec:
    return tf.TensorSpec(spec.shape, spec.dtype, name=name)
