"""Looking into networks, and another implementation brought to the same weights."""

import keras
import numpy as np

from keras_cnns.analysis.counts import calls


def with_weights(model):
    """The layers that have any, once each, in the order in which the graph computes them."""
    layers = {id(call.layer): call.layer for call in calls(model)}
    return [layer for layer in layers.values() if getattr(layer, "weights", [])]


def give_the_same_weights(ours, peer, seed=0):
    """Random weights for both, moving statistics included; they must have the same layers in one order."""
    draw = np.random.RandomState(seed)
    mine, theirs = with_weights(ours), with_weights(peer)
    shapes = [[tuple(weight.shape) for weight in layer.weights] for layer in mine]
    assert shapes == [[tuple(weight.shape) for weight in layer.weights] for layer in theirs]
    assert [type(layer) for layer in mine] == [type(layer) for layer in theirs]
    for one, other in zip(mine, theirs, strict=True):
        values = [np.array(value) for value in other.get_weights()]
        if isinstance(one, keras.layers.BatchNormalization):
            values = [draw.uniform(0.5, 1.5, value.shape).astype("float32") for value in values]
        elif len(values) == 2:
            values[1] = draw.normal(0, 0.1, values[1].shape).astype("float32")
        one.set_weights(values)
        other.set_weights(values)


def largest_difference(ours, peer, shape, seed=1):
    """Over two images: the largest difference of the outputs, relative to the largest output."""
    images = np.random.RandomState(seed).normal(size=(2, *shape)).astype("float32")
    mine, theirs = (keras.ops.convert_to_numpy(model(images, training=False)) for model in (ours, peer))
    assert mine.shape == theirs.shape
    assert np.isfinite(theirs).all()
    assert np.ptp(theirs) > 0
    return np.abs(mine - theirs).max() / np.abs(theirs).max()


def kinds(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def starts(model, bias=False):
    """How the weights, or the biases, of convolutions and fully connected layers start: those that differ."""
    found = set()
    for layer in kinds(model, keras.layers.Conv2D | keras.layers.Dense):
        if layer.use_bias or not bias:
            how = keras.initializers.serialize(layer.bias_initializer if bias else layer.kernel_initializer)
            # What is None differs between versions of Keras.
            config = {
                key: value for key, value in how["config"].items() if key != "seed" and value is not None
            }
            found.add((how["class_name"], *sorted(config.items())))
    return found


HE_NORMAL = ("VarianceScaling", ("distribution", "untruncated_normal"), ("mode", "fan_in"), ("scale", 2.0))
XAVIER = ("VarianceScaling", ("distribution", "uniform"), ("mode", "fan_in"), ("scale", 1.0))
ZEROS = ("Zeros",)
