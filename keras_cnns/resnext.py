"""ResNeXt: Xie et al. 2016 (arXiv 1611.05431), ResNet's bottleneck with its 3x3 divided into groups.

The number of groups, the cardinality, is a third size beside depth and width.
"""

import os
from typing import Any

import keras

from keras_cnns._blocks import HE_NORMAL_FAN_OUT, torch_linear_zero_bias
from keras_cnns._checks import DEFAULT, check_count, look_up
from keras_cnns._frame import builder
from keras_cnns.resnet import BOTTLENECK, Dialect, Plan, first_maps, residual_network

# Xie et al. 2016, table 1. depth: units in each stage.
TABLE = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}

# Section 4: the authors train in fb.resnet.torch, which draws weights by the fan of the outputs.
_TORCH = Dialect(initializer=HE_NORMAL_FAN_OUT, fc=torch_linear_zero_bias)


@builder
def resnext(
    depth: int = 50,
    *,
    groups: int = 32,
    group_width: int = 4,
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
    """ResNeXt-50 or -101 (Xie et al. 2016, table 1), by default 32x4d.

        conv1 112x112x64 → pool1 56x56 → conv2_x 56x56x256 → conv3_x 28x28x512 → conv4_x 14x14x1024
        → conv5_x 7x7x2048 → 1000

    Args:
        depth: 50 (default) or 101.
        groups: The cardinality C, by default 32.
        group_width: Maps of a group in conv2_x, the d of "32x4d"; it doubles with each stage.
        stem: As `keras_cnns.resnet`.
        dropout: As `keras_cnns.resnet`.
        input_shape: (height, width, channels) in pixels, by default (224, 224, 3). Any size goes; sizes may
            be None.
        classes: Number of classes, by default 1000.
        include_top: Whether to keep the average pooling and the classifier.
        pooling: Only without the top: None (default) keeps the maps, "avg" or "max" reduce each to a number.
        classifier_activation: "softmax" by default; None for logits, or any Keras activation.
        weights: None (default): He's normal initialisation over the outputs, the classifier uniform in
            ±1/√fan-in, zero biases. Or the path of a .weights.h5 file.
        name: The model's name, by default "resnext50_32x4d", "resnext50_32x4d_stem3x3" and the like.

    Returns:
        A functional Keras model from (batch, height, width, channels) to (batch, classes) in float32; its
        units are called as ResNet's.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    plan = plan_of(depth, groups, group_width, stem, dropout)
    return residual_network(
        plan, name or plan.named(f"resnext{depth}_{groups}x{group_width}d"), first_maps,
        input_shape=input_shape, classes=classes, include_top=include_top, pooling=pooling,
        classifier_activation=classifier_activation, weights=weights,
    )  # fmt: skip


def plan_of(depth: int, groups: int, group_width: int, stem: str | None, dropout: float) -> Plan:
    """The plan that `resnext`'s arguments describe: the strides are version 1.5's, in the grouped 3x3.

    Raises:
        ValueError: As `resnext`.
    """
    units: tuple[int, ...] = look_up(TABLE, depth, "depth")
    inner = check_count("groups", groups) * check_count("group_width", group_width) / 64
    how: dict[str, Any] = {"version": 1.5, "strided": 1, "groups": groups, "dialect": _TORCH}
    return Plan(BOTTLENECK, (inner, inner, 4), units, stem=stem, dropout=dropout, **how)
