"""One repeated unit of a network as boxes in columns: a residual unit, an inception module, a dense layer."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers

from keras_cnns.analysis.counts import Call, calls
from keras_cnns.analysis.groups import group_of

_MERGES = (layers.Add, layers.Concatenate, layers.Multiply)
# What is written into the box of the layer before it.
_FOLLOWERS = (layers.BatchNormalization, layers.ReLU, layers.Activation, layers.Dropout)


@dataclass(eq=False)
class Box:
    """A layer and what follows it directly.

    Attributes:
        words: What it does, a few letters a line.
        inputs: The boxes that it reads; none for what comes from outside.
        kind: As the classes of the picture's blocks: "maps", "vector" or "weightless".
        after: The normalisation and activation that follow.
        shape: Of its output, for the first and the last box.
        rank: Its column; the longest way from outside.
        lane: Its line, counted from above.
        over: For each input the line above all boxes on which it comes, counted from below; 0 for none.
    """

    words: list[str]
    inputs: list["Box"]
    kind: str = "weightless"
    after: list[str] = field(default_factory=list)
    shape: str = ""
    rank: int = 0
    lane: float = 0
    over: list[int] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """All that is written into it."""
        return [line for line in (*self.words, ", ".join(self.after), self.shape) if line]


@dataclass(frozen=True)
class Unit:
    """The layers between two points that all of a network passes.

    Attributes:
        title: A line above its picture.
        group: The paper's group that it is in.
        boxes: From input to output.
        skips: How many lines above the boxes there are.
    """

    title: str
    group: str
    boxes: list[Box]
    skips: int


def unit_of(layer: str) -> str:
    """The repeated unit of a layer by its name: "conv4_6_1_bn" → "conv4_6"; else its group."""
    found = re.match(r"[a-z]+\d+_\d+(?=_|$)", layer)
    return found[0] if found else group_of(layer)


def repeats(model: keras.Model) -> dict[str, int]:
    """Group → how many units it has."""
    return dict(Counter(group_of(unit) for unit in dict.fromkeys(_names(calls(model)).values())))


def middle_unit(model: keras.Model) -> Unit | None:
    """The last unit of the middle one of those groups that have branches; None without any."""
    graph = calls(model)
    unit = _names(graph)
    branched = dict.fromkeys(group_of(unit[id(call)]) for call in graph if isinstance(call.layer, _MERGES))
    if not branched:
        return None
    group = list(branched)[len(branched) // 2]
    units = list(dict.fromkeys(name for name in unit.values() if group_of(name) == group))
    name = units[-1]
    boxes = _boxes([call for call in graph if unit[id(call)] == name])
    skips = _place(boxes)
    title = name if len(units) == 1 else f"{name}, the last of {len(units)} units of {group}"
    return Unit(title, group, boxes, skips)


def _names(graph: Sequence[Call]) -> dict[int, str]:
    return {id(call): unit_of(call.layer.name) for call in graph}


def _boxes(unit: Sequence[Call]) -> list[Box]:
    readers = Counter(id(tensor) for call in unit for tensor in call.inputs)
    by_tensor: dict[int, Box] = {}
    for call in unit:
        for tensor in call.inputs:
            if id(tensor) not in by_tensor:
                outside = unit_of(tensor._keras_history[0].name)
                by_tensor[id(tensor)] = Box([outside], [], shape=_shape(tensor))
        inputs = [by_tensor[id(tensor)] for tensor in call.inputs]
        joins = isinstance(call.layer, _FOLLOWERS) and inputs[0].inputs and readers[id(call.inputs[0])] == 1
        if isinstance(call.layer, layers.ZeroPadding2D):
            box = inputs[0]
        elif joins:
            box = inputs[0]
            box.after.append(_words(call.layer)[0])
        else:
            box = _box(call.layer, inputs)
        by_tensor[id(call.outputs[0])] = box
    boxes = list(dict.fromkeys(by_tensor.values()))
    boxes[-1].shape = _shape(unit[-1].outputs[0])
    return boxes


def _box(layer: Any, inputs: list[Box]) -> Box:
    if isinstance(layer, _FOLLOWERS):
        return Box([], inputs, after=_words(layer))
    activation = getattr(layer, "activation", keras.activations.linear)
    after = [] if activation is keras.activations.linear else [_function(activation)]
    kinds = {layers.Conv2D: "maps", layers.Dense: "vector"}
    return Box(_words(layer), inputs, kinds.get(type(layer), "weightless"), after)


def _words(layer: Any) -> list[str]:
    match layer:
        case layers.Conv2D():
            groups = [f"{layer.groups} groups"] if layer.groups > 1 else []
            return [_window(layer.kernel_size, layer.strides, "conv"), f"{layer.filters} maps", *groups]
        case layers.Dense():
            return ["fully conn.", f"{layer.units} units"]
        case layers.MaxPooling2D():
            return [_window(layer.pool_size, layer.strides, "pool"), "maximum"]
        case layers.AveragePooling2D():
            return [_window(layer.pool_size, layer.strides, "pool"), "average"]
        case layers.GlobalAveragePooling2D() | layers.GlobalMaxPooling2D():
            return [
                "global pool",
                "average" if isinstance(layer, layers.GlobalAveragePooling2D) else "maximum",
            ]
        case layers.BatchNormalization():
            return ["BN"]
        case layers.Activation():
            return [_function(layer.activation)]
    names = {"Concatenate": "concatenate", "Add": "add", "Multiply": "multiply", "Dropout": "dropout"}
    return [names.get(type(layer).__name__, type(layer).__name__)]


def _window(sides: tuple[int, int], strides: tuple[int, int], what: str) -> str:
    return f"{sides[0]}×{sides[1]} {what}" + (f" /{strides[0]}" if strides[0] > 1 else "")


def _function(activation: Any) -> str:
    return "ReLU" if activation is keras.activations.relu else activation.__name__


def _shape(tensor: Any) -> str:
    return "×".join(map(str, tensor.shape[1:]))


def _place(boxes: list[Box]) -> int:
    """Give each box its column and line, and each input that other boxes stand before a line above."""
    taken: set[tuple[int, float]] = set()
    for box in boxes:
        if box.inputs:
            longest = max(box.inputs, key=lambda before: before.rank)
            box.rank, box.lane = longest.rank + 1, longest.lane
        while (box.rank, box.lane) in taken:
            box.lane += 1
        taken.add((box.rank, box.lane))
    boxes[0].lane = boxes[-1].lane = max(box.lane for box in boxes) / 2
    above: dict[tuple[Box, Box], int] = {}
    # The short ones first: a residual shortcut goes over a gate, not through it.
    for before, box in sorted(_blocked(boxes, taken), key=lambda ends: ends[1].rank - ends[0].rank):
        lower = [
            line for (start, end), line in above.items() if start.rank < box.rank and before.rank < end.rank
        ]
        above[before, box] = 1 + max(lower, default=0)
    for box in boxes:
        box.over = [above.get((before, box), 0) for before in box.inputs]
    return max(above.values(), default=0)


def _blocked(boxes: Sequence[Box], taken: set[tuple[int, float]]) -> list[tuple[Box, Box]]:
    """Where a straight line from box to box would cross another one."""
    return [
        (before, box)
        for box in boxes
        for before in box.inputs
        if any((rank, before.lane) in taken for rank in range(before.rank + 1, box.rank))
    ]
