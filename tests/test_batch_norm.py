"""Batch normalisation (Ioffe and Szegedy 2015) as the papers use it, on numbers that a person can check."""

import keras
import numpy as np
import pytest

from keras_cnns import densenet
from keras_cnns._blocks import batch_norm, conv

BATCH = np.array([0, 2, 4, 6], "float32").reshape(4, 1, 1, 1)  # mean 3, variance 5 (of n - 1: 6.67)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def normaliser(**constants):
    image = keras.Input((1, 1, 1))
    return keras.Model(image, batch_norm(image, "bn", **constants))


def noise(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("constants", "first", "mean", "variance"),
    [
        ({}, -1.34163944, 0.3, 1.4),
        ({"momentum": 0.99, "epsilon": 1e-3}, -1.34150664, 0.03, 1.04),
    ],
)
def test_one_step_of_training(constants, first, mean, variance):
    """Momentum 0.9 keeps nine tenths of the old average, and the stored variance is the biased one."""
    model = normaliser(**constants)
    out = numpy(model(BATCH, training=True)).ravel()
    np.testing.assert_allclose(out, [first, first / 3, -first / 3, -first], atol=2e-6)
    layer = model.get_layer("bn")
    assert float(numpy(layer.moving_mean)[0]) == pytest.approx(mean, abs=1e-6)
    assert float(numpy(layer.moving_variance)[0]) == pytest.approx(variance, abs=1e-6)


@pytest.mark.parametrize(("constants", "gain"), [({}, 95.346259), ({"epsilon": 1e-3}, 30.151134)])
def test_epsilon_matters_where_a_channel_is_nearly_dead(constants, gain):
    """At the variance 1e-4 Keras's default, 1e-3, would give a third."""
    model = normaliser(**constants)
    model.get_layer("bn").set_weights([np.array([value], "float32") for value in (1, 0, 0, 1e-4)])
    one = np.ones((1, 1, 1, 1), "float32")
    assert float(numpy(model(one, training=False)).item()) == pytest.approx(gain, rel=1e-5)


@pytest.mark.parametrize("frozen", [False, True], ids=["training=False", "trainable=False"])
def test_averages_stand_still_when_told_to(frozen):
    """Keras takes a frozen layer for one at inference, whatever `training` says."""
    model = normaliser()
    layer = model.get_layer("bn")
    layer.trainable = not frozen
    out = numpy(model(BATCH, training=frozen)).ravel()
    assert [float(numpy(each)[0]) for each in (layer.moving_mean, layer.moving_variance)] == [0, 1]
    np.testing.assert_allclose(out, BATCH.ravel(), rtol=1e-4)  # by the averages: mean 0, variance 1


def test_a_bias_before_it_learns_nothing():
    """Why no convolution here has one: the mean takes it away again."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 2))
    x = batch_norm(conv(image, 3, 3, name="conv1", bias=True), "bn")
    x = keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(x))
    model = keras.Model(image, x)
    model.compile(keras.optimizers.SGD(1.0), loss="mean_squared_error")
    before = model.get_layer("conv1").get_weights()
    model.train_on_batch(noise(8, 6, 6, 2), noise(8, 2))
    kernel, bias = (
        np.abs(new - old).max()
        for new, old in zip(model.get_layer("conv1").get_weights(), before, strict=True)
    )
    assert kernel > 1e-2
    assert bias < 1e-5


def test_at_inference_an_image_does_not_see_its_batch():
    model = densenet(40, input_shape=(8, 8, 3), growth_rate=4)
    one, others = noise(1, 8, 8, 3), noise(3, 8, 8, 3, seed=1)
    alone = numpy(model(one, training=False))
    for mates in (others, 100 * others + 7):
        together = numpy(model(np.concatenate([mates, one]), training=False))[-1:]
        np.testing.assert_allclose(together, alone, rtol=1e-5)
    trained = [numpy(model(np.concatenate([x, one]), training=True))[-1] for x in (others, 100 * others + 7)]
    assert np.abs(trained[0] - trained[1]).max() > 1e-3
