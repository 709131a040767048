"""LeNet-1 (LeCun et al. 1990, NIPS 2) and LeNet-5 (LeCun et al. 1998, Proc. IEEE 86(11), figure 2).

LeNet-5 stands here three times: as the paper has it, as it is usually built today, and as Caffe's example.
"""

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_cnns._blocks import scaled
from keras_cnns._checks import DEFAULT, check_width, pick, smallest_size
from keras_cnns._frame import (
    Frame,
    builder,
    classify,
    close_frame,
    features_only,
    named_activation,
    open_frame,
    widened,
)
from keras_cnns.layers import (
    RBF,
    FanInUniform,
    PartialConv2D,
    Subsampling2D,
    scaled_tanh,
)

# LeCun et al. 1998, table I, by columns: the S2 maps that each of the sixteen C3 maps sees. 60 links.
C3_TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip

# LeCun et al. 1990, table 1: the H2 maps that each of the twelve H3 maps sees. 20 links, in two halves that
# meet only in the output. The order is ours: the output units see all H4 maps, so it changes nothing.
H3_TABLE = (
    (0,), (1,), (0, 1), (0, 1), (0, 1), (0, 1),
    (2,), (3,), (2, 3), (2, 3), (2, 3), (2, 3),
)  # fmt: skip

# The codes of the RBF units are stylised 7x12 bitmaps of the characters (LeCun et al. 1998, section II-B and
# figure 3): +1 where there is ink, -1 elsewhere. The paper prints its own as a picture; these are drawn anew.
DIGIT_BITMAPS = """
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
..###.. ...#... .#####. .#####. .....#. ####### ..####. ####### .#####. .#####.
.#...#. ..##... #.....# #.....# ....##. #...... .#..... ......# #.....# #.....#
#.....# .#.#... ......# ......# ...#.#. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... .....#. ..####. .#...#. ######. #.####. ....#.. .#####. #....##
#.....# ...#... ....#.. ......# #....#. ......# ##....# ....#.. #.....# .####.#
#.....# ...#... ..##... ......# ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... ......# .....#. ......# #.....# ...#... #.....# ......#
.#...#. ...#... #...... #.....# .....#. #.....# #.....# ..#.... #.....# .....#.
..###.. .#####. ####### .#####. .....#. .#####. .#####. ..#.... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""

_CLASSES = 10
# (side, stride) of the two convolutions, each followed by its subsampling.
_WINDOWS = [(5, 1), (2, 2), (5, 1), (2, 2)]
_WINDOWS_OF: dict[str, Sequence[tuple[int, int] | tuple[int, int, int]]] = {
    "1998": [*_WINDOWS, (5, 1)],
    "modern": _WINDOWS,
    "caffe": [(5, 1), (2, 2, 1), (5, 1), (2, 2, 1)],  # whose pooling rounds up
}
_POOLS = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}


@builder
def lenet5(
    version: str | None = None,
    *,
    dialect: str = "paper",
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    activation: str | None = None,
    pool: str | None = None,
    width: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """LeNet-5 (LeCun et al. 1998, Proc. IEEE 86(11), figure 2), the network of 60,000 trained parameters.

    Version "1998" follows the paper: trainable subsampling, the 60 links of table I in C3, 1.7159 tanh(2x/3)
    everywhere, and RBF units with fixed codes as the output. Its outputs are penalties, (batch, classes) in
    float32, and the class is the SMALLEST one. It expects background at -0.1 and ink at 1.175.

    Version "modern" is what most ports build: full convolutions, plain pooling, a linear output with softmax;
    61,706 parameters. Its outputs are probabilities, (batch, classes) in float32.

        C1 28x28x6 → S2 14x14x6 → C3 10x10x16 → S4 5x5x16 → C5 1x1x120 → F6 84 → output 10

    Args:
        version: "1998" (default) or "modern".
        dialect: "paper" (default). "caffe": the example that Caffe calls LeNet, which has no versions: 20 and
            50 maps, max pooling, fc1 of 500 with the one ReLU, softmax; 431,080 parameters.
        input_shape: (height, width, channels) in pixels, by default (32, 32, 1), or (28, 28, 1) for Caffe's.
            At least 32 x 32 for "1998", 16 x 16 for "modern", 13 x 13 for Caffe's. Larger images give larger
            maps, which F6 (fc1) sees whole. Without the top, sizes may be None.
        classes: Number of classes, by default ten. Ten have the paper's bitmaps of digits as codes; any other
            number gets random codes of ±1 from a fixed seed, which section II-B allows.
        include_top: Whether to keep F6 (fc1, fc2) and the output. Without them the network ends in C5
            (pool2).
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: By default None for "1998" (penalties), else "softmax". "softmax" makes
            probabilities of the penalties, softmax(-y). Elsewhere None gives logits, and any Keras activation
            goes.
        activation: Only "modern": "relu" (default), another Keras activation or "scaled_tanh".
        pool: Only "modern": "max" (default) or "average".
        width: Only "modern": what multiplies the maps of both convolutions and the units of fc1 and fc2, by
            default 1.0. Rounded to whole maps, at least 8 or the paper's 6.
        weights: None (default): uniform in ±2.4/fan-in for "1998" (appendix A; biases too), Keras's defaults
            for "modern", uniform in ±√(3/fan-in) for Caffe's. Or the path of a .weights.h5 file.
        name: The model's name, by default "lenet5_1998", "lenet5_modern", "lenet_caffe" or
            "lenet5_modern_w2".

    Returns:
        A functional Keras model; its layers have the paper's names, C1 to F6 and output, or conv1, pool1,
        conv2, pool2, fc1, fc2 and logits.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    pick("pool", pool, (None, *_POOLS))
    check_width(width)
    kind = _kind(version, dialect, activation=activation, pool=pool, width=None if width == 1 else width)
    frame = open_frame(
        name or ("lenet_caffe" if kind == "caffe" else widened(f"lenet5_{kind}", width)),
        input_shape=input_shape, default_shape=(28, 28, 1) if kind == "caffe" else (32, 32, 1),
        smallest=smallest_size(_WINDOWS_OF[kind]), fixed_size=True,
        classes=classes, default_classes=_CLASSES, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
        default_activation=None if kind == "1998" else "softmax",
    )  # fmt: skip
    if kind == "caffe":
        return close_frame(frame, _features_caffe(frame.image), _fc_caffe, kernel_initializer=_xavier())
    if kind == "modern":
        squash = named_activation("activation", _or(activation, "relu"))
        maps = _features_modern(frame.image, squash, _or(pool, "max"), width)
        return close_frame(frame, maps, partial(_fc_modern, squash=squash, width=width))
    maps = _features_1998(frame.image)
    if not include_top:
        return keras.Model(frame.image, features_only(maps, frame.pooling), name=frame.name)
    return keras.Model(frame.image, _top_1998(maps, frame), name=frame.name)


@builder
def lenet1(
    *,
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """LeNet-1 (LeCun et al. 1990, NIPS 2): 2,578 parameters, 98,442 connections, 20 links between H2 and H3.

        H1 24x24x4 → H2 12x12x4 → H3 8x8x12 → H4 4x4x12 → output 10

    As in the paper every unit squashes, the output units too: trained towards +1 for the class and -1 for the
    others, the LARGEST output marks the class. The paper centres a 16x16 digit in 28x28 pixels.

    Args:
        input_shape: (height, width, channels) in pixels, by default (28, 28, 1), at least 16 x 16. Without
            the top, sizes may be None.
        classes: Number of classes, by default ten.
        include_top: Whether to keep the output. Without it the network ends in H4.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "scaled_tanh" by default; None for the weighted sums, or any Keras activation.
        weights: None (default) for uniform in ±2.4/fan-in, or the path of a .weights.h5 file.
        name: The model's name, by default "lenet1".

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32; its
        layers are H1 to H4 and output.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    frame = open_frame(
        name or "lenet1",
        input_shape=input_shape, default_shape=(28, 28, 1), smallest=smallest_size(_WINDOWS), fixed_size=True,
        classes=classes, default_classes=_CLASSES, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, default_activation="scaled_tanh", weights=weights,
    )  # fmt: skip
    x = _conv(frame.image, 4, "H1")
    x = Subsampling2D(activation=scaled_tanh, name="H2")(x)
    x = PartialConv2D(H3_TABLE, activation=scaled_tanh, name="H3")(x)
    x = Subsampling2D(activation=scaled_tanh, name="H4")(x)
    if not include_top:
        return keras.Model(frame.image, features_only(x, frame.pooling), name=frame.name)
    x = _dense(layers.Flatten(name="flatten")(x), frame.classes, "output", dtype="float32")
    return keras.Model(frame.image, classify(x, frame.classifier_activation, "predictions"), name=frame.name)


def digit_codes() -> np.ndarray:
    """The ten digits' bitmaps as ±1, float32 (10, 84), row after row of 7 pixels, 12 rows each."""
    rows = [line.split() for line in DIGIT_BITMAPS.split("\n") if line]
    bitmaps = ["".join(row[digit] for row in rows) for digit in range(10)]
    return np.array([[1.0 if dot == "#" else -1.0 for dot in bitmap] for bitmap in bitmaps], "float32")


def _features_1998(inputs: Any) -> Any:
    x = _conv(inputs, 6, "C1")
    x = Subsampling2D(activation=scaled_tanh, name="S2")(x)
    x = PartialConv2D(C3_TABLE, activation=scaled_tanh, name="C3")(x)
    x = Subsampling2D(activation=scaled_tanh, name="S4")(x)
    return _conv(x, 120, "C5")


def _top_1998(x: Any, frame: Frame) -> Any:
    what = pick("classifier_activation", frame.classifier_activation, (None, "softmax"))
    x = _dense(layers.Flatten(name="flatten")(x), 84, "F6", activation=scaled_tanh)
    penalties = RBF(_codes(frame.classes), name="output")(x)
    return classify(penalties, what and "softmin", "predictions")


def _features_modern(inputs: Any, squash: Any, pool: str, width: float) -> Any:
    x = layers.Conv2D(scaled(6, width), 5, activation=squash, name="conv1")(inputs)
    x = _POOLS[pool](2, name="pool1")(x)
    x = layers.Conv2D(scaled(16, width), 5, activation=squash, name="conv2")(x)
    return _POOLS[pool](2, name="pool2")(x)


def _fc_modern(x: Any, squash: Any, width: float) -> Any:
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(scaled(120, width), activation=squash, name="fc1")(x)
    return layers.Dense(scaled(84, width), activation=squash, name="fc2")(x)


def _features_caffe(x: Any) -> Any:
    for i, maps in enumerate((20, 50), start=1):
        x = layers.Conv2D(maps, 5, kernel_initializer=_xavier(), name=f"conv{i}")(x)
        x = layers.MaxPooling2D(2, padding="same", name=f"pool{i}")(x)  # "same" is Caffe's rounding up
    return x


def _fc_caffe(x: Any) -> Any:
    x = layers.Flatten(name="flatten")(x)
    return layers.Dense(500, "relu", kernel_initializer=_xavier(), name="fc1")(x)


def _xavier() -> Any:
    """What Caffe's filler of this name draws: uniform in ±√(3 / fan-in), the fan-out left out."""
    return keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")


def _conv(x: Any, maps: int, name: str) -> Any:
    """An unpadded 5x5 convolution that squashes."""
    return layers.Conv2D(maps, 5, activation=scaled_tanh, name=name, **_drawn(25 * x.shape[-1]))(x)


def _dense(x: Any, units: int, name: str, **how: Any) -> Any:
    """A fully connected layer."""
    return layers.Dense(units, name=name, **_drawn(x.shape[-1]), **how)(x)


def _drawn(fan_in: int) -> dict[str, FanInUniform]:
    """Weights and biases drawn as the papers draw them."""
    return {"kernel_initializer": FanInUniform(fan_in), "bias_initializer": FanInUniform(fan_in)}


def _or(value: str | None, default: str) -> str:
    return default if value is None else value


def _codes(classes: int) -> np.ndarray:
    """One code of 84 times ±1 for each class, float32 (classes, 84)."""
    if classes == 10:
        return digit_codes()
    # RandomState, since NumPy freezes its stream: the same number of classes has the same codes for ever.
    return np.random.RandomState(1998).choice([-1.0, 1.0], (classes, 84)).astype("float32")


def _kind(version: str | None, dialect: str, **switches: str | float | None) -> str:
    """Which of the three networks it is; "1998" where nothing is said."""
    pick("dialect", dialect, ("paper", "caffe"))
    pick("version", version, (None, "1998", "modern"))
    if dialect == "caffe" and version is not None:
        raise ValueError(
            f"version={version!r} contradicts dialect='caffe', which has no versions; leave one out."
        )
    kind = "caffe" if dialect == "caffe" else version or "1998"
    for switch, value in switches.items():
        if value is not None and kind != "modern":
            what = "dialect='caffe'" if kind == "caffe" else "version='1998'"
            raise ValueError(
                f"{switch}={value!r} contradicts {what}, which has its own pooling, activation and maps; "
                f"leave {switch} out, or give version='modern'."
            )
    return kind
