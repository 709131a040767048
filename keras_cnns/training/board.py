"""What TensorBoard shows of a training: curves, rate, throughput, pictures, confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_PICTURES = 16
_CELL = 16  # pixels of a cell of the confusion matrix, less where there are many classes
_WIDEST = 1024


class Board(keras.callbacks.Callback):
    """Writes event files: what an epoch's row says, and once what the training pictures look like.

    Args:
        folder: Where the event files lie; an interrupted training goes on in the same folder.
        rows: The history, which `watch.History` fills before.
        seen: The training batches.
        images: Training pictures an epoch.
    """

    def __init__(
        self, folder: Path, rows: Sequence[Mapping[str, float]], seen: tf.data.Dataset, images: int
    ) -> None:
        super().__init__()
        self._rows, self._seen, self._images = rows, seen, images
        self._writer = tf.summary.create_file_writer(str(folder))
        self._shown = bool(rows)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras calls this."""
        if not self._shown:
            self._shown = True
            pictures = next(iter(self._seen.take(1)))[0][:_PICTURES].numpy()
            low, high = float(pictures.min()), float(pictures.max())
            with self._writer.as_default():
                shown = (pictures - low) / max(high - low, 1e-6)
                tf.summary.image("training pictures", shown, step=0, max_outputs=_PICTURES)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras calls this."""
        row = self._rows[-1]
        values = {key: value for key, value in row.items() if key not in ("epoch", "seconds")}
        values["images_per_second"] = self._images / max(row["seconds"], 1e-9)
        with self._writer.as_default():
            for key, value in values.items():
                tf.summary.scalar(key, value, step=epoch + 1)
        self._writer.flush()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Keras calls this."""
        self._writer.close()


def confusion(folder: Path, labels: np.ndarray, predicted: np.ndarray, classes: int, step: int) -> None:
    """Add a confusion matrix as a picture: rows are the labels, columns what was predicted.

    Args:
        folder: Of the event files.
        labels: True classes, integers (n,).
        predicted: Predicted classes, integers (n,).
        classes: Number of classes.
        step: The epoch whose weights predicted.
    """
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        tf.summary.image("confusion matrix", matrix(labels, predicted, classes)[None], step=step)
    writer.close()


def matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """A picture, float32 (side, side, 1): a cell is as dark as the share of its row that it holds."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels, predicted), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = max(1, min(_CELL, _WIDEST // classes))
    return (1 - shares.repeat(cell, axis=0).repeat(cell, axis=1)).astype("float32")[..., None]
