"""Counting rules on small graphs with branches, groups, padding and gates, by hand."""

import keras
import pytest
from keras import layers

from keras_cnns.analysis import counts


def chain(*steps, shape=(32, 32, 4)):
    inputs = x = keras.Input(shape)
    for step in steps:
        x = step(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Conv2D(8, 3, padding="same"), 32 * 32 * 9 * 4 * 8),
        (layers.Conv2D(8, 3, strides=2, padding="same", groups=2), 16 * 16 * 9 * 2 * 8),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), 30 * 30 * 9 * 4 * 2),
        (layers.SeparableConv2D(8, 3), 30 * 30 * (9 * 4 + 4 * 8)),
        (layers.Dense(6), 32 * 32 * 4 * 6),
        (layers.BatchNormalization(), 0),
        (layers.MaxPooling2D(2), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_macs_by_hand(layer, expected):
    assert counts.macs(chain(layer)) == expected


def test_parameters_tell_frozen_from_trained():
    assert counts.parameters(chain(layers.BatchNormalization())) == (8, 16)


def test_a_layer_used_twice_counts_twice_in_macs_only():
    shared = layers.Conv2D(4, 1, name="shared")
    model = chain(shared, shared)
    assert counts.macs(model) == 2 * 32 * 32 * 16
    assert counts.parameters(model) == (20, 20)
    assert [row.parameters for row in counts.layer_table(model)] == [0, 20, 0]


def test_layer_without_a_rule_is_refused():
    with pytest.raises(TypeError, match="is a LayerNormalization, which has weights but no counting rule"):
        counts.macs(chain(layers.LayerNormalization()))


def test_free_size_is_refused():
    with pytest.raises(ValueError, match="has a free size"):
        counts.macs(chain(layers.Conv2D(1, 3), shape=(None, None, 1)))
    fields = counts.receptive_fields(chain(layers.Conv2D(1, 3, name="c"), shape=(None, None, 1)))
    assert fields == {"c": (3, 1)}


def test_vgg16_receptive_field_is_212():
    """Two convolutions twice, then three thrice, each block with its pooling (Simonyan 2014, table 1)."""
    steps = [
        step
        for convolutions in (2, 2, 3, 3, 3)
        for step in [
            *(layers.Conv2D(1, 3, padding="same") for _ in range(convolutions)),
            layers.MaxPooling2D(2),
        ]
    ]
    steps[-1] = layers.MaxPooling2D(2, name="pool5")
    assert counts.receptive_fields(chain(*steps, shape=(224, 224, 1)))["pool5"] == (212, 32)


def test_branches_are_united_and_gates_ignored():
    inputs = keras.Input((16, 16, 4))
    wide = layers.Conv2D(4, 5, padding="same", name="wide")(inputs)
    narrow = layers.Conv2D(4, 1, name="narrow")(inputs)
    joined = layers.Concatenate(name="joined")([wide, narrow])
    gate = layers.Dense(8, name="gate")(layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(joined))
    gated = layers.Multiply(name="gated")([joined, gate])
    padded = layers.ZeroPadding2D(1, name="padded")(gated)
    last = layers.Conv2D(4, 3, strides=2, dilation_rate=1, name="last")(padded)
    fields = counts.receptive_fields(keras.Model(inputs, layers.Flatten(name="flat")(last)))
    assert fields == {
        "wide": (5, 1), "narrow": (1, 1), "joined": (5, 1), "gated": (5, 1), "padded": (5, 1), "last": (7, 2),
    }  # fmt: skip


def test_dilation_widens_the_field():
    assert counts.receptive_fields(chain(layers.Conv2D(1, 3, dilation_rate=2, name="c")))["c"] == (5, 1)


def test_branches_that_are_shifted_see_more_together():
    inputs = keras.Input((16, 16, 1))
    left = layers.ZeroPadding2D(((2, 0), (2, 0)), name="left")(inputs)
    right = layers.ZeroPadding2D(((0, 2), (0, 2)), name="right")(inputs)
    model = keras.Model(inputs, layers.Add(name="sum")([left, right]))
    assert counts.receptive_fields(model)["sum"] == (3, 1)


def test_branches_of_different_strides_are_refused():
    inputs = keras.Input((16, 16, 1))
    halved = layers.UpSampling2D(1)(layers.MaxPooling2D(2)(inputs))
    cropped = layers.Cropping2D(4)(inputs)
    model = keras.Model(inputs, layers.Add(name="sum")([halved, cropped]))
    with pytest.raises(ValueError, match=r"strides \[1, 2\] meet in the layer 'sum'"):
        counts.receptive_fields(model)


def test_unknown_resizing_is_refused():
    with pytest.raises(TypeError, match="UpSampling2D, which changes the maps' size"):
        counts.receptive_fields(chain(layers.UpSampling2D(2)))
