"""Parameters, multiply-accumulates, connections and receptive fields of a functional Keras model.

The counting rules are the ones of the papers: a multiply-accumulate (MAC) is what the ResNet and SENet papers
call one FLOP; only convolutions and fully connected layers have any.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_cnns.layers import (
    RBF,
    AdaptiveAveragePooling2D,
    PaddedIdentity,
    PartialConv2D,
    Subsampling2D,
)


@dataclass(frozen=True)
class Row:
    """One layer of a network.

    Attributes:
        name: The layer's name.
        kind: Its class.
        shape: What it gives out for one image; None for a free size.
        parameters: Its weights, frozen ones included; 0 where the layer is used again.
        macs: Multiply-accumulates for one image; None where the input size is free.
        receptive_field: Side in input pixels that one unit sees; None where it sees everything.
        jump: Distance in input pixels between the centres of neighbouring units; None likewise.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    parameters: int
    macs: int | None
    receptive_field: int | None
    jump: int | None


@dataclass(frozen=True)
class Call:
    """One use of a layer in the graph.

    Attributes:
        layer: The layer, or the operation of `keras.ops`.
        inputs: The symbolic tensors that it reads; none for the model's own inputs.
        outputs: Those that it gives.
    """

    layer: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


def parameters(model: keras.Model) -> tuple[int, int]:
    """Count weights.

    Args:
        model: Any built model.

    Returns:
        (trainable, total): weights, biases and batch normalisation's gamma and beta; and these with its
        moving statistics and other constants.
    """
    return _size(model.trainable_weights), _size(model.weights)


def macs(model: keras.Model) -> int:
    """Multiply-accumulates of convolutions and fully connected layers for ONE image.

    Biases, normalisation, activations, pooling, subsampling, additions and RBF units are not counted; of a
    grouped or partial convolution only the links that exist are.

    Args:
        model: A functional model with a fixed input size.

    Raises:
        TypeError: A layer has weights but no counting rule.
        ValueError: The input size is free.
    """
    return sum(_per_call(calls(model), _macs_of).values())


def connections(model: keras.Model) -> dict[str, int]:
    """Connections as LeCun counts them: each unit's inputs and its bias, shared weights or not.

    Args:
        model: A functional model with a fixed input size.

    Returns:
        Layer name → connections, for the layers that have any, from input to output.

    Raises:
        TypeError: A layer has weights but no counting rule.
        ValueError: The input size is free.
    """
    return {name: count for name, count in _per_call(calls(model), _connections_of).items() if count}


def receptive_fields(model: keras.Model) -> dict[str, tuple[int, int]]:
    """What one unit of each layer's maps sees of the input.

    The interval that the first unit sees is followed through the graph, padding included, and united where
    branches meet. Layers after global pooling or flattening see everything and are left out; so are the gates
    of squeeze-and-excitation. Where the two sides differ, the larger counts.

    Args:
        model: A functional model of images, (height, width, channels).

    Returns:
        Layer name → (receptive field's side, jump) in input pixels; the jump is the product of the strides.

    Raises:
        TypeError: A layer changes the maps' size by a rule that is not known here.
        ValueError: Branches of different strides meet, or "same" padding depends on a size that is free.
    """
    graph = calls(model)
    by_axis = [_intervals(model, graph, axis) for axis in (0, 1)]
    fields = {}
    for call in graph:
        seen = [intervals[id(call.outputs[0])] for intervals in by_axis]
        sides = [(one.end - one.start + 1, one.jump) for one in seen if one is not None]
        if sides and not isinstance(call.layer, layers.InputLayer):
            fields[call.layer.name] = max(sides)
    return fields


def layer_table(model: keras.Model) -> list[Row]:
    """All layers from input to output, with what can be counted on them.

    Args:
        model: A functional model of images.

    Raises:
        TypeError: A layer has no counting rule.
        ValueError: As `receptive_fields`.
    """
    fields = receptive_fields(model)
    rows, seen = [], set()
    for call in calls(model):
        shape = tuple(call.outputs[0].shape[1:])
        fixed = None not in shape
        weights = 0 if id(call.layer) in seen else _size(getattr(call.layer, "weights", []))
        seen.add(id(call.layer))
        field, jump = fields.get(call.layer.name, (None, None))
        name, kind = call.layer.name, type(call.layer).__name__
        rows.append(Row(name, kind, shape, weights, _macs_of(call) if fixed else None, field, jump))
    return rows


def calls(model: keras.Model) -> list[Call]:
    """Walk a functional model's graph.

    Args:
        model: A functional model.

    Returns:
        Each use of a layer between the model's inputs and outputs, in the order of computation.
    """
    # Keras has no public walk over its graph; these two attributes are the same in all of Keras 3.
    found: dict[int, Call] = {}
    inputs = {id(tensor) for tensor in model.inputs}
    stack = [(tensor, False) for tensor in reversed(model.outputs)]
    while stack:
        tensor, ready = stack.pop()
        layer, node_index, _ = tensor._keras_history
        node = layer._inbound_nodes[node_index]
        if id(node) in found:
            continue
        before = () if id(tensor) in inputs else tuple(node.input_tensors)
        if ready:
            found[id(node)] = Call(layer, before, tuple(node.output_tensors))
            continue
        stack.append((tensor, True))
        stack.extend((each, False) for each in reversed(before))
    return list(found.values())


def _size(weights: Sequence[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _positions(call: Call) -> int:
    """At how many places of its output a layer applies its kernel."""
    places = call.outputs[0].shape[1:-1]
    if None in places:
        raise ValueError(
            f"the layer {call.layer.name!r} has a free size; counting needs a fixed input_shape."
        )
    return math.prod(places)


def _kernel_macs(call: Call) -> int:
    return _positions(call) * math.prod(call.layer.kernel.shape)


def _separable_macs(call: Call) -> int:
    kernels = (call.layer.depthwise_kernel, call.layer.pointwise_kernel)
    return _positions(call) * _size(kernels)


def _nothing(call: Call) -> int:
    return 0


_MACS: dict[type, Callable[[Call], int]] = {
    layers.Conv2D: _kernel_macs,
    layers.DepthwiseConv2D: _kernel_macs,
    layers.SeparableConv2D: _separable_macs,
    layers.Dense: _kernel_macs,
    PartialConv2D: _kernel_macs,
    layers.BatchNormalization: _nothing,
    layers.PReLU: _nothing,
    Subsampling2D: _nothing,
    RBF: _nothing,
}


def _macs_of(call: Call) -> int:
    if not getattr(call.layer, "weights", []):
        return 0
    for kind in type(call.layer).__mro__:
        if kind in _MACS:
            return _MACS[kind](call)
    raise TypeError(
        f"the layer {call.layer.name!r} is a {type(call.layer).__name__}, "
        f"which has weights but no counting rule."
    )


def _connections_of(call: Call) -> int:
    if isinstance(call.layer, Subsampling2D):
        return math.prod(call.outputs[0].shape[1:]) * (call.layer.size**2 + 1)
    if isinstance(call.layer, RBF):
        return math.prod(call.layer.codes.shape)
    if isinstance(call.layer, layers.BatchNormalization | layers.PReLU):
        return 0
    biases = (
        _positions(call) * _size([call.layer.bias]) if getattr(call.layer, "bias", None) is not None else 0
    )
    return _macs_of(call) + biases


def _per_call(graph: list[Call], rule: Callable[[Call], int]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for call in graph:
        totals[call.layer.name] = totals.get(call.layer.name, 0) + rule(call)
    return totals


@dataclass(frozen=True)
class _Interval:
    """The input pixels that the first unit sees, both ends included, and the step to its neighbour."""

    start: int
    end: int
    jump: int

    def through(self, kernel: int, stride: int, padding: int) -> "_Interval":
        start = self.start - padding * self.jump
        return _Interval(start, self.end + (kernel - 1 - padding) * self.jump, self.jump * stride)


@dataclass(frozen=True)
class _Window:
    """How a layer slides along one axis."""

    kernel: int
    stride: int = 1
    padding: int | str = 0

    def pads(self, size: int | None, name: str) -> int:
        """Pixels of padding before the first one."""
        if isinstance(self.padding, int):
            return self.padding
        if self.padding == "valid":
            return 0
        if self.stride == 1 or self.kernel == 1:
            return (self.kernel - 1) // 2
        if size is None:
            raise ValueError(
                f"the padding of {name!r} depends on its size, which is free; give a fixed input_shape."
            )
        total = (math.ceil(size / self.stride) - 1) * self.stride + self.kernel - size
        return max(total, 0) // 2


def _convolution(layer: Any, axis: int) -> _Window:
    kernel = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
    return _Window(kernel, layer.strides[axis], layer.padding)


def _pooling(layer: Any, axis: int) -> _Window:
    return _Window(layer.pool_size[axis], layer.strides[axis], layer.padding)


_WINDOWS: dict[type, Callable[[Any, int], _Window]] = {
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _convolution,
    layers.SeparableConv2D: _convolution,
    layers.MaxPooling2D: _pooling,
    layers.AveragePooling2D: _pooling,
    layers.ZeroPadding2D: lambda layer, axis: _Window(1, 1, layer.padding[axis][0]),
    layers.Cropping2D: lambda layer, axis: _Window(1, 1, -layer.cropping[axis][0]),
    PaddedIdentity: lambda layer, axis: _Window(1, layer.stride),
    PartialConv2D: lambda layer, axis: _Window(layer.size),
    Subsampling2D: lambda layer, axis: _Window(layer.size, layer.size),
}
# Adaptive pooling's windows differ from unit to unit, so it has no one receptive field either.
_SEES_ALL = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, AdaptiveAveragePooling2D)


def _intervals(model: keras.Model, graph: list[Call], axis: int) -> dict[int, _Interval | None]:
    """What the first unit of each tensor sees, by the tensor's id; None for everything."""
    seen: dict[int, _Interval | None] = {id(tensor): _Interval(0, 0, 1) for tensor in model.inputs}
    for call in graph:
        if not call.inputs:
            continue
        before = [seen[id(tensor)] for tensor in call.inputs]
        after = _after(call, [one for one in before if one is not None], axis)
        seen.update((id(tensor), after) for tensor in call.outputs)
    return seen


def _after(call: Call, before: list[_Interval], axis: int) -> _Interval | None:
    shape = call.outputs[0].shape
    if not before or len(shape) != 4 or isinstance(call.layer, _SEES_ALL):
        return None
    union = _union(before, call.layer.name)
    size = call.inputs[0].shape[1 + axis]
    for kind in type(call.layer).__mro__:
        if kind in _WINDOWS:
            window = _WINDOWS[kind](call.layer, axis)
            return union.through(window.kernel, window.stride, window.pads(size, call.layer.name))
    if shape[1 + axis] not in {tensor.shape[1 + axis] for tensor in call.inputs}:
        raise TypeError(
            f"the layer {call.layer.name!r} is a {type(call.layer).__name__}, which changes the maps' size "
            f"by a rule that receptive_fields does not know."
        )
    return union


def _union(parts: list[_Interval], name: str) -> _Interval:
    jumps = {part.jump for part in parts}
    if len(jumps) > 1:
        raise ValueError(f"branches with the strides {sorted(jumps)} meet in the layer {name!r}.")
    return _Interval(min(part.start for part in parts), max(part.end for part in parts), jumps.pop())
