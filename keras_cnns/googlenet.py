"""GoogLeNet: Szegedy et al. 2014 (arXiv 1409.4842); BN-Inception: Ioffe & Szegedy 2015 (arXiv 1502.03167).

A module looks at the same maps through windows of several sizes and lays the answers side by side; 1x1
convolutions before the larger windows keep that cheap.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import keras
from keras import layers

from keras_cnns._blocks import HE_NORMAL, batch_norm, conv, fresh, max_pool, relu, torch_linear, untouched
from keras_cnns._checks import DEFAULT, check_fraction, look_up, pick, smallest_size
from keras_cnns._frame import Frame, builder, close_frame, global_average, open_frame, score
from keras_cnns.layers import AdaptiveAveragePooling2D, LocalResponseNormalization

# Szegedy et al. 2014, table 1: maps of each convolution of a module.
TABLE_1 = {
    # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    # The row prints 54M operations, which a 5x5 reduce of 48 would cost; its 32 costs 51M.
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
POOL_AFTER = {"3b": "pool3", "4e": "pool4"}  # table 1
HEAD_AFTER = {"4a": "aux1", "4d": "aux2"}  # section 5: "on top of the output of" these modules

# Ioffe & Szegedy 2015, figure 5. Modules without a 1x1 have stride 2 and hand their pooled input on. The
# figure's output column prints 576, 576, 1024 maps for 4c, 4d, 4e; its branches add up to 608, 608, 1056.
FIGURE_5 = {
    # 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool, pool proj
    "3a": (64, 64, 64, 64, 96, "avg", 32),
    "3b": (64, 64, 96, 64, 96, "avg", 64),
    "3c": (0, 128, 160, 64, 96, "max", 0),
    "4a": (224, 64, 96, 96, 128, "avg", 128),
    "4b": (192, 96, 128, 96, 128, "avg", 128),
    "4c": (160, 128, 160, 128, 160, "avg", 128),
    "4d": (96, 128, 192, 160, 192, "avg", 128),
    "4e": (0, 128, 192, 192, 256, "max", 0),
    "5a": (352, 192, 320, 160, 224, "avg", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}

# As configurations: a Keras initialiser that is made at import would use up the random numbers of a seed.
# Caffe's "xavier" filler: uniform with a variance of 1 / fan-in, without the fan-out.
CAFFE_XAVIER = {"class_name": "VarianceScaling", "config": {"mode": "fan_in", "distribution": "uniform"}}
NORMAL_001 = {"class_name": "RandomNormal", "config": {"stddev": 0.01}}


@dataclass(frozen=True)
class Dialect:
    """What a peer does where the papers are silent, or does otherwise."""

    # Neither paper says how its weights start: He's normal initialisation and zero biases are our choice.
    initializer: Any = field(default_factory=lambda: HE_NORMAL)
    bias: bool = True  # of the convolutions
    bias_initializer: Any = "zeros"
    fc: Callable[[int], dict[str, Any]] = lambda _: {"kernel_initializer": HE_NORMAL}
    epsilon: float | None = None  # of batch normalisation; None for none
    lrn: tuple[float, float] | None = None  # k and alpha; None for none
    widest: int = 5  # side of the "5x5"
    pool4: int = 3
    dropout: float = 0.4
    adaptive: bool = False  # the heads pool to 4x4, whatever the size
    count_border: bool = False  # average pooling divides by 9 at the border too


# Figure 3 has LRN without its constants: AlexNet's as printed (Krizhevsky et al. 2012, section 3.3).
_PAPER = Dialect(lrn=(2.0, 1e-4))
DIALECTS = {
    "paper": _PAPER,
    # bvlc_googlenet: Caffe divides alpha = 1e-4 by the 5 maps of the window, and k is 1.
    "caffe": replace(
        _PAPER, lrn=(1.0, 2e-5), initializer=CAFFE_XAVIER, bias_initializer=keras.initializers.Constant(0.2),
        fc=lambda _: {"kernel_initializer": CAFFE_XAVIER},
    ),
    # 3x3 for 5x5 is a mistake that its weights have kept (pytorch/vision#906).
    "torchvision": Dialect(
        NORMAL_001, bias=False, epsilon=1e-3, widest=3, pool4=2, dropout=0.2, adaptive=True,
        fc=lambda fan_in: {**torch_linear(fan_in), "kernel_initializer": NORMAL_001},
    ),
}  # fmt: skip
BN_DIALECTS = {
    "paper": Dialect(bias=False, epsilon=1e-5),
    "caffe": Dialect(bias=False, epsilon=1e-5, count_border=True),
}

_STEM_WINDOWS = [(7, 2, 6), (3, 2, 1), (3, 2, 1)]  # (kernel, stride, padding) of conv1, pool1 and pool2


@builder
def googlenet(
    *,
    aux: bool = False,
    separable_stem: bool = False,
    dropout: float | None = None,
    dialect: str = "paper",
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """GoogLeNet (Szegedy et al. 2014, table 1), 6,998,552 parameters, 13,378,280 with its heads.

        conv1 112x112x64 → pool1 56x56 → conv2 56x56x192 → pool2 28x28 → inception3a 28x28x256 → 3b 28x28x480
        → pool3 14x14 → 4a to 4c 14x14x512 → 4d 14x14x528 → 4e 14x14x832 → pool4 7x7 → 5a 7x7x832
        → 5b 7x7x1024 → 1000

    Args:
        aux: Whether to add the two auxiliary classifiers of section 5 for training, where their losses count
            0.3 each. `strip_auxiliary` takes them off again.
        separable_stem: Whether conv1 is a separable convolution, whose 2,712 weights and 34M operations are
            those of table 1's first row; the released networks have a full one, 9,472 and 118M.
        dropout: The part of the averages that training drops before the classifier, by default 0.4 (table 1),
            for "torchvision" 0.2. The heads keep their 0.7.
        dialect: "paper" (default). "caffe": bvlc_googlenet. "torchvision": batch normalisation, no response
            normalisation, 3x3 for 5x5, a 2x2 pool4, other heads.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3). At least 31 x 31, with
            `aux` 79 x 79, with "torchvision" 15 x 15. Without `aux`, sizes may be None.
        classes: Number of classes, by default 1000.
        include_top: Whether to keep the average pooling and the classifier.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): He's normal initialisation, zero biases; "caffe": uniform in ±√(3/fan-in),
            biases 0.2; "torchvision": N(0, 0.01). Or the path of a .weights.h5 file.
        name: The model's name, by default "googlenet".

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32; with
        `aux` to a dict of three such outputs, "main", "aux1" and "aux2". Modules are called inception3a,
        their convolutions inception3a_1x1, _3x3_reduce, _3x3, _5x5_reduce, _5x5 and _pool_proj.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    how = look_up(DIALECTS, dialect, "dialect")
    pick("aux", aux, (True, False))
    pick("separable_stem", separable_stem, (True, False))
    if dropout is not None:
        how = replace(how, dropout=check_fraction("dropout", dropout, zero=True, one=False))
    if aux and not include_top:
        raise ValueError(
            "aux=True contradicts include_top=False, which has no classifiers; give aux=False, "
            "or include_top=True."
        )
    if separable_stem and dialect != "paper":
        raise ValueError(
            f"separable_stem=True contradicts dialect={dialect!r}, whose conv1 is a full convolution; "
            f"leave one out."
        )
    frame = open_frame(
        name or "googlenet",
        input_shape=input_shape, default_shape=(224, 224, 3), smallest=_smallest(how, aux), fixed_size=aux,
        classes=classes, default_classes=1000, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip
    x, heads = stem(frame.image, how, separable_stem), {}
    for row, widths in TABLE_1.items():
        x = inception(x, widths, how, f"inception{row}")
        if aux and row in HEAD_AFTER:
            heads[HEAD_AFTER[row]] = auxiliary_head(frame, x, how, HEAD_AFTER[row])
        if row in POOL_AFTER:
            x = max_pool(x, ceil=True, size=how.pool4 if row == "4e" else 3, name=POOL_AFTER[row])

    top = partial(global_average, dropout=how.dropout)
    return close_frame(frame, x, top, auxiliary=heads, **how.fc(x.shape[-1]))


@builder
def bn_inception(
    *,
    conv_bias: bool = False,
    dialect: str = "paper",
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """GoogLeNet with batch normalisation (Ioffe & Szegedy 2015, figure 5), 11,285,224 parameters.

        conv1 112x112x64 → pool1 56x56 → conv2 56x56x192 → pool2 28x28 → inception3a 28x28x256 → 3b 28x28x320
        → 3c 14x14x576 → 4a, 4b 14x14x576 → 4c, 4d 14x14x608 → 4e 7x7x1056 → 5a, 5b 7x7x1024 → 1000

    Args:
        conv_bias: Whether the convolutions have biases, which batch normalisation takes away again: so it is
            in the PyTorch port, 11,295,240 parameters.
        dialect: "paper" (default): average pooling divides by the pixels that exist. "caffe": by nine at the
            border too, as the networks released with SENet.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3); at least 7 x 7, and sizes
            may be None.
        classes: Number of classes, by default 1000.
        include_top: Whether to keep the average pooling and the classifier.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): He's normal initialisation, zero biases. Or the path of a .weights.h5 file.
        name: The model's name, by default "bn_inception".

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32. Modules
        are called inception3a, their convolutions inception3a_1x1, _3x3_reduce, _3x3, _d3x3_reduce, _d3x3_1,
        _d3x3_2 and _pool_proj.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    how = replace(look_up(BN_DIALECTS, dialect, "dialect"), bias=pick("conv_bias", conv_bias, (True, False)))
    frame = open_frame(
        name or "bn_inception", input_shape=input_shape, default_shape=(224, 224, 3), smallest=BN_SMALLEST,
        classes=classes, default_classes=1000, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip
    x = bn_modules(stem(frame.image, how), how)
    # Section 4.2.1: no dropout.
    return close_frame(frame, x, global_average, **how.fc(x.shape[-1]))


# Modules 3c and 4e halve the maps with a padding of 1, and leave at least one pixel.
BN_SMALLEST = smallest_size(_STEM_WINDOWS)


def stem(x: Any, how: Dialect, separable: bool = False) -> Any:
    """conv1 to pool2, the same in table 1 and figure 5.

    Figure 5's conv1 is separable in the paper (appendix); a full one, as all releases have it, costs 118M.
    """
    x = _separable_conv1(x) if separable else conv_relu(x, 64, 7, how, "conv1", stride=2)
    x = _lrn(max_pool(x, ceil=True, name="pool1"), how, "pool1_norm")
    x = conv_relu(x, 64, 1, how, "conv2_reduce")
    x = _lrn(conv_relu(x, 192, 3, how, "conv2"), how, "conv2_norm")
    return max_pool(x, ceil=True, name="pool2")


def inception(x: Any, widths: tuple[int, ...], how: Dialect, name: str) -> Any:
    """A module with dimension reductions (Szegedy et al. 2014, figure 2b)."""
    one, reduce_3, three, reduce_5, five, projection = widths
    a = conv_relu(x, one, 1, how, f"{name}_1x1")
    b = conv_relu(x, reduce_3, 1, how, f"{name}_3x3_reduce")
    b = conv_relu(b, three, 3, how, f"{name}_3x3")
    c = conv_relu(x, reduce_5, 1, how, f"{name}_5x5_reduce")
    c = conv_relu(c, five, how.widest, how, f"{name}_5x5")
    d = layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)
    d = conv_relu(d, projection, 1, how, f"{name}_pool_proj")
    return layers.Concatenate(name=name)([a, b, c, d])


def auxiliary_head(frame: Frame, x: Any, how: Dialect, name: str) -> Any:
    """A small classifier on a module's output (Szegedy et al. 2014, section 5)."""
    if how.adaptive:
        x = AdaptiveAveragePooling2D(4, name=f"{name}_pool")(x)
    else:
        x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    x = conv_relu(x, 128, 1, how, f"{name}_conv")
    x = layers.Flatten(name=f"{name}_flatten")(x)
    fc = {"bias_initializer": how.bias_initializer, **how.fc(x.shape[-1])}
    own = {argument: fresh(value) for argument, value in fc.items()}
    x = layers.Dense(1024, activation="relu", name=f"{name}_fc", **own)(x)
    x = layers.Dropout(0.7, name=f"{name}_dropout")(x)  # "70% ratio of dropped outputs"
    return score(frame, x, f"{name}_logits", f"{name}_predictions", **how.fc(1024))


def bn_modules(x: Any, how: Dialect, gate: Callable[[Any, str, str], Any] = untouched) -> Any:
    """All modules of figure 5.

    Args:
        x: What the stem gives.
        how: A row of `BN_DIALECTS`.
        gate: (maps, place, module's name) → maps, called on each module's output with the place "standard";
            SENet's blocks come in here.
    """
    for row, widths in FIGURE_5.items():
        x = gate(bn_module(x, widths, how, f"inception{row}"), "standard", f"inception{row}")
    return x


def bn_module(x: Any, widths: tuple[Any, ...], how: Dialect, name: str) -> Any:
    """A module whose 5x5 is two 3x3 (Ioffe & Szegedy 2015, figure 5 and section 4.2)."""
    one, reduce_3, three, reduce_5, double, pool, projection = widths
    stride = 1 if one else 2
    branches = [conv_relu(x, one, 1, how, f"{name}_1x1")] if one else []
    b = conv_relu(x, reduce_3, 1, how, f"{name}_3x3_reduce")
    branches.append(conv_relu(b, three, 3, how, f"{name}_3x3", stride))
    c = conv_relu(x, reduce_5, 1, how, f"{name}_d3x3_reduce")
    c = conv_relu(c, double, 3, how, f"{name}_d3x3_1")
    branches.append(conv_relu(c, double, 3, how, f"{name}_d3x3_2", stride))
    if stride == 2:
        branches.append(_max_pool_like_conv(x, f"{name}_pool"))
    else:
        d = _pool(x, pool, how, f"{name}_pool")
        branches.append(conv_relu(d, projection, 1, how, f"{name}_pool_proj"))
    return layers.Concatenate(name=name)(branches)


def conv_relu(x: Any, filters: int, kernel: int, how: Dialect, name: str, stride: int = 1) -> Any:
    """A convolution, batch normalisation in the networks that have it, ReLU."""
    x = conv(
        x, filters, kernel, stride, name=name, initializer=how.initializer, bias=how.bias,
        bias_initializer=how.bias_initializer, activation=None if how.epsilon else "relu",
    )  # fmt: skip
    return relu(batch_norm(x, f"{name}_bn", epsilon=how.epsilon), f"{name}_relu") if how.epsilon else x


def _separable_conv1(x: Any) -> Any:
    """Eight 7x7 maps of each colour, then a 1x1; without biases it has 2,712 weights, printed as 2.7K."""
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    return layers.SeparableConv2D(
        64, 7, 2, depth_multiplier=8, activation="relu", use_bias=False,
        depthwise_initializer=keras.initializers.RandomNormal(stddev=1 / 7),  # 49 inputs each, no ReLU after
        pointwise_initializer=HE_NORMAL, name="conv1",
    )(x)  # fmt: skip


def _lrn(x: Any, how: Dialect, name: str) -> Any:
    return x if how.lrn is None else LocalResponseNormalization(5, *how.lrn, 0.75, name=name)(x)


def _pool(x: Any, kind: str, how: Dialect, name: str) -> Any:
    """3x3 pooling with stride 1."""
    if kind == "max":
        return layers.MaxPooling2D(3, 1, "same", name=name)(x)
    if not how.count_border:
        return layers.AveragePooling2D(3, 1, "same", name=name)(x)
    return layers.AveragePooling2D(3, 1, name=name)(layers.ZeroPadding2D(1, name=f"{name}_pad")(x))


def _max_pool_like_conv(x: Any, name: str) -> Any:
    """3x3 max pooling with stride 2 that fits beside a convolution on odd sizes too.

    On even sizes it is Caffe's; on odd ones Caffe's would be a pixel smaller than the convolutions. The input
    is nowhere negative, so that zeros do not matter.
    """
    return layers.MaxPooling2D(3, 2, name=name)(layers.ZeroPadding2D(((0, 2), (0, 2)), name=f"{name}_pad")(x))


def _smallest(how: Dialect, aux: bool) -> int:
    """The smallest side in pixels: one pixel at the end, five where a head pools."""
    before_4a = [*_STEM_WINDOWS, (3, 2, 1)]
    trunk = smallest_size([*before_4a, (how.pool4, 2, 1)])
    return max(trunk, smallest_size([*before_4a, (5, 3)])) if aux and not how.adaptive else trunk
