"""What the saved Keras model answers: the measure for the exported one, and its mistakes for people."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.training import examples
from keras_cnns.training.data import Records, labels_of
from keras_cnns.training.fit import Task, predict
from keras_cnns.training.preprocess import decode, scale

REFERENCE = "reference.npz"
PREDICTIONS = "predictions.npz"
_PICTURES = 16


def write(keras_file: Path, task: Task, folder: Path) -> None:
    """Load a `.keras` file and write what it says.

    `reference.npz` holds up to 16 test examples in each form that a signature takes (`example_0`, `bytes_0`,
    …, `pixels`) with the loaded model's `probabilities`. `predictions.npz` holds for every test example, in
    the order of the files, its `labels`, `predicted` class and `probability` of it.
    """
    how = task.preprocess
    if not isinstance(task.test, Records):
        raise ValueError("the serving check reads `tf.Example`s: task.test must be data.Records")
    files = task.test.files
    model = keras.models.load_model(keras_file)
    serialized = list(examples.records(files).take(_PICTURES).as_numpy_iterator())
    images = examples.images_of(tf.constant(serialized)).numpy()
    with tf.device("/CPU:0"):  # where the serving check computes
        pixels = tf.stack([decode(image, how) for image in images])
        probabilities = np.asarray(model(scale(pixels, how), training=False))
    raw = {f"example_{index}": np.frombuffer(one, np.uint8) for index, one in enumerate(serialized)}
    raw |= {f"bytes_{index}": np.frombuffer(one, np.uint8) for index, one in enumerate(images)}
    np.savez(folder / REFERENCE, pixels=pixels.numpy(), probabilities=probabilities, **raw)

    everything = predict(model, task.test, how)
    np.savez(
        folder / PREDICTIONS, labels=labels_of(task.test), predicted=everything.argmax(axis=1),
        probability=everything.max(axis=1),
    )  # fmt: skip
