"""What goes on beside the steps of a training: history, seeds, checkpoints, the hunt for NaN."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.recipes import Recipe
from keras_cnns.training import checkpoint, optimize

Logs = Mapping[str, Any] | None
_PAUSE = 0.2  # seconds between two looks at the figures, which on a GPU wait for the steps under way


class Watched(keras.Model):
    """A network that notes the first step of an epoch at which its loss was no number."""

    @classmethod
    def of(cls, model: keras.Model) -> Watched:
        """The same graph, watched."""
        watched = cls(model.input, model.output, name=model.name)
        kept: dict[str, Any] = {
            "trainable": False, "dtype": tf.int64, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }  # fmt: skip
        watched.step, watched.wrong = tf.Variable(0, **kept), tf.Variable(-1, **kept)
        return watched

    def compute_loss(self, *args: Any, training: bool = True, **named: Any) -> Any:
        """Keras's loss; in training it is looked at."""
        loss = super().compute_loss(*args, training=training, **named)
        if training:
            bad = tf.cast(tf.logical_not(tf.math.is_finite(loss)), tf.int32)
            replicas = tf.distribute.get_replica_context()
            if replicas is not None and replicas.num_replicas_in_sync > 1:
                bad = replicas.all_reduce(tf.distribute.ReduceOp.SUM, bad)
            first = tf.logical_and(bad > 0, self.wrong < 0)
            self.wrong.assign(tf.where(first, self.step + 0, self.wrong + 0))
            self.step.assign_add(1)
        return loss


class Seeds(keras.callbacks.Callback):
    """Gives each epoch random states of its own: of the pictures' order and changes, and of dropout."""

    def __init__(self, seed: int, epoch: tf.Variable) -> None:
        super().__init__()
        self._seed, self._epoch = seed, epoch

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        self._epoch.assign(epoch)
        states = [one for one in self.model.variables if one.name == "seed_generator_state"]
        for index, state in enumerate(states):
            drawn = np.random.SeedSequence([self._seed, epoch, index]).generate_state(1)[0]
            state.assign(np.array([drawn >> 1, 0], "int64"))


class NaN(keras.callbacks.Callback):
    """Ends a training whose loss is no longer a number, and keeps the batch that did it, if asked to."""

    def __init__(
        self, seen: tf.data.Dataset, recipe: Recipe, steps: int, folder: Path | None, keep: bool
    ) -> None:
        super().__init__()
        self._seen, self._recipe, self._steps = seen, recipe, steps
        self._folder, self._wanted = folder, keep
        self._epoch, self._looked = 0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        self._epoch = epoch
        self.model.step.assign(0)
        self.model.wrong.assign(-1)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        if time.perf_counter() - self._looked >= _PAUSE:
            self._look()
            self._looked = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        self._look()

    def _look(self) -> None:
        step = int(self.model.wrong.numpy())
        if step < 0:
            return
        done = self._epoch * self._steps + step
        rate = optimize.schedule(self._recipe, self._steps * self._recipe.epochs)
        rate = float(rate(done)) if callable(rate) else rate
        raise FloatingPointError(
            f"the loss is no longer a number at step {step + 1} of {self._steps} in epoch "
            f"{self._epoch + 1} of {self._recipe.epochs}, at learning rate {rate:g}; "
            + (f"the batch lies in {self._keep(step)}, and " if self._wanted else "")
            + "a smaller learning rate may help"
        )

    def _keep(self, step: int) -> Path:
        """Make the batch again, since each is a function of seed, epoch and step, and write it."""
        images, labels = next(iter(self._seen.skip(step).take(1)))[:2]
        folder = self._folder or Path(tempfile.mkdtemp(prefix="keras_cnns-"))
        folder.mkdir(parents=True, exist_ok=True)
        labels = labels["main"] if isinstance(labels, dict) else labels
        np.savez(folder / "bad-batch.npz", images=images.numpy(), labels=labels.numpy())
        return folder / "bad-batch.npz"


class History(keras.callbacks.Callback):
    """Adds a row an epoch and reports at most five times a second."""

    def __init__(
        self, rows: list[dict[str, float]], epochs: int, steps: int, images: int,
        report: Callable[[Mapping[str, Any]], None],
    ) -> None:  # fmt: skip
        super().__init__()
        self._rows, self._epochs, self._steps, self._images = rows, epochs, steps, images
        self._report = report
        self._epoch, self._began, self._told = 0, 0.0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        self._epoch, self._began = epoch + 1, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        now = time.perf_counter()
        if now - self._told >= _PAUSE:
            self._told = now
            self._tell(batch + 1, optimize.of_main(logs).get("accuracy", 0.0))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        seconds = time.perf_counter() - self._began
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row = optimize.of_main(logs)
        self._rows.append({"epoch": epoch + 1, **row, "learning_rate": rate, "seconds": seconds})
        self._tell(self._steps, row.get("accuracy", 0.0), row=self._rows[-1])

    def speed(self, start: int) -> float:
        """Images a second after epoch `start`, without the next epoch where there are more."""
        rows = self._rows[start + 1 :] or self._rows[-1:]
        return self._images * len(rows) / sum(row["seconds"] for row in rows) if rows else 0.0

    def _tell(self, step: int, accuracy: float, **more: Any) -> None:
        self._report({
            "epoch": self._epoch, "epochs": self._epochs,
            "step": min(step, self._steps), "steps": self._steps, "accuracy": float(accuracy), **more,
        })  # fmt: skip


class Keeper(keras.callbacks.Callback):
    """Keeps the best weights, writes the state after each epoch, and ends a training that stalls.

    It stands behind `History`, whose row it reads, and before Keras's SwapEMAWeights, so that it sees the
    weights that were measured while they are in the network.
    """

    def __init__(self, state: checkpoint.State, folder: Path | None, keep: str, patience: int) -> None:
        super().__init__()
        self.best: list[np.ndarray] | None = None
        self._state, self._folder, self._keep, self._patience = state, folder, keep, patience
        self._measured: list[np.ndarray] = []

    def on_test_end(self, logs: Logs = None) -> None:
        """Keras calls this."""
        if self._keep != "last":
            self._measured = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        rows = self._state.rows
        better = self._keep != "last" and best_epoch(rows, self._keep) == len(rows)
        if better:
            self.best = self._measured
        if self._folder is not None:
            checkpoint.save(self.model, self._state, self._folder, self.best if better else None)
        if stalled(rows, self._keep, self._patience):
            self.model.stop_training = True


def best_epoch(rows: Sequence[Mapping[str, float]], keep: str) -> int:
    """The epoch, counted from 1, whose weights are kept; the first of equals, and 0 before any."""
    if not rows or keep == "last":
        return len(rows)
    measured = [row["val_accuracy"] if keep == "accuracy" else -row["val_loss"] for row in rows]
    return 1 + max(range(len(rows)), key=lambda index: _or_worst(measured[index]))


def stalled(rows: Sequence[Mapping[str, float]], keep: str, patience: int) -> bool:
    """Whether the last `patience` epochs brought nothing better.

    The rows alone decide, so that an interrupted training ends where an unbroken one does.
    """
    watched = "accuracy" if keep == "accuracy" else "loss"
    return bool(patience) and len(rows) - best_epoch(rows, watched) >= patience


def _or_worst(value: float) -> float:
    return -math.inf if math.isnan(value) else value
