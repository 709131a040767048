"""AlexNet: Krizhevsky, Sutskever and Hinton 2012 (NIPS 25).

Eight layers with weights on two GPUs, each of which holds half of the maps. The GPUs meet in conv3 and in the
fully connected layers alone; elsewhere a half is computed from its own half.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
from keras import layers

from keras_cnns._blocks import max_pool, scaled, torch_linear
from keras_cnns._checks import DEFAULT, check_fraction, check_width, choose, look_up, smallest_size
from keras_cnns._frame import builder, close_frame, open_frame, widened
from keras_cnns.layers import LocalResponseNormalization

# Figure 2 and section 3.5, in the order of sections 3.3 and 3.4: convolution, ReLU, normalisation, pooling.
FIGURE_2 = {
    # layer: (maps of both GPUs, kernel side, stride, whether a GPU sees its own maps alone, what follows)
    "conv1": (96, 11, 4, False, ("norm1", "pool1")),
    "conv2": (256, 5, 1, True, ("norm2", "pool2")),
    "conv3": (384, 3, 1, False, ()),
    "conv4": (384, 3, 1, True, ()),
    "conv5": (256, 3, 1, True, ("pool5",)),
}
FULLY_CONNECTED = {"fc6": 4096, "fc7": 4096}  # and the 1000 classes
# Section 5: biases of one, so that the ReLUs get positive inputs at first. All others are zero.
BIAS_ONE = ("conv2", "conv4", "conv5", "fc6", "fc7")

# Section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75, and what they do in each library.
LRN = {
    "paper": {"k": 2.0, "n": 5, "alpha": 1e-4, "beta": 0.75},
    "tensorflow": {"k": 2.0, "n": 11, "alpha": 1e-4, "beta": 0.75},  # takes 5 for its radius: 2 · 5 + 1 maps
    "caffe": {"k": 1.0, "n": 5, "alpha": 1e-4 / 5, "beta": 0.75},  # divides alpha by n; bvlc_alexnet leaves k
    "torch": {"k": 2.0, "n": 5, "alpha": 1e-4 / 5, "beta": 0.75},  # divides alpha by n
    None: None,
}


def gaussian(deviation: float, bias_one: float = 1.0) -> Callable[[int, bool], dict[str, Any]]:
    """Weights from N(0, deviation), and what the paper's biases of one are."""

    def draw(fan_in: int, one: bool) -> dict[str, Any]:
        return {
            "kernel_initializer": keras.initializers.RandomNormal(0.0, deviation),
            "bias_initializer": keras.initializers.Constant(bias_one if one else 0.0),
        }

    return draw


PAPER = gaussian(0.01)


@dataclass(frozen=True)
class Dialect:
    """What a peer does otherwise than the paper."""

    maps: dict[str, int] = field(default_factory=dict)  # where they are not those of figure 2
    groups: int = 2
    lrn: str | None = "paper"
    padding: int = 0
    draw: Callable[[int, bool], dict[str, Any]] = PAPER
    draw_hidden: Callable[[int, bool], dict[str, Any]] = PAPER  # fc6 and fc7
    dropout_first: bool = False  # dropout before fc6 and fc7, not after them
    ceil: bool = False  # pooling rounds up


DIALECTS = {
    "paper": Dialect(),
    # The single column of Krizhevsky 2014 (arXiv 1404.5997), which has no normalisation.
    "torchvision": Dialect(
        maps={"conv1": 64, "conv2": 192, "conv4": 256},
        groups=1, lrn=None, padding=2, dropout_first=True,
        draw=lambda fan_in, _: torch_linear(fan_in), draw_hidden=lambda fan_in, _: torch_linear(fan_in),
    ),
    # bvlc_alexnet, whose biases are a tenth where the paper's are one.
    "caffe": Dialect(lrn="caffe", draw=gaussian(0.01, 0.1), draw_hidden=gaussian(0.005, 0.1), ceil=True),
}  # fmt: skip


@builder
def alexnet(
    *,
    groups: int | None = None,
    lrn: str | None = DEFAULT,
    padding: int | None = None,
    width: float = 1.0,
    dropout: float = 0.5,
    dialect: str = "paper",
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """AlexNet (Krizhevsky et al. 2012, figure 2): 60,965,224 parameters.

        conv1 55x55x96 → pool1 27x27 → conv2 27x27x256 → pool2 13x13 → conv3, conv4 13x13x384
        → conv5 13x13x256 → pool5 6x6 → fc6 4096 → fc7 4096 → 1000

    Args:
        groups: 2 (default): the maps of two GPUs, as grouped convolutions in conv2, conv4 and conv5. 1:
            every map sees all maps; 62,378,344 parameters.
        lrn: Response normalisation after conv1 and conv2. "paper" (default): the formula of section 3.3.
            "tensorflow", "caffe" or "torch": what these libraries make of the paper's four numbers. None: no
            such layers.
        padding: Pixels of zeros around the image: 0 (default) for 227x227, or 2, which makes 55x55 maps of
            the 224x224 that the paper prints. Without them 224x224 becomes 54x54, and fc6 shrinks.
        width: What multiplies the maps of all convolutions and the units of fc6 and fc7, by default 1.0.
            Rounded to a multiple of `groups`, at least 8. Only the paper's dialect.
        dropout: The part of fc6's and fc7's outputs that training drops, by default 0.5 (section 4.2).
        dialect: "paper" (default). "torchvision": the later single column of 61,100,840 parameters, dropout
            before fc6 and fc7; it wants 224x224, where torchvision's adaptive pooling does nothing. "caffe":
            bvlc_alexnet. Both have one `groups`, `lrn` and `padding` each.
        input_shape: (height, width, channels) in pixels, by default (227, 227, 3), or (224, 224, 3) where
            `padding` is 2. At least 67 x 67 (39 x 39 for "caffe"), less the padding. Without the top,
            sizes may be None.
        classes: Number of classes, by default 1000.
        include_top: Whether to keep the fully connected layers. Without them the network ends in pool5.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): N(0, 0.01), biases of one in conv2, conv4, conv5, fc6 and fc7. Or the path of
            a .weights.h5 file.
        name: The model's name, by default "alexnet", "alexnet_w0.5" and the like.

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32; its
        layers are conv1, norm1, pool1 … pool5, fc6, fc7 and logits.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    how = look_up(DIALECTS, dialect, "dialect")

    def own(value: Any) -> dict[str, tuple[Any]]:
        return {} if dialect == "paper" else {f"dialect={dialect!r}": (value,)}

    groups = choose("groups", groups, (2, 1), own(how.groups))
    normalisation = LRN[choose("lrn", lrn, LRN, own(how.lrn), unset=DEFAULT)]
    padding = choose("padding", padding, (0, 2), own(how.padding))
    check_width(width, dialect)
    check_fraction("dropout", dropout, zero=True, one=False)
    frame = open_frame(
        name or widened("alexnet", width),
        input_shape=input_shape, default_shape=(224, 224, 3) if padding else (227, 227, 3),
        smallest=_smallest(padding, how.ceil), fixed_size=True,
        classes=classes, default_classes=1000, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip
    x = layers.ZeroPadding2D(padding, name="conv1_pad")(frame.image) if padding else frame.image
    for layer, (maps, kernel, stride, own_gpu, then) in FIGURE_2.items():
        maps = scaled(how.maps.get(layer, maps), width, groups)
        x = _conv(x, maps, kernel, stride, groups if own_gpu else 1, how, layer)
        for following in then:
            x = _pool(x, how, following) if "pool" in following else _normalise(x, normalisation, following)
    units = {layer: scaled(count, width) for layer, count in FULLY_CONNECTED.items()}
    head = partial(_fully_connected, how=how, units=units, dropout=dropout)
    return close_frame(frame, x, head, **how.draw(units["fc7"], False))


def _conv(x: Any, maps: int, kernel: int, stride: int, groups: int, how: Dialect, name: str) -> Any:
    fan_in = kernel * kernel * x.shape[-1] // groups
    return layers.Conv2D(
        maps, kernel, stride, "same" if stride == 1 else "valid", groups=groups, activation="relu", name=name,
        **how.draw(fan_in, name in BIAS_ONE),
    )(x)  # fmt: skip


def _normalise(x: Any, normalisation: dict[str, Any] | None, name: str) -> Any:
    return LocalResponseNormalization(**normalisation, name=name)(x) if normalisation else x


def _pool(x: Any, how: Dialect, name: str) -> Any:
    """Windows of 3x3 that overlap (section 3.4)."""
    return max_pool(x, ceil=True, name=name) if how.ceil else layers.MaxPooling2D(3, 2, name=name)(x)


def _fully_connected(x: Any, how: Dialect, units: dict[str, int], dropout: float) -> Any:
    """fc6 and fc7, with dropout, of one half in section 4.2.

    The paper multiplies by one half when it tests, Keras by two when it trains, which expects the same.
    """
    x = layers.Flatten(name="flatten")(x)
    for name, count in units.items():
        drop = layers.Dropout(dropout, name=f"{name}_dropout") if dropout else lambda x: x
        x = drop(x) if how.dropout_first else x
        drawn = how.draw_hidden(x.shape[-1], name in BIAS_ONE)
        x = layers.Dense(count, "relu", name=name, **drawn)(x)
        x = x if how.dropout_first else drop(x)
    return x


def _smallest(padding: int, ceil: bool) -> int:
    pool = (3, 2, 1 if ceil else 0)
    return smallest_size([(11, 4, 2 * padding), pool, pool, pool])
