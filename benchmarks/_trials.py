"""Trainings of one small network by many recipes in one process, an epoch at a time, for `tuning.py`.

`keras_cnns.training` compiles for each training, which takes longer than nine epochs of LeNet-5 on a thousand
pictures. Here rate and decay are variables of a step that is compiled once for each optimizer and batch size,
with the recipes' own optimizers, schedules, smoothing and augmentation.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_cnns.recipes import Recipe
from keras_cnns.training import fit, optimize, simple
from keras_cnns.training.augment import augmenter, changes
from keras_cnns.training.preprocess import scale
from tuning import spaces

_CHUNK = 256  # pictures that are changed at once


class Trials:
    """Configurations of one space and seed, each trained as far as it was asked for.

    Args:
        searched: The space, of a registered network.
        epochs: Of a whole training, which schedules need.
        data_dir: Folder of TFDS data sets.
        pictures: Of MNIST to train on, a multiple of the largest batch; twice as many are validated on.
        cache: Folder for what was measured, or None.
    """

    def __init__(
        self, searched: spaces.Space, epochs: int, data_dir: Path, pictures: int, cache: Path | None
    ) -> None:
        self.searched, self.epochs, self.cache = searched, epochs, cache
        assert searched.model is not None
        self.splits = [f"train[:{pictures}]", f"train[-{2 * pictures}:]"]
        loaded = tfds.load(
            "mnist", data_dir=str(data_dir), split=self.splits, batch_size=-1, as_supervised=True,
            download=False,
        )  # fmt: skip
        pairs = [(np.asarray(images), np.asarray(labels)) for images, labels in loaded]
        self.task = simple.task(searched.model, *pairs, fit="pad")
        how = self.task.preprocess
        (images, labels), (unseen, self.answers) = pairs
        self.images = tf.cast(tf.image.resize_with_crop_or_pad(images, how.height, how.width), tf.float32)
        self.labels = tf.one_hot(labels, len(self.task.labels))
        self.unseen = scale(tf.image.resize_with_crop_or_pad(unseen, how.height, how.width), how)
        self.model = fit.scores_model(fit.untrained(self.task))
        self.decay = tf.Variable(0.0)
        self.optimizers: dict[str, keras.optimizers.Optimizer] = {}
        for name in ("sgd", "adam"):
            recipe = Recipe(optimizer=name, schedule="constant")
            decay: Any = self.decay  # a variable for a number: one graph serves all trials
            made = optimize.optimizer(dataclasses.replace(recipe, weight_decay=decay), 1)
            made.build(self.model.trainable_variables)
            self.optimizers[name] = made
        tf.get_logger().setLevel("ERROR")  # a graph for each optimizer and batch size is what is wanted
        self.scores = tf.function(lambda images: self.model(images, training=False))
        self.train = tf.function(self._train)
        self.start(0)

    def start(self, seed: int) -> None:
        """Forget all trainings; a seed decides first weights, order and changed pictures of those to come."""
        self.seed = seed
        keras.utils.set_random_seed(seed)
        self.first = fit.untrained(self.task).get_weights()
        self.states: dict[str, tuple[list[Any], list[Any]]] = {}
        self.known: dict[str, list[float]] = {}
        self.changed: dict[tuple[int, int], tuple[tf.Tensor, tf.Tensor]] = {}

    def accuracy(self, values: dict[str, Any], epoch: int) -> float:
        """Of a configuration on the validation pictures, after an epoch."""
        recipe = spaces.plan(self.searched, values, self.epochs, mirror=False).recipe
        words = [self.searched.model, self.seed, self.splits, dataclasses.asdict(recipe)]
        name = hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:24]
        if name not in self.known:
            self.known[name] = self._read(name)
        known = self.known[name]
        if len(known) < epoch:
            known[:] = known if name in self.states else []  # weights are not in the cache
            while len(known) < epoch:
                known.append(self._epoch(name, recipe, values["augmentation"], len(known)))
            if self.cache is not None:
                (self.cache / f"{name}.json").write_text(json.dumps({"values": values, "accuracies": known}))
        return known[epoch - 1]

    def _read(self, name: str) -> list[float]:
        file = None if self.cache is None else self.cache / f"{name}.json"
        return json.loads(file.read_text())["accuracies"] if file is not None and file.exists() else []

    def _epoch(self, name: str, recipe: Recipe, level: int, epoch: int) -> float:
        """Train for the epoch of this number, from 0, and measure."""
        optimizer = self.optimizers[recipe.optimizer]
        weights, slots = self.states.get(name) or (
            self.first,
            [np.zeros(one.shape, one.dtype) for one in optimizer.variables],
        )
        self.model.set_weights(weights)
        for variable, value in zip(optimizer.variables, slots, strict=True):
            variable.assign(value)
        self.decay.assign(recipe.weight_decay)
        steps = len(self.images) // recipe.batch_size
        rate = optimize.schedule(recipe, steps * self.epochs)
        numbers = range(epoch * steps, (epoch + 1) * steps)
        rates = [float(rate(number)) if callable(rate) else rate for number in numbers]
        images, labels = self._pictures(recipe, level, epoch)
        smooth = recipe.label_smoothing
        labels = labels * (1 - smooth) + smooth / labels.shape[1]
        self.train(images, labels, tf.constant(rates), recipe.optimizer, recipe.batch_size)
        if epoch + 1 < self.epochs:
            kept = [np.array(one) for one in optimizer.variables]
            self.states[name] = (self.model.get_weights(), kept)
        return float(np.mean(np.argmax(self.scores(self.unseen), axis=1) == self.answers))

    def _train(self, images: Any, labels: Any, rates: Any, name: str, size: int) -> None:
        optimizer, variables = self.optimizers[name], self.model.trainable_variables
        for step in tf.range(len(rates)):
            optimizer.learning_rate.assign(rates[step])
            part = slice(step * size, (step + 1) * size)
            with tf.GradientTape() as tape:
                scores = self.model(tf.ensure_shape(images[part], [size, *images.shape[1:]]), training=True)
                loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels[part], scores))
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    def _pictures(self, recipe: Recipe, level: int, epoch: int) -> tuple[tf.Tensor, tf.Tensor]:
        """An epoch's pictures in its order, changed; the same for all configurations with this level."""
        if (level, epoch) not in self.changed:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
            images, labels = tf.gather(self.images, order), tf.gather(self.labels, order)
            if changes(recipe):
                augment = augmenter(recipe, self.task.preprocess.channels)
                parts = [
                    augment(
                        images[at : at + _CHUNK],
                        labels[at : at + _CHUNK],
                        tf.constant([self.seed * 1000 + epoch, at]),
                    )
                    for at in range(0, len(order), _CHUNK)
                ]
                images, labels = (tf.concat(part, 0) for part in zip(*parts, strict=True))
            self.changed[level, epoch] = scale(images, self.task.preprocess), labels
        return self.changed[level, epoch]
