"""What several papers build alike, with every padding explicit where Keras's "same" would differ."""

from typing import Any

import keras
from keras import layers


def _he_normal(mode: str) -> dict[str, Any]:
    """As a configuration: a Keras initialiser that is made at import would use up a seed's random numbers."""
    config = {"scale": 2.0, "mode": mode, "distribution": "untruncated_normal"}
    return {"class_name": "VarianceScaling", "config": config}


# He et al. 2015 (arXiv 1502.01852), equation 10: a plain normal distribution, whose tails Keras's "he_normal"
# cuts off.
HE_NORMAL = _he_normal("fan_in")
# The same over the outputs, equation 14, as fb.resnet.torch, DenseNet's authors and torchvision have it.
HE_NORMAL_FAN_OUT = _he_normal("fan_out")


def fresh(initializer: Any) -> Any:
    """An initialiser for one layer alone: a shared one draws the same numbers for all, whatever the seed."""
    return initializer.clone() if isinstance(initializer, keras.initializers.Initializer) else initializer


def conv(
    x: Any,
    filters: int,
    kernel: int,
    stride: int = 1,
    *,
    name: str,
    initializer: Any = HE_NORMAL,
    bias: bool = False,
    groups: int = 1,
    activation: str | None = None,
    bias_initializer: Any = "zeros",
) -> Any:
    """A convolution padded by (kernel - 1) / 2 on all four sides.

    On even sizes "same" would pad a strided convolution on the right and the bottom alone, one pixel later
    than all the papers here.

    Args:
        x: (batch, height, width, maps).
        filters: Output maps.
        kernel: Side in pixels, odd.
        stride: Step in pixels.
        name: The layer's name; its padding's is name_pad.
        initializer: Of the weights.
        bias: Whether there is one.
        groups: Into how many parts the maps are divided, each seen by its own part of the outputs.
        activation: What follows; None for nothing.
        bias_initializer: Of the bias.

    Returns:
        (batch, ceil(height / stride), ceil(width / stride), filters).
    """
    padding = "same"
    if stride > 1 and kernel > 1:
        x, padding = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x), "valid"
    return layers.Conv2D(
        filters, kernel, stride, padding, groups=groups, activation=activation, use_bias=bias,
        kernel_initializer=fresh(initializer), bias_initializer=fresh(bias_initializer), name=name,
    )(x)  # fmt: skip


def batch_norm(x: Any, name: str, *, epsilon: float = 1e-5, momentum: float = 0.9) -> Any:
    """Batch normalisation with the authors' constants (Caffe, Torch), which are not Keras's defaults.

    Args:
        x: (batch, height, width, maps).
        name: The layer's name.
        epsilon: Added to the variance.
        momentum: The fraction of the OLD running average that a step keeps; PyTorch's 0.1 is 0.9 here.

    Returns:
        The same shape.
    """
    return layers.BatchNormalization(epsilon=epsilon, momentum=momentum, name=name)(x)


def relu(x: Any, name: str) -> Any:
    """max(x, 0)."""
    return layers.ReLU(name=name)(x)


def max_pool(x: Any, *, ceil: bool = False, size: int = 3, name: str) -> Any:
    """Max pooling with stride 2 of maps that are nowhere negative.

    It pads with zeros, which a maximum over non-negative numbers does not see: one pixel all around, as Torch
    and keras.applications do; or, with `ceil`, one on the right and the bottom, which is Caffe's rounding up.
    With a size of 3 both halve an even size; an odd size n becomes (n + 1) / 2, or (n - 1) / 2 with `ceil`.

    Args:
        x: (batch, height, width, maps), after a ReLU.
        ceil: Caffe's rounding.
        size: Side of the windows in pixels, 3 or 2.
        name: The layer's name; its padding's is name_pad.

    Returns:
        (batch, about height / 2, about width / 2, maps).
    """
    around = ((0, 1), (0, 1)) if ceil else 1
    x = layers.ZeroPadding2D(around, name=f"{name}_pad")(x)
    return layers.MaxPooling2D(size, 2, name=name)(x)


def torch_linear(fan_in: int) -> dict[str, Any]:
    """How PyTorch draws a fully connected layer by default: weights and biases uniform in ±1/√fan-in.

    Args:
        fan_in: The layer's inputs.

    Returns:
        Arguments of a Dense layer.
    """
    bound = fan_in**-0.5
    return {
        "kernel_initializer": keras.initializers.RandomUniform(-bound, bound),
        "bias_initializer": keras.initializers.RandomUniform(-bound, bound),
    }


def torch_linear_zero_bias(fan_in: int) -> dict[str, Any]:
    """PyTorch's fully connected layer with zero biases, as the authors of ResNeXt and DenseNet set them.

    Args:
        fan_in: The layer's inputs.

    Returns:
        Arguments of a Dense layer.
    """
    return {**torch_linear(fan_in), "bias_initializer": "zeros"}


def scaled(maps: int, width: float, multiple: int = 1) -> int:
    """Maps times width, to the nearest multiple, halves up: at least 8, or the paper's where it has fewer.

    Args:
        maps: The paper's number of maps or units.
        width: What multiplies them.
        multiple: Groups, of which each gets as many.
    """
    least = -(-min(maps, 8) // multiple)
    return max(int(maps * width / multiple + 0.5), least) * multiple


def untouched(x: Any, place: str, name: str) -> Any:
    """The gate of a network without gates: (maps, place, layer's name) → the same maps."""
    return x
