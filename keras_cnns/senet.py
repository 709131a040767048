"""SENet: Hu et al. 2017 (arXiv 1709.01507), gates on the channels of other papers' networks.

Squeeze: each map becomes its mean. Excitation: two fully connected layers make of them a number between
0 and 1 for each map. Scale: the map is multiplied by that number.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import layers

from keras_cnns._blocks import HE_NORMAL, batch_norm, conv, max_pool, relu
from keras_cnns._checks import DEFAULT, check_count, look_up, pick
from keras_cnns._frame import builder, close_frame, global_average, open_frame
from keras_cnns.googlenet import BN_DIALECTS, BN_SMALLEST, bn_modules
from keras_cnns.googlenet import stem as inception_stem
from keras_cnns.resnet import BOTTLENECK, Dialect, Plan, first_maps, name_of, plan_of, residual_network
from keras_cnns.resnext import plan_of as resnext_plan_of
from keras_cnns.vgg import LETTERS, TABLE_1, vgg_between, vgg_plan
from keras_cnns.vgg import SMALLEST as VGG_SMALLEST
from keras_cnns.vgg import name_of as vgg_name

# Section 6.5, figure 5: where in a residual unit the gate stands. "3x3": on the branch's middle convolution.
PLACEMENTS = ("standard", "pre", "post", "identity", "3x3")
# Section 6.2.
SQUEEZES = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}

# Appendix, on SENet-154. depth: (kernels, maps as multiples of the stage's width, units in each stage).
# The first 1x1 has half of ResNeXt-152 64x4d's maps.
SENET = {154: ((1, 3, 1), (2, 4, 4), (3, 8, 36, 3))}
SENET_GROUPS = 64

Gate = Callable[[Any, str, str], Any]


def squeeze_excite(x: Any, *, name: str, ratio: int = 16, squeeze: str = "avg", bias: bool = True) -> Any:
    """The SE block (figure 1, equations 2 to 4).

    Args:
        x: (batch, height, width, maps).
        name: Beginning of its layers' names.
        ratio: By how much the first layer is narrower, r; at least one unit stays.
        squeeze: "avg" or "max".
        bias: Whether the two layers have biases, as the authors' released networks.

    Returns:
        The same shape.
    """
    maps = x.shape[-1]
    z = SQUEEZES[squeeze](keepdims=True, name=f"{name}_squeeze")(x)
    s = _dense(z, max(maps // ratio, 1), "relu", bias, f"{name}_fc1")
    s = _dense(s, maps, "sigmoid", bias, f"{name}_fc2")
    return layers.Multiply(name=f"{name}_scale")([x, s])


def _dense(x: Any, units: int, activation: str, bias: bool, name: str) -> Any:
    return layers.Dense(units, activation, use_bias=bias, kernel_initializer=HE_NORMAL, name=name)(x)


def gate(
    ratio: int, squeeze: str, bias: bool, placement: str = "standard", stages: Sequence[int] | None = None
) -> Gate:
    """What the gated network calls at each place: an SE block at the one place, in the stages that have it.

    Raises:
        ValueError: An argument is not allowed.
    """
    check_count("se_ratio", ratio)
    pick("squeeze", squeeze, SQUEEZES)
    pick("placement", placement, PLACEMENTS)
    pick("se_bias", bias, (True, False))

    def at(x: Any, place: str, name: str) -> Any:
        if place != placement or (stages is not None and _stage(name) not in stages):
            return x
        return squeeze_excite(x, name=f"{name}_se", ratio=ratio, squeeze=squeeze, bias=bias)

    return at


@builder
def se_resnet(
    depth: int = 50,
    *,
    version: float | None = None,
    se_ratio: int = 16,
    squeeze: str = "avg",
    placement: str = "standard",
    stages: Sequence[int] | None = None,
    se_bias: bool = True,
    width: float = 1.0,
    stem: str | None = None,
    dropout: float = 0.0,
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """A ResNet whose units are gated (Hu et al. 2017, tables 1 and 2, figure 3).

    Args:
        depth: As `keras_cnns.resnet`, by default 50.
        version: As `keras_cnns.resnet`. The authors' networks rest on version 1, their CIFAR networks on
            pre-activation, version 2.
        se_ratio: The reduction ratio r, by default 16 (section 6.1).
        squeeze: "avg" (default) or "max" (section 6.2).
        placement: "standard" (default): on the branch, before the addition. "pre": before the branch.
            "post": after the unit. "identity": on the shortcut. "3x3": on a bottleneck's middle convolution.
        stages: The stages that have gates, by default all: 2 to 5 as in conv2_x, or 1 to 3 for CIFAR.
        se_bias: Whether the gates' layers have biases, as the released networks; the journal's text advises
            against them.
        width: As `keras_cnns.resnet`.
        stem: As `keras_cnns.resnet`.
        dropout: As `keras_cnns.resnet`.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3) or (32, 32, 3). At least
            3 x 3, for a 3x3 stem 1 x 1; sizes may be None.
        classes: Number of classes, by default 1000 or 10.
        include_top: Whether to keep the average pooling and the classifier.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): He's normal initialisation, zero biases. Or the path of a .weights.h5 file.
        name: The model's name, by default "se_resnet50", "cifar_se_preresnet110" and the like.

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32. Gates
        are called conv2_1_se_squeeze, _fc1, _fc2 and _scale.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    plan = plan_of(depth, version, None, False, "paper", width=width, stem=stem, dropout=dropout)
    if placement == "3x3" and (plan.kernels != BOTTLENECK or plan.version == 2):
        raise ValueError("placement='3x3' needs the bottlenecks of version 1 or 1.5, such as depth=50.")
    base = name_of(depth, plan)
    plan = _gated(plan, gate(se_ratio, squeeze, se_bias, placement, _check_stages(stages, plan)))
    return residual_network(
        plan, name or (f"cifar_se_{base[6:]}" if base.startswith("cifar_") else f"se_{base}"), first_maps,
        input_shape=input_shape, classes=classes, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip


@builder
def se_resnext(
    depth: int = 50,
    *,
    groups: int = 32,
    group_width: int = 4,
    se_ratio: int = 16,
    squeeze: str = "avg",
    placement: str = "standard",
    stages: Sequence[int] | None = None,
    se_bias: bool = True,
    stem: str | None = None,
    dropout: float = 0.0,
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """A ResNeXt whose units are gated (Hu et al. 2017, tables 1 and 2), by default SE-ResNeXt-50 32x4d.

    Args:
        depth: 50 (default) or 101.
        groups: As `keras_cnns.resnext`.
        group_width: As `keras_cnns.resnext`.
        se_ratio: As `se_resnet`.
        squeeze: As `se_resnet`.
        placement: As `se_resnet`.
        stages: As `se_resnet`.
        se_bias: As `se_resnet`.
        stem: As `keras_cnns.resnet`.
        dropout: As `keras_cnns.resnet`.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3). At least 3 x 3, for a
            3x3 stem 1 x 1; sizes may be None.
        classes: Number of classes, by default 1000.
        include_top: Whether to keep the average pooling and the classifier.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): He's normal initialisation, zero biases. Or the path of a .weights.h5 file.
        name: The model's name, by default "se_resnext50_32x4d" and the like.

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    plan = resnext_plan_of(depth, groups, group_width, stem, dropout)
    plan = _gated(plan, gate(se_ratio, squeeze, se_bias, placement, _check_stages(stages, plan)))
    return residual_network(
        plan, name or plan.named(f"se_resnext{depth}_{groups}x{group_width}d"), first_maps,
        input_shape=input_shape, classes=classes, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip


@builder
def senet(
    depth: int = 154,
    *,
    se_ratio: int = 16,
    squeeze: str = "avg",
    se_bias: bool = True,
    dropout: float = 0.2,
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """SENet-154, the winner of ILSVRC 2017 (Hu et al. 2017, section 5 and appendix).

    A gated ResNeXt-152 64x4d with four changes: the stem is three 3x3, the first 1x1 of a unit has half
    the maps, strided projections are 3x3, and dropout stands before the classifier.

    Args:
        depth: 154.
        se_ratio: As `se_resnet`.
        squeeze: As `se_resnet`.
        se_bias: As `se_resnet`.
        dropout: The fraction dropped before the classifier, by default 0.2.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3). At least 3 x 3; sizes may
            be None.
        classes: Number of classes, by default 1000.
        include_top: Whether to keep the average pooling and the classifier.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): He's normal initialisation, zero biases. Or the path of a .weights.h5 file.
        name: The model's name, by default "senet154".

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    kernels, widths, units = look_up(SENET, depth, "depth")
    how: dict[str, Any] = {"version": 1.5, "strided": 1, "groups": SENET_GROUPS, "projection": 3}
    plan = Plan(kernels, widths, units, dropout=dropout, **how)
    return residual_network(
        _gated(plan, gate(se_ratio, squeeze, se_bias)), name or f"senet{depth}", _three_3x3,
        input_shape=input_shape, classes=classes, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip


@builder
def se_bn_inception(
    *,
    se_ratio: int = 16,
    squeeze: str = "avg",
    se_bias: bool = True,
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """BN-Inception with a gate on each module's output (Hu et al. 2017, figure 2, table 2).

    Args:
        se_ratio: As `se_resnet`.
        squeeze: As `se_resnet`.
        se_bias: As `se_resnet`.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3), at least as
            `bn_inception`; sizes may be None.
        classes: Number of classes, by default 1000.
        include_top: Whether to keep the average pooling and the classifier.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): He's normal initialisation, zero biases. Or the path of a .weights.h5 file.
        name: The model's name, by default "se_bn_inception".

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    how = BN_DIALECTS["caffe"]  # the authors' framework
    at = gate(se_ratio, squeeze, se_bias)
    frame = open_frame(
        name or "se_bn_inception",
        input_shape=input_shape, default_shape=(224, 224, 3), smallest=BN_SMALLEST,
        classes=classes, default_classes=1000, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip
    maps = bn_modules(inception_stem(frame.image, how), how, at)
    return close_frame(frame, maps, global_average, **how.fc(maps.shape[-1]))


@builder
def se_vgg(
    depth: int | str = 16,
    *,
    se_ratio: int = 16,
    squeeze: str = "avg",
    se_bias: bool = True,
    width: float = 1.0,
    dropout: float | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | None = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> keras.Model:
    """VGG with batch normalisation and a gate on each convolution (Hu et al. 2017, table 2).

    The paper has its errors and not its definition: that the gates stand between normalisation and
    ReLU, is inferred.

    Args:
        depth: As `keras_cnns.vgg`, by default 16.
        se_ratio: As `se_resnet`.
        squeeze: As `se_resnet`.
        se_bias: As `se_resnet`.
        width: As `keras_cnns.vgg`.
        dropout: As `keras_cnns.vgg`.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3), at least 32 x 32. Without
            the top, sizes may be None.
        classes: Number of classes, by default 1000.
        include_top: Whether to keep the fully connected layers. Without them the network ends in pool5.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): as `keras_cnns.vgg`. Or the path of a .weights.h5 file.
        name: The model's name, by default "se_vgg16_bn" and the like.

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    pick("depth", depth, [*LETTERS, *(letter for letter in TABLE_1 if letter != "A-LRN")])
    plan = vgg_plan(depth, batch_norm=True, width=width, dropout=dropout)
    plan = replace(plan, gate=gate(se_ratio, squeeze, se_bias))
    frame = open_frame(
        name or f"se_{vgg_name(depth, True, width)}",
        input_shape=input_shape, default_shape=(224, 224, 3), smallest=VGG_SMALLEST, fixed_size=True,
        classes=classes, default_classes=1000, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip
    return vgg_between(frame, plan)


def _three_3x3(x: Any, plan: Plan) -> Any:
    """SENet-154's stem (appendix)."""
    for i, (width, stride) in enumerate(((64, 2), (64, 1), (128, 1)), start=1):
        x = conv(x, width, 3, stride, name=f"conv1_{i}")
        x = relu(batch_norm(x, f"conv1_{i}_bn"), f"conv1_{i}_relu")
    return max_pool(x, ceil=True, name="pool1")


def _gated(plan: Plan, gate: Gate) -> Plan:
    """The same units with gates; weights drawn as He does (section 6), pool1 rounded up as in Caffe."""
    return replace(plan, gate=gate, dialect=Dialect(ceil=True))


def _check_stages(stages: Sequence[int] | None, plan: Plan) -> Sequence[int] | None:
    if stages is None:
        return None
    allowed = range(2, 6) if plan.imagenet else range(1, 4)
    if not isinstance(stages, Sequence) or isinstance(stages, str) or not stages:
        raise ValueError(f"stages={stages!r} is no list of some of {list(allowed)}.")
    return [pick("stages", stage, allowed) for stage in stages]


def _stage(name: str) -> int:
    """conv3_2 → 3."""
    return int(next(letter for letter in name if letter.isdecimal()))
