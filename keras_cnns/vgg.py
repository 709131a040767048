"""VGG: Simonyan and Zisserman 2014 (arXiv 1409.1556).

One idea: 3x3 convolutions alone, and more of them. Two in a row see 5x5, three 7x7, with fewer weights and
more ReLUs than one such layer has (section 2.3).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
from keras import layers

from keras_cnns._blocks import HE_NORMAL_FAN_OUT, batch_norm, conv, relu, scaled, untouched
from keras_cnns._checks import DEFAULT, check_fraction, check_width, look_up, pick
from keras_cnns._frame import Frame, builder, close_frame, open_frame, widened
from keras_cnns.layers import LocalResponseNormalization

# Table 1. configuration: the kernels' sides, block by block; each block ends in max pooling.
TABLE_1 = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "A-LRN": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
MAPS = (64, 128, 256, 512, 512)  # of each block
FULLY_CONNECTED = 4096  # units of fc6 and of fc7
LETTERS = {11: "A", 13: "B", 16: "D", 19: "E"}  # layers with weights; "VGG-16" is D, though C has sixteen too
NAMES = {"A": "vgg11", "A-LRN": "vgg11_lrn", "B": "vgg13", "C": "vgg16_c", "D": "vgg16", "E": "vgg19"}
SMALLEST = 32  # five halvings leave one unit


def _normal() -> Any:
    return keras.initializers.RandomNormal(0.0, 0.01)


def _glorot() -> Any:
    return keras.initializers.GlorotUniform()


@dataclass(frozen=True)
class Dialect:
    """What a peer does where the paper is silent, or does otherwise. Biases are zero everywhere."""

    configurations: tuple[str, ...] = tuple(TABLE_1)
    draw: Callable[[], Any] = _glorot  # weights of the convolutions
    draw_dense: Callable[[], Any] = _glorot
    dropout: float = 0.5
    batch_norm: bool = True  # whether there are such nets


DIALECTS = {
    # Section 3.1: A starts from N(0, 0.01), the deeper nets from a trained A. After the submission the
    # authors found that Glorot and Bengio's initialisation spares this detour; so B to E start that way here.
    "paper": Dialect(),
    "paper A": Dialect(draw=_normal, draw_dense=_normal),
    "keras": Dialect(("D", "E"), dropout=0.0, batch_norm=False),
    "torchvision": Dialect(("A", "B", "D", "E"), lambda: HE_NORMAL_FAN_OUT, _normal),
}
PEERS = ("paper", "keras", "torchvision")


@dataclass(frozen=True)
class Plan:
    """How the convolutions of one network are built.

    Attributes:
        kernels: A row of table 1.
        batch_norm: Whether each convolution is normalised before its ReLU.
        lrn: Whether conv1_1 is followed by response normalisation.
        dialect: Constants.
        gate: (maps, place, convolution's name) → maps, after batch normalisation and before the ReLU; the
            place is "standard". SENet's blocks come in here.
        width: What multiplies the maps of all convolutions and the units of fc6 and fc7.
    """

    kernels: tuple[tuple[int, ...], ...]
    batch_norm: bool = False
    lrn: bool = False
    dialect: Dialect = DIALECTS["paper"]
    gate: Callable[[Any, str, str], Any] = untouched
    width: float = 1.0

    @property
    def folded(self) -> bool:
        """Whether nothing stands between a convolution and its ReLU, so that both are one layer."""
        return not self.batch_norm and self.gate is untouched


@builder
def vgg(
    depth: int | str = 16,
    *,
    batch_norm: bool = False,
    width: float = 1.0,
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
    """A VGG net (Simonyan and Zisserman 2014, table 1); VGG-16 has 138,357,544 parameters.

        conv1_x 224x224x64 → conv2_x 112x112x128 → conv3_x 56x56x256 → conv4_x 28x28x512 → conv5_x 14x14x512
        → pool5 7x7 → fc6 4096 → fc7 4096 → 1000

    Args:
        depth: Layers with weights: 16 (default), 11, 13 or 19. Or table 1's letter "A", "A-LRN", "B", "C",
            "D" or "E": 16 is "D"; "C" has as many layers, three of them 1x1.
        batch_norm: Whether each convolution is followed by batch normalisation, which is younger than the
            paper; the convolutions keep their biases, as in torchvision.
        width: What multiplies the maps of all convolutions and the units of fc6 and fc7, by default 1.0.
            Rounded to whole maps, at least 8. Only the paper's dialect.
        dropout: The part of fc6's and fc7's outputs that training drops, by default 0.5 (section 3.1), for
            "keras" 0.
        dialect: "paper" (default). "keras": keras.applications's VGG16 and VGG19, without dropout.
            "torchvision": He's normal initialisation of the convolutions; give it 224x224, where
            torchvision's adaptive pooling does nothing.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3), at least 32 x 32. Without
            the top, sizes may be None.
        classes: Number of classes, by default 1000.
        include_top: Whether to keep the fully connected layers. Without them the network ends in pool5.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): N(0, 0.01) for A, Glorot's uniform initialisation for B to E, zero biases. Or
            the path of a .weights.h5 file.
        name: The model's name, by default "vgg16", "vgg16_bn", "vgg16_c", "vgg16_w0.5" and the like.

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32; its
        layers are conv1_1 … pool5, fc6, fc7 and logits.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    plan = vgg_plan(depth, batch_norm=batch_norm, dialect=dialect, width=width, dropout=dropout)
    frame = open_frame(
        name or name_of(depth, batch_norm, width),
        input_shape=input_shape, default_shape=(224, 224, 3), smallest=SMALLEST, fixed_size=True,
        classes=classes, default_classes=1000, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip
    return vgg_between(frame, plan)


def vgg_plan(
    depth: int | str,
    *,
    batch_norm: bool = False,
    dialect: str = "paper",
    width: float = 1.0,
    dropout: float | None = None,
) -> Plan:
    """The plan of a network.

    Args:
        depth: As of `vgg`.
        batch_norm: As of `vgg`.
        dialect: As of `vgg`.
        width: As of `vgg`.
        dropout: As of `vgg`.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
    """
    letter = _letter(depth)
    how = look_up({peer: DIALECTS[peer] for peer in PEERS}, dialect, "dialect")
    if letter not in how.configurations:
        raise ValueError(
            f"depth={depth!r} contradicts dialect={dialect!r}, which has the configurations "
            f"{', '.join(how.configurations)} alone."
        )
    pick("batch_norm", batch_norm, (True, False))
    if batch_norm and not how.batch_norm:
        raise ValueError(f"batch_norm=True contradicts dialect={dialect!r}, which has no such network.")
    if batch_norm and letter == "A-LRN":
        raise ValueError(
            "batch_norm=True contradicts depth='A-LRN', which has response normalisation instead."
        )
    how = DIALECTS.get(f"{dialect} {letter[0]}", how)
    if dropout is not None:
        how = replace(how, dropout=check_fraction("dropout", dropout, zero=True, one=False))
    return Plan(TABLE_1[letter], batch_norm, letter == "A-LRN", how, width=check_width(width, dialect))


def vgg_between(frame: Frame, plan: Plan) -> keras.Model:
    """The network of a plan, from the image of an open frame to its end."""
    maps = vgg_maps(frame.image, plan)
    head = partial(_fully_connected, plan=plan)
    return close_frame(frame, maps, head, kernel_initializer=plan.dialect.draw_dense())


def vgg_maps(x: Any, plan: Plan) -> Any:
    """Five blocks of convolutions, each of which ends in a pooling that halves the maps."""
    for block, (kernels, maps) in enumerate(zip(plan.kernels, MAPS, strict=True), start=1):
        for i, kernel in enumerate(kernels, start=1):
            x = _conv(x, scaled(maps, plan.width), kernel, plan, f"conv{block}_{i}")
        if plan.lrn and block == 1:
            x = LocalResponseNormalization(name="norm1")(x)  # AlexNet's numbers, says section 2.1
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x)
    return x


def _conv(x: Any, maps: int, kernel: int, plan: Plan, name: str) -> Any:
    """A convolution with bias and ReLU."""
    draw, first = plan.dialect.draw(), "relu" if plan.folded else None
    x = conv(x, maps, kernel, name=name, initializer=draw, bias=True, activation=first)
    if plan.batch_norm:
        x = batch_norm(x, f"{name}_bn")
    x = plan.gate(x, "standard", name)
    return x if plan.folded else relu(x, f"{name}_relu")


def _fully_connected(x: Any, plan: Plan) -> Any:
    """fc6 and fc7, with dropout (section 3.1)."""
    how, units = plan.dialect, scaled(FULLY_CONNECTED, plan.width)
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc6", "fc7"):
        x = layers.Dense(units, "relu", kernel_initializer=how.draw_dense(), name=name)(x)
        x = layers.Dropout(how.dropout, name=f"{name}_dropout")(x) if how.dropout else x
    return x


def name_of(depth: int | str, batch_norm: bool, width: float) -> str:
    """Such as vgg16, vgg16_bn and vgg16_bn_w0.5."""
    return widened(NAMES[_letter(depth)] + ("_bn" if batch_norm else ""), width)


def _letter(depth: int | str) -> str:
    """Table 1's letter for a number of layers, or for itself."""
    return str(look_up({**LETTERS, **{letter: letter for letter in TABLE_1}}, depth, "depth"))
