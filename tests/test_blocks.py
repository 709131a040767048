"""Paddings of convolutions and poolings, on numbers small enough to follow by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_cnns import create_model
from keras_cnns._blocks import conv, fresh, max_pool

# A 3x3 pooling with stride 2: input side: (rounded up without padding, padded by 1 and rounded down).
POOLED = {
    7: (3, 4), 8: (4, 4), 13: (6, 7), 14: (7, 7), 15: (7, 8), 27: (13, 14), 28: (14, 14),
    32: (16, 16), 55: (27, 28), 56: (28, 28), 57: (28, 29), 112: (56, 56), 113: (56, 57), 224: (112, 112),
}  # fmt: skip

# A row of pixels and what each way of pooling makes of it.
EVEN = [1, 5, 2, 8, 3, 7]
ODD = [3, 9, 4, 1, 6, 2, 5]


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def image_of(row):
    """A square image, each of whose rows is this one."""
    return np.tile(np.array(row, "float32"), (len(row), 1))[None, :, :, None]


def first_row(function, row):
    """What a function makes of an image of equal rows, in its first row."""
    image = keras.Input((len(row), len(row), 1))
    return numpy(keras.Model(image, function(image))(image_of(row)))[0, 0, :, 0].tolist()


@pytest.mark.parametrize("side", POOLED)
def test_pooling_gives_caffes_or_torchs_size(side):
    image = keras.Input((side, side, 1))
    sides = tuple(max_pool(image, ceil=ceil, name="pool").shape[1] for ceil in (True, False))
    assert sides == POOLED[side]


def test_ceil_starts_at_the_first_pixel_and_padding_before_it():
    """On even sizes both halve, but their windows lie one pixel apart."""
    assert first_row(lambda x: max_pool(x, ceil=True, name="pool"), EVEN) == [5, 8, 7]
    assert first_row(lambda x: max_pool(x, name="pool"), EVEN) == [5, 8, 8]
    assert first_row(lambda x: max_pool(x, ceil=True, name="pool"), ODD) == [9, 6, 6]
    assert first_row(lambda x: max_pool(x, name="pool"), ODD) == [9, 9, 6, 5]


def test_a_window_of_two_rounds_up_too():
    assert first_row(lambda x: max_pool(x, ceil=True, size=2, name="pool"), EVEN) == [5, 8, 7]
    assert first_row(lambda x: max_pool(x, ceil=True, size=2, name="pool"), ODD) == [9, 4, 6, 5]


@pytest.mark.parametrize(
    ("row", "expected"),
    [([1, 2, 3, 4, 5, 6, 7, 8], [210, 432, 654, 876]), ([1, 2, 3, 4, 5, 6, 7], [210, 432, 654, 76])],
    ids=["even", "odd"],
)
def test_strided_convolutions_are_padded_on_both_sides(row, expected):
    """Keras's "same" would give 321, 543, 765, 87 on the even row."""
    kernel = np.zeros((3, 3, 1, 1), "float32")
    kernel[1, :, 0, 0] = [1, 10, 100]
    found = first_row(lambda x: conv(x, 1, 3, 2, name="c", initializer=lambda *_, **__: kernel), row)
    assert found == expected


@pytest.mark.parametrize(
    ("kernel", "side", "padding", "output"),
    [
        (7, 224, ((3, 3), (3, 3)), 112),
        (3, 32, ((1, 1), (1, 1)), 16),
        (3, 56, ((1, 1), (1, 1)), 28),
        (1, 56, None, 28),
    ],
)
def test_paddings_of_strided_convolutions_are_the_papers(kernel, side, padding, output):
    image = keras.Input((side, side, 1))
    model = keras.Model(image, conv(image, 1, kernel, 2, name="c"))
    pads = [layer.padding for layer in model.layers if isinstance(layer, layers.ZeroPadding2D)]
    assert pads == ([padding] if padding else [])
    assert model.output_shape[1:3] == (output, output)


def padded_max_pools(model):
    return [
        layer
        for layer in model.layers
        if isinstance(layer, layers.MaxPooling2D)
        and isinstance(layer.input._keras_history[0], layers.ZeroPadding2D)
    ]


@pytest.mark.parametrize(
    "name",
    [
        "resnet18", "resnet18_v2", "densenet121", "googlenet", "googlenet_torchvision", "se_bn_inception",
    ],
)  # fmt: skip
def test_zeros_around_a_max_pool_are_never_the_maximum(name):
    """-3, -1, -2, -5 padded by zeros would give 0, -1 instead of -1, -1: no padded map may be negative."""
    model = create_model(name, input_shape=(32, 32, 3))
    pools = padded_max_pools(model)
    assert pools
    images = np.random.RandomState(0).normal(size=(2, 32, 32, 3)).astype("float32")
    maps = keras.Model(model.input, [pool.input for pool in pools])(images)
    assert min(numpy(each).min() for each in (maps if isinstance(maps, list) else [maps])) >= 0


def test_a_zero_padded_pool_is_wrong_on_negative_maps():
    """What the test above guards against."""
    assert first_row(lambda x: max_pool(x, name="pool"), [-3, -1, -2, -5])[0] == 0


def test_layers_do_not_share_an_initialiser():
    """A Keras initialiser draws the same numbers for the same shape, each time that it is called."""
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, [conv(image, 5, 3, name=name) for name in ("a", "b")])
    assert not np.array_equal(numpy(model.get_layer("a").kernel), numpy(model.get_layer("b").kernel))
    shared = keras.initializers.RandomNormal()
    assert np.array_equal(numpy(shared((3, 3))), numpy(shared((3, 3))))
    assert not np.array_equal(numpy(fresh(shared)((3, 3))), numpy(fresh(shared)((3, 3))))
    assert fresh("zeros") == "zeros"
