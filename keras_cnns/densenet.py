"""DenseNet: Huang et al. 2016 (arXiv 1608.06993).

Within a block x_l = H_l([x_0, x_1, …, x_(l-1)]) (equation 2): a layer reads the block's input and what all
layers before it have made, and adds k maps, the growth rate. Nothing is added up, so nothing is lost.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers

from keras_cnns._blocks import (
    HE_NORMAL,
    HE_NORMAL_FAN_OUT,
    batch_norm,
    conv,
    max_pool,
    relu,
    torch_linear_zero_bias,
)
from keras_cnns._checks import DEFAULT, check_count, check_fraction, choose, look_up, pick, smallest_size
from keras_cnns._frame import builder, close_frame, global_average, open_frame

# depth: (growth rate k, bottlenecks, layers in each dense block). Table 1: four blocks, ImageNet. Table 2:
# three blocks, CIFAR. A layer with a bottleneck is two convolutions deep; conv1, the transitions and the
# classifier are the rest. By that rule the 264 of table 1 is 265 deep.
TABLE = {
    121: (32, True, (6, 12, 24, 16)),
    161: (48, True, (6, 12, 36, 24)),
    169: (32, True, (6, 12, 32, 32)),
    201: (32, True, (6, 12, 48, 32)),
    264: (32, True, (6, 12, 64, 48)),
    40: (12, False, (12, 12, 12)),
    100: (12, True, (16, 16, 16)),
    190: (40, True, (31, 31, 31)),
    250: (24, True, (41, 41, 41)),
}
COMPRESSION = 0.5  # section 3, "Compression": the θ of DenseNet-C and DenseNet-BC
BOTTLENECK = 4  # "Bottleneck layers": a 1x1 convolution makes 4k maps for the 3x3
PLAIN_STEM = 16  # "Implementation Details": 16 maps, "or twice the growth rate for DenseNet-BC"


@dataclass(frozen=True)
class Dialect:
    """What a peer does where the paper is silent, or does otherwise."""

    depths: tuple[int, ...] = tuple(TABLE)
    fixed: bool = False  # it has the rows of table 1 and no other growth rate or form
    epsilon: float = 1e-5
    momentum: float = 0.9
    initializer: Any = field(default_factory=lambda: HE_NORMAL)
    wide_stem: bool = False  # plain nets too start with 2k maps
    fc: Callable[[int], dict[str, Any]] = lambda _: {"kernel_initializer": HE_NORMAL}


DIALECTS = {
    "paper": Dialect(),
    "authors": Dialect(initializer=HE_NORMAL_FAN_OUT, wide_stem=True, fc=torch_linear_zero_bias),
    "keras": Dialect((121, 169, 201), True, 1.001e-5, 0.99, "glorot_uniform", fc=lambda _: {}),
    "torchvision": Dialect((121, 161, 169, 201), True, fc=torch_linear_zero_bias),
}


@dataclass(frozen=True)
class Plan:
    """How all layers of one network are built.

    Attributes:
        growth_rate: Maps that each layer adds, k.
        blocks: Layers in each dense block.
        bottleneck: Whether a 1x1 convolution goes before each 3x3 (DenseNet-B).
        compression: The part of the maps that a transition keeps, θ (DenseNet-C).
        dropout: The part of each convolution's outputs that training drops.
        dialect: Constants.
    """

    growth_rate: int
    blocks: tuple[int, ...]
    bottleneck: bool
    compression: float
    dropout: float
    dialect: Dialect


@builder
def densenet(
    depth: int = 121,
    *,
    growth_rate: int | None = None,
    bottleneck: bool | None = None,
    compression: float | None = None,
    dropout: float = 0.0,
    dialect: str = "paper",
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """A densely connected network (Huang et al. 2016, tables 1 and 2).

        conv1 112x112 → pool1 56x56 → block1 56x56 → transition1 28x28 → block2 28x28 → transition2 14x14
        → block3 14x14 → transition3 7x7 → block4 7x7 → 1000
        CIFAR: conv1 32x32 → block1 32x32 → transition1 16x16 → block2 16x16 → transition2 8x8
        → block3 8x8 → 10

    Args:
        depth: 121 (default), 161, 169, 201 or 264 for ImageNet; 40, 100, 190 or 250 for CIFAR. The number of
            layers with weights.
        growth_rate: Maps that each layer adds, k, by default 32, for 161 48; of 40 and 100 12 (24 in
            table 2 too), of 190 40, of 250 24.
        bottleneck: CIFAR alone: whether a layer is BN-ReLU-1x1-BN-ReLU-3x3 (True, the default of 100, 190 and
            250) or BN-ReLU-3x3 (False, the default of 40). The depth stays: without bottlenecks the blocks
            have twice as many layers. ImageNet's nets have them.
        compression: The part of the maps that a transition keeps, above 0 and up to 1; by default 0.5 with
            bottlenecks (DenseNet-BC) and 1.0 without.
        dropout: The part of every convolution's outputs but the first one's that training drops, by default
            0. The paper has 0.2 where the images are not augmented, and there alone.
        dialect: "paper" (default). "authors": their Lua code, which starts every net with 2k maps, the plain
            ones too, where the paper has 16, and draws the weights by fan-out. "keras": as
            keras.applications has 121, 169 and 201; "torchvision": those and 161.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3) or (32, 32, 3); at least
            29 x 29 or 4 x 4. Sizes may be None.
        classes: Number of classes, by default 1000 or 10.
        include_top: Whether to keep the average pooling and the classifier.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): the paper draws as He does, with zero biases, and each dialect as its peer.
            Or the path of a .weights.h5 file.
        name: The model's name, by default "densenet121", "cifar_densenet_L40_k12",
            "cifar_densenet_bc_L100_k12" and the like.

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32. Layers
        are called block1_1, their parts block1_1_bn1, _relu1, _conv1 … and _concat.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    plan = _plan(depth, growth_rate, bottleneck, compression, dropout, dialect)
    imagenet = len(plan.blocks) == 4
    frame = open_frame(
        name or _name(depth, plan),
        input_shape=input_shape, default_shape=(224, 224, 3) if imagenet else (32, 32, 3),
        smallest=smallest_size([(7, 2, 6), (3, 2, 2), *[(2, 2)] * 3] if imagenet else [(2, 2)] * 2),
        classes=classes, default_classes=1000 if imagenet else 10, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip
    maps = dense_blocks(stem(frame.image, plan), plan)
    return close_frame(frame, maps, global_average, **plan.dialect.fc(maps.shape[-1]))


def stem(x: Any, plan: Plan) -> Any:
    """conv1 and pool1 (table 1), or CIFAR's one 3x3, whose BN-ReLU is left to the first layer."""
    if len(plan.blocks) == 4:
        x = conv(x, 2 * plan.growth_rate, 7, 2, name="conv1", initializer=plan.dialect.initializer)
        return max_pool(_bn_relu(x, plan, "conv1"), name="pool1")
    wide = plan.dialect.wide_stem or _form(plan) == "bc"
    width = 2 * plan.growth_rate if wide else PLAIN_STEM
    return conv(x, width, 3, name="conv1", initializer=plan.dialect.initializer)


def dense_blocks(x: Any, plan: Plan) -> Any:
    """All blocks with a transition between two of them, and the last BN-ReLU."""
    for block, count in enumerate(plan.blocks, start=1):
        for i in range(count):
            x = dense_layer(x, plan, f"block{block}_{i + 1}")
        if block < len(plan.blocks):
            x = transition(x, plan, f"transition{block}")
    return _bn_relu(x, plan, "post")


def dense_layer(x: Any, plan: Plan, name: str) -> Any:
    """[x, H(x)], H being BN-ReLU-3x3, or BN-ReLU-1x1-BN-ReLU-3x3: the maps so far first, then k new ones."""
    k = plan.growth_rate
    convolutions = ((BOTTLENECK * k, 1), (k, 3)) if plan.bottleneck else ((k, 3),)
    f = x
    for i, (width, kernel) in enumerate(convolutions, start=1):
        f = _conv(_bn_relu(f, plan, name, i), width, kernel, plan, name, i)
    return layers.Concatenate(name=f"{name}_concat")([x, f])


def transition(x: Any, plan: Plan, name: str) -> Any:
    """BN-ReLU-1x1 and 2x2 average pooling: half the side, ⌊θm⌋ of the m maps."""
    x = _conv(_bn_relu(x, plan, name), max(int(plan.compression * x.shape[-1]), 1), 1, plan, name)
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def _bn_relu(x: Any, plan: Plan, name: str, i: int | str = "") -> Any:
    how = plan.dialect
    x = batch_norm(x, f"{name}_bn{i}", epsilon=how.epsilon, momentum=how.momentum)
    return relu(x, f"{name}_relu{i}")


def _conv(x: Any, width: int, kernel: int, plan: Plan, name: str, i: int | str = "") -> Any:
    x = conv(x, width, kernel, name=f"{name}_conv{i}", initializer=plan.dialect.initializer)
    return layers.Dropout(plan.dropout, name=f"{name}_dropout{i}")(x) if plan.dropout else x


def _plan(
    depth: int,
    growth_rate: int | None,
    bottleneck: bool | None,
    compression: float | None,
    dropout: float,
    dialect: str,
) -> Plan:
    """The table's row, with what the caller changes in it."""
    k, bottlenecks, blocks = look_up(TABLE, depth, "depth")
    how = look_up(DIALECTS, dialect, "dialect")
    choose("depth", depth, TABLE, {f"dialect={dialect!r}": how.depths})
    if growth_rate is not None:
        check_count("growth_rate", growth_rate)
    pick("bottleneck", bottleneck, (None, True, False))
    if compression is not None:
        check_fraction("compression", compression, zero=False, one=True)
    check_fraction("dropout", dropout, zero=True, one=False)
    if bottleneck is False and len(blocks) == 4:
        raise ValueError(
            f"bottleneck=False contradicts depth={depth}; only CIFAR's nets, such as 40, go without."
        )
    with_them = bottlenecks if bottleneck is None else bottleneck
    # A layer with a bottleneck is two convolutions deep.
    blocks = tuple(count * (1 + bottlenecks) // (1 + with_them) for count in blocks)
    default = COMPRESSION if with_them else 1.0
    plan = Plan(growth_rate or k, blocks, with_them, compression or default, dropout, how)
    row = {"growth_rate": k, "compression": default, "dropout": 0.0}
    for argument, own in row.items():
        given = getattr(plan, argument)
        if how.fixed and given != own:
            raise ValueError(
                f"{argument}={given!r} contradicts dialect={dialect!r}, whose net of {depth} layers has "
                f"{own} alone."
            )
    return plan


def _form(plan: Plan) -> str:
    """What table 2 adds to the name DenseNet: "b" for bottlenecks, "c" for compression, both or nothing."""
    return ("b" if plan.bottleneck else "") + ("c" if plan.compression < 1 else "")


def _name(depth: int, plan: Plan) -> str:
    if len(plan.blocks) == 4:
        return f"densenet{depth}"
    return "_".join(["cifar_densenet", *filter(None, [_form(plan)]), f"L{depth}_k{plan.growth_rate}"])
