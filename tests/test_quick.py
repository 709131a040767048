"""Training by quicker operations: answers, gradients, averages and variables are as Keras has them."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.registry import create_model
from keras_cnns.training import fit
from keras_cnns.training.quick import FusedBatchNorm, WholeConv2D, quick

Layers = Callable[[], list[keras.layers.Layer]]
# How many batch normalizations each network has.
NORMS = {"lenet5": 0, "cifar_resnet20": 19, "se_resnet50": 53, "cifar_densenet_L40_k12": 39, "googlenet": 0}
NORM: Layers = lambda: [keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name="norm")]  # noqa: E731
WHOLE: Layers = lambda: [keras.layers.Conv2D(3, (6, 5), activation="tanh", name="whole")]  # noqa: E731


def model(layers: list[keras.layers.Layer]) -> keras.Model:
    made = keras.Sequential([keras.Input((6, 5, 4)), *layers])
    return keras.Model(made.inputs[0], made.outputs[0])


def step(trained: keras.Model, images: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """The answer, the gradients of its square and the variables after one look at the images in training."""
    variables = [one.value for one in trained.trainable_variables]
    with tf.GradientTape() as tape:
        seen = trained(images, training=True)
        loss = tf.reduce_sum(tf.square(seen + 0.5))
    gradients = tape.gradient(loss, variables)
    return seen.numpy(), [one.numpy() for one in gradients], trained.get_weights()


@pytest.mark.parametrize(("layers", "stands"), [(NORM, FusedBatchNorm), (WHOLE, WholeConv2D)])
def test_a_step_is_the_same(layers: Layers, stands: type) -> None:
    images = np.random.default_rng(0).normal(2, 3, (7, 6, 5, 4)).astype("float32")
    plain, other = model(layers()), model(layers())
    other.set_weights(plain.get_weights())
    changed = quick(other)
    assert [type(layer) for layer in changed.layers[1:]] == [stands]
    for ours, keras_s in zip(step(changed, images), step(plain, images), strict=True):
        for one, wanted in zip(ours, keras_s, strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(changed(images), plain(images), rtol=1e-5, atol=1e-5)


def test_frozen_averages_stay() -> None:
    plain = model(NORM())
    plain.layers[-1].trainable = False
    before = plain.get_weights()
    quick(plain)(np.full((2, 6, 5, 4), 9.0, "float32"), training=True)
    np.testing.assert_array_equal(plain.get_weights(), before)


@pytest.mark.parametrize("name", NORMS)
def test_networks_keep_names_answers_and_variables(name: str) -> None:
    shape = {"lenet5": (32, 32, 1), "googlenet": (64, 64, 3)}.get(name, (32, 32, 3))
    plain = fit.scores_model(create_model(name, input_shape=shape, classes=4, classifier_activation=None))
    held = {id(one) for one in plain.variables}
    changed = quick(plain)
    assert {id(one) for one in changed.variables} == held
    assert [one.name for one in changed.layers] == [one.name for one in plain.layers]
    kinds = [type(one) for one in changed.layers]
    norms = sum(type(one) is keras.layers.BatchNormalization for one in plain.layers)
    assert kinds.count(FusedBatchNorm) == norms == NORMS[name]
    assert kinds.count(keras.layers.BatchNormalization) == 0
    assert kinds.count(WholeConv2D) == (name == "lenet5")  # C5
    images = np.random.default_rng(1).normal(size=(2, *shape)).astype("float32")
    np.testing.assert_allclose(changed(images), plain(images), rtol=1e-4, atol=1e-4)


def test_what_is_not_maps_or_not_whole_stays() -> None:
    layers = [
        keras.layers.Conv2D(3, (6, 5), padding="same", name="same"),
        keras.layers.Conv2D(3, (5, 5), name="smaller"),
        keras.layers.BatchNormalization(scale=False, name="no_scale"),
        keras.layers.Flatten(name="flat"),
        keras.layers.BatchNormalization(name="of_features"),
    ]
    assert all(one is other for one, other in zip(quick(model(layers)).layers[1:], layers, strict=True))


def test_sixteen_bits_work() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        changed = quick(model([*NORM(), *WHOLE()]))
    finally:
        keras.config.set_dtype_policy("float32")
    seen, gradients, _ = step(changed, np.random.default_rng(0).normal(size=(7, 6, 5, 4)).astype("float32"))
    assert np.isfinite(seen.astype("float32")).all()
    assert all(np.abs(one.astype("float32")).sum() > 0 for one in gradients)
