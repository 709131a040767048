"""A network by the groups of layers that its paper's table has, such as conv2_x, inception3a or block1.

The names of our layers say the group: it is what stands before the first underscore, and conv2_x for conv2_1,
conv2_2 and all that begins like them.
"""

import re
from dataclasses import dataclass

import keras

from keras_cnns.analysis.counts import Row, layer_table


@dataclass(frozen=True)
class Group:
    """One row of a paper's table.

    Attributes:
        name: Such as "conv2_x".
        output: The layer that ends the group.
        layers: How many layers it has.
        shape: What it gives out for one image; None for a free size.
        parameters: Weights of all its layers, frozen ones included.
        macs: Multiply-accumulates of all its layers for one image; None where the input size is free.
        receptive_field: Side in input pixels that one unit of its output sees; None where it sees everything.
        jump: Distance in input pixels between the centres of neighbouring units; None likewise.
    """

    name: str
    output: str
    layers: int
    shape: tuple[int | None, ...]
    parameters: int
    macs: int | None
    receptive_field: int | None
    jump: int | None


def group_of(layer: str) -> str:
    """The group of a layer by its name: "conv2_1_3_bn" → "conv2_x", "inception3a_1x1" → "inception3a"."""
    stage = re.match(r"(conv\d)_\d", layer)
    return f"{stage[1]}_x" if stage else layer.partition("_")[0]


def groups(model: keras.Model) -> list[Group]:
    """The groups from input to output.

    Args:
        model: A functional model of images, ours or one loaded from disk.

    Raises:
        TypeError: A layer has no counting rule.
        ValueError: Branches of different strides meet, or padding depends on a size that is free.
    """
    members: dict[str, list[Row]] = {}
    for row in layer_table(model):
        if row.kind != "InputLayer":
            members.setdefault(group_of(row.name), []).append(row)
    return [_summed(name, rows) for name, rows in members.items()]


def _summed(name: str, rows: list[Row]) -> Group:
    end = rows[-1]
    macs = [row.macs for row in rows if row.macs is not None]
    return Group(
        name, end.name, len(rows), end.shape, sum(row.parameters for row in rows),
        sum(macs) if len(macs) == len(rows) else None, end.receptive_field, end.jump,
    )  # fmt: skip
