"""ResNet: He et al. 2015 (arXiv 1512.03385), and its pre-activation form, He et al. 2016 (arXiv 1603.05027).

A unit is y = F(x) + x: its branch F learns what to add, its shortcut hands x on. n units in a row are the sum
of 2^n paths through them (Veit et al. 2016).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
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
    scaled,
    torch_linear,
)
from keras_cnns._checks import DEFAULT, check_fraction, check_width, choose, look_up, pick, smallest_size
from keras_cnns._frame import builder, close_frame, global_average, open_frame, widened
from keras_cnns.layers import PaddedIdentity

BASIC, BOTTLENECK = (3, 3), (1, 3, 1)  # the kernels of a unit's branch

# He et al. 2015, table 1 and section 4.2; He et al. 2016, section 4 (200: table 5; 164 and 1001: table 4).
# depth: (kernels, units in each stage). Four stages are an ImageNet net, three a CIFAR net.
TABLE = {
    18: (BASIC, (2, 2, 2, 2)),
    34: (BASIC, (3, 4, 6, 3)),
    50: (BOTTLENECK, (3, 4, 6, 3)),
    101: (BOTTLENECK, (3, 4, 23, 3)),
    152: (BOTTLENECK, (3, 8, 36, 3)),
    200: (BOTTLENECK, (3, 24, 36, 3)),
    **{6 * n + 2: (BASIC, (n, n, n)) for n in (3, 5, 7, 9, 18, 200)},
    **{9 * n + 2: (BOTTLENECK, (n, n, n)) for n in (18, 111)},
}
VERSIONS = (1, 1.5, 2)
ONLY_VERSION_2 = (200, 164, 1001)
STEMS = ("7x7", "3x3")  # conv1 and pool1 of table 1, section 4.2's one convolution
FIRST_WIDTH = {4: 64, 3: 16}  # stages: maps of the stem


@dataclass(frozen=True)
class Dialect:
    """What a peer does where the papers are silent, or does otherwise."""

    depths: tuple[int, ...] = tuple(TABLE)
    versions: tuple[float, ...] = VERSIONS
    shortcuts: str = "ABC"
    initializer: Any = field(default_factory=lambda: HE_NORMAL)
    epsilon: float = 1e-5
    momentum: float = 0.9
    biased: tuple[str, ...] = ()  # convolutions with a bias, which batch normalisation takes away again
    ceil: bool = False  # pool1 rounds up and is not padded
    stride_last: bool = False  # version 2: a stage's LAST unit halves the maps, and the stem has no BN-ReLU
    fc: Callable[[int], dict[str, Any]] = lambda _: {"kernel_initializer": HE_NORMAL}


_KERAS = Dialect((50, 101, 152), (1, 2), "B", "glorot_uniform", 1.001e-5, 0.99, fc=lambda _: {})
DIALECTS = {
    "paper": Dialect(),
    "keras": replace(_KERAS, biased=("stem", "inner", "last", "projection")),
    "torchvision": Dialect((18, 34, 50, 101, 152), (1.5,), "B", HE_NORMAL_FAN_OUT, fc=torch_linear),
    "caffe": Dialect((50, 101, 152), (1,), "B", ceil=True),
}
SPECIAL = {  # (dialect, depth or version) that differs from the rest of its dialect
    ("keras", "version 2"): replace(_KERAS, biased=("stem", "last", "projection"), stride_last=True),
    ("caffe", "depth 50"): replace(DIALECTS["caffe"], biased=("stem",)),
}


@dataclass(frozen=True)
class Plan:
    """How all units of one network are built.

    Attributes:
        kernels: Sides of the branch's convolutions, in pixels.
        widths: Their output maps, as multiples of the stage's width.
        units: Units in each stage.
        version: 1, 1.5 or 2.
        strided: Which of the convolutions takes a stage's stride, counted from 0.
        shortcut: "A", "B" or "C" (section 4.1); None for a plain net.
        groups: Groups of the 3x3 convolution.
        projection: Side of a strided projection's kernel, in pixels.
        dialect: Constants.
        gate: (maps, place, unit's name) → maps; SENet's blocks come in here. The places: "pre", "3x3",
            "standard", "identity", "post".
        width: What multiplies the maps of all stages.
        stem: "7x7" or "3x3"; None for the paper's.
        dropout: The part of the averages that training drops.
    """

    kernels: tuple[int, ...]
    widths: tuple[float, ...]
    units: tuple[int, ...]
    version: float = 1
    strided: int = 0
    shortcut: str | None = "B"
    groups: int = 1
    projection: int = 1
    dialect: Dialect = DIALECTS["paper"]
    gate: Callable[[Any, str, str], Any] = lambda maps, place, name: maps
    width: float = 1.0
    stem: str | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        pick("stem", self.stem, (None, *STEMS))
        check_fraction("dropout", self.dropout, zero=True, one=False)

    @property
    def imagenet(self) -> bool:
        """Whether it is an ImageNet net, of four stages; CIFAR's have three."""
        return len(self.units) == 4

    @property
    def pooled(self) -> bool:
        """Whether its stem is the 7x7 with pool1."""
        return self.imagenet if self.stem is None else self.stem == "7x7"

    def maps(self, stage: int) -> int:
        """The width of a stage, counted from 0; each has twice the maps of the one before."""
        return scaled(FIRST_WIDTH[len(self.units)] << stage, self.width)

    def named(self, name: str) -> str:
        """Such as resnet18_w0.5_stem3x3: what differs from the paper's network of this name."""
        return widened(name, self.width) + ("" if self.pooled == self.imagenet else f"_stem{self.stem}")


@builder
def resnet(
    depth: int = 50,
    *,
    version: float | None = None,
    shortcut: str | None = None,
    plain: bool = False,
    width: float = 1.0,
    stem: str | None = None,
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
    """A residual network (He et al. 2015, tables 1 and 6; He et al. 2016).

        conv1 112x112x64 → pool1 56x56 → conv2_x 56x56 → conv3_x 28x28 → conv4_x 14x14 → conv5_x 7x7 → 1000
        CIFAR: conv1 32x32x16 → stage1 32x32 → stage2 16x16 → stage3 8x8 → 10

    Args:
        depth: 18, 34, 50 (default), 101, 152 or 200 for ImageNet; 20, 32, 44, 56, 110, 1202, 164 or 1001 for
            CIFAR. The number of layers with weights.
        version: 1 (default): conv-BN-ReLU, a bottleneck's stride in its first 1x1, as the paper has it. 1.5:
            the stride in the 3x3 (fb.resnet.torch). 2: BN-ReLU-conv, nothing after the addition (He et al.
            2016), the default of 200, 164 and 1001, which exist in this version alone.
        shortcut: What crosses a change of shape: "A" every second pixel and zeros as new maps, no parameters
            (CIFAR's default); "B" a 1x1 projection (ImageNet's default, and that of CIFAR's bottlenecks);
            "C" projections in every unit.
        plain: The same net without shortcuts, which is harder to train the deeper it is (section 4.1).
        width: What multiplies the maps of all stages, by default 1.0: the k of Zagoruyko & Komodakis 2016
            (arXiv 1605.07146, table 1). As there a wider net keeps the 64 or 16 maps of its stem; a narrower
            one's stem is as narrow as its first stage. Rounded to whole maps; a stage has at least 8, a
            bottleneck four times as many at its end.
        stem: "7x7", the ImageNet nets', which halves twice; "3x3", the CIFAR nets', which keeps the size, for
            18 to 200 layers on small pictures. None (default): the paper's. It has the first stage's maps.
        dropout: The part of the averages that training drops before the classifier, by default 0.0, as the
            paper has none.
        dialect: "paper" (default). "keras": as keras.applications has versions 1 and 2; "torchvision":
            version 1.5; "caffe": the authors' release, whose 50-layer net has a bias in conv1. Each has one
            `width` and `stem`.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3) or (32, 32, 3). Any size
            goes, save that "caffe" wants 3 x 3; sizes may be None.
        classes: Number of classes, by default 1000 or 10.
        include_top: Whether to keep the average pooling and the classifier.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): the paper draws as He does, with zero biases, and each dialect as its peer.
            Or the path of a .weights.h5 file.
        name: The model's name, by default "resnet50", "plain34", "cifar_resnet20_w0.5",
            "resnet18_stem3x3" and the like.

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32. Units
        are called conv2_1 or stage1_1, their convolutions conv2_1_1, conv2_1_2 …

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    plan = plan_of(depth, version, shortcut, plain, dialect, width=width, stem=stem, dropout=dropout)
    return residual_network(
        plan, name or name_of(depth, plan), first_maps,
        input_shape=input_shape, classes=classes, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip


def plan_of(
    depth: int, version: float | None, shortcut: str | None, plain: bool, dialect: str,
    *, width: float, stem: str | None, dropout: float,
) -> Plan:  # fmt: skip
    """The plan that `resnet`'s arguments describe.

    Raises:
        ValueError: As `resnet`.
    """
    kernels, units = look_up(TABLE, depth, "depth")
    imagenet, bottleneck = len(units) == 4, kernels == BOTTLENECK
    how, peer = look_up(DIALECTS, dialect, "dialect"), f"dialect={dialect!r}"
    pick("plain", plain, (True, False))
    choose("dialect", dialect, DIALECTS, {"plain=True": ["paper"] if plain else DIALECTS})
    choose("depth", depth, TABLE, {peer: how.depths})
    version = choose("version", version, VERSIONS, {
        f"depth={depth}": (2,) if depth in ONLY_VERSION_2 else VERSIONS if imagenet else (1, 2),
        peer: how.versions,
        "plain=True": (1,) if plain else VERSIONS,
    })  # fmt: skip
    if not plain or shortcut is not None:
        shortcut = ("B" if imagenet or bottleneck else "A") if shortcut is None else shortcut
        choose("shortcut", shortcut, "ABC", {peer: how.shortcuts, "plain=True": "" if plain else "ABC"})
    width = check_width(width, dialect)
    stem = choose("stem", stem, (None, *STEMS), {peer: (None, *STEMS) if dialect == "paper" else ("7x7",)})
    how = SPECIAL.get((dialect, f"version {version}"), SPECIAL.get((dialect, f"depth {depth}"), how))
    # From version 1.5 on the 3x3 takes the stride, save in CIFAR's bottlenecks.
    strided = 1 if bottleneck and version > 1 and imagenet else 0
    return Plan(
        kernels, (1, 1, 4) if bottleneck else (1, 1), units, version, strided, shortcut, dialect=how,
        width=width, stem=stem, dropout=dropout,
    )  # fmt: skip


def residual_network(
    plan: Plan, name: str, stem: Callable[[Any, Plan], Any],
    *, input_shape: Any, classes: int | None, **common: Any,
) -> keras.Model:  # fmt: skip
    """The network of a plan behind a stem; the keywords are those that all builders share."""
    shape, default_classes = ((224, 224, 3), 1000) if plan.imagenet else ((32, 32, 3), 10)
    windows = [(7, 2, 6), (3, 2, 1 if plan.dialect.ceil else 2)] if plan.pooled else []
    frame = open_frame(
        name, input_shape=input_shape, default_shape=shape, smallest=smallest_size(windows),
        classes=classes, default_classes=default_classes, **common,
    )  # fmt: skip
    maps = residual_stages(stem(frame.image, plan), plan)
    return close_frame(
        frame, maps, partial(global_average, dropout=plan.dropout), **plan.dialect.fc(maps.shape[-1])
    )


def first_maps(x: Any, plan: Plan) -> Any:
    """The stem: conv1 and pool1 (table 1), or CIFAR's one 3x3 (section 4.2)."""
    width = min(FIRST_WIDTH[len(plan.units)], plan.maps(0))  # shortcut A could not lose maps
    kernel, stride = (7, 2) if plan.pooled else (3, 1)
    x = _conv(x, width, kernel, stride, plan, "conv1", "stem")
    if not plan.dialect.stride_last:
        x = relu(_bn(x, plan, "conv1_bn"), "conv1_relu")
    return max_pool(x, ceil=plan.dialect.ceil, name="pool1") if plan.pooled else x


def residual_stages(x: Any, plan: Plan) -> Any:
    """All units: conv2_x to conv5_x, or stage1 to stage3."""
    halving = [(stage, 0) for stage in range(1, len(plan.units))]
    if plan.dialect.stride_last:
        halving = [(stage, units - 1) for stage, units in enumerate(plan.units[:-1])]
    for stage, units in enumerate(plan.units):
        for i in range(units):
            name = f"conv{stage + 2}_{i + 1}" if plan.imagenet else f"stage{stage + 1}_{i + 1}"
            stride = 2 if (stage, i) in halving else 1
            activated = (stage, i) == (0, 0) and not plan.dialect.stride_last
            unit = partial(unit_v2, activated=activated) if plan.version == 2 else unit_v1
            x = unit(x, plan.maps(stage), stride, plan, name)
    return relu(_bn(x, plan, "post_bn"), "post_relu") if plan.version == 2 else x


def unit_v1(x: Any, width: int, stride: int, plan: Plan, name: str) -> Any:
    """One unit, y = relu(F(x) + shortcut(x)), F being conv-BN(-ReLU) (He et al. 2015, equations 1 and 2)."""
    f = plan.gate(x, "pre", name)
    last = len(plan.kernels) - 1
    for i, kernel in enumerate(plan.kernels):
        f = _branch_conv(f, i, width, stride, plan, name)
        f = _bn(f, plan, f"{name}_{i + 1}_bn")
        f = plan.gate(f, "3x3", name) if kernel == 3 else f
        f = relu(f, f"{name}_{i + 1}_relu") if i < last else f
    if plan.shortcut is None:
        return relu(f, name)
    f = plan.gate(f, "standard", name)
    s = plan.gate(shortcut(x, x, f, stride, plan, name), "identity", name)
    y = layers.Add(name=f"{name}_add")([s, f])
    return plan.gate(relu(y, name), "post", name)


def unit_v2(x: Any, width: int, stride: int, plan: Plan, name: str, *, activated: bool = False) -> Any:
    """One unit, y = F(x) + x, F being BN-ReLU-conv each time (He et al. 2016, figure 4e); y may be negative.

    A projection reads what the first BN-ReLU gives, and has no normalisation of its own. The very first
    unit's BN-ReLU stands in the stem, before the paths part: its x is `activated`.
    """
    a = x if activated else relu(_bn(x, plan, f"{name}_preact_bn"), f"{name}_preact_relu")
    f = plan.gate(a, "pre", name)
    for i, _ in enumerate(plan.kernels):
        if i > 0:
            f = relu(_bn(f, plan, f"{name}_{i}_bn"), f"{name}_{i}_relu")
        f = _branch_conv(f, i, width, stride, plan, name)
    f = plan.gate(f, "standard", name)
    s = plan.gate(shortcut(x, a, f, stride, plan, name), "identity", name)
    return plan.gate(layers.Add(name=name)([s, f]), "post", name)


def shortcut(x: Any, a: Any, f: Any, stride: int, plan: Plan, name: str) -> Any:
    """Options A, B and C of section 4.1: x in the shape of the branch's end f; a projection reads a."""
    other_maps = x.shape[-1] != f.shape[-1]
    if plan.shortcut == "C" or (plan.shortcut == "B" and other_maps):
        kernel = plan.projection if stride > 1 else 1
        s = _conv(a, f.shape[-1], kernel, stride, plan, f"{name}_proj", "projection")
        return s if plan.version == 2 else _bn(s, plan, f"{name}_proj_bn")
    if other_maps or stride > 1:
        return PaddedIdentity(f.shape[-1], stride, name=f"{name}_identity")(x)
    return x


def _branch_conv(f: Any, i: int, width: int, stride: int, plan: Plan, name: str) -> Any:
    kernel, part = plan.kernels[i], "last" if i == len(plan.kernels) - 1 else "inner"
    filters, stride = int(width * plan.widths[i]), stride if i == plan.strided else 1
    groups = plan.groups if kernel == 3 else 1
    return _conv(f, filters, kernel, stride, plan, f"{name}_{i + 1}", part, groups)


def _conv(
    x: Any, filters: int, kernel: int, stride: int, plan: Plan, name: str, part: str, groups: int = 1
) -> Any:
    draw, bias = plan.dialect.initializer, part in plan.dialect.biased
    return conv(x, filters, kernel, stride, name=name, initializer=draw, bias=bias, groups=groups)


def _bn(x: Any, plan: Plan, name: str) -> Any:
    return batch_norm(x, name, epsilon=plan.dialect.epsilon, momentum=plan.dialect.momentum)


def name_of(depth: int, plan: Plan) -> str:
    """Such as resnet50, resnet50_v1_5, plain34, cifar_resnet20, cifar_preresnet110_w2."""
    kind = "resnet" if plan.shortcut else "plain"
    if plan.imagenet:
        return plan.named(f"{kind}{depth}" + {1.5: "_v1_5", 2: "_v2"}.get(plan.version, ""))
    return plan.named(f"cifar_{'pre' if plan.version == 2 else ''}{kind}{depth}")
