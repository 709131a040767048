"""Every published network by name, as data; no Keras until one is built."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from keras_cnns._checks import unknown

if TYPE_CHECKING:
    import keras

_LENET_1990 = "LeCun et al. 1990, NIPS 2"
_LENET_1998 = "LeCun et al. 1998, Proc. IEEE 86(11)"


@dataclass(frozen=True)
class Entry:
    """One named network.

    Attributes:
        builder: Where its builder is: "module:function".
        family: The paper family, such as "LeNet".
        paper: Authors, year and place.
        description: One line for a person.
        input_shape: (height, width, channels) in pixels, when the caller gives none.
        arguments: The builder's arguments that make this network; the rest are the builder's defaults.
    """

    builder: str
    family: str
    paper: str
    description: str
    input_shape: tuple[int, int, int]
    arguments: Mapping[str, Any] = field(default_factory=dict)


_LENET = "keras_cnns.lenet:"

MODELS: Mapping[str, Entry] = {
    "lenet1": Entry(
        _LENET + "lenet1", "LeNet", _LENET_1990, "20 links between H2 and H3, 2,578 parameters", (28, 28, 1)
    ),
    "lenet5": Entry(
        _LENET + "lenet5", "LeNet", _LENET_1998, "the builder's defaults: the network of 1998", (32, 32, 1)
    ),
    "lenet5_1998": Entry(
        _LENET + "lenet5", "LeNet", _LENET_1998, "table I in C3, trained subsampling, RBF output",
        (32, 32, 1), {"version": "1998"},
    ),
    "lenet5_modern": Entry(
        _LENET + "lenet5", "LeNet", _LENET_1998, "the usual port: full convolutions, max pooling, softmax",
        (32, 32, 1), {"version": "modern"},
    ),
    "lenet5_modern_28_valid": Entry(
        _LENET + "lenet5", "LeNet", _LENET_1998, "the usual port on 28x28 without padding, a silent shrink",
        (28, 28, 1), {"version": "modern"},
    ),
    "lenet5_modern_cifar": Entry(
        _LENET + "lenet5", "LeNet", _LENET_1998, "the usual port on colour images",
        (32, 32, 3), {"version": "modern"},
    ),
}  # fmt: skip


def find(name: str) -> Entry:
    """The row of a name.

    Raises:
        ValueError: There is no such name; the text gives the nearest one.
    """
    if name not in MODELS:
        raise unknown("model", name, sorted(MODELS))
    return MODELS[name]


def list_models(pattern: str = "*") -> list[str]:
    """The names of all networks that match a pattern, sorted.

    Args:
        pattern: Shell wildcards, `*`, `?` and `[…]`; by default everything.

    Returns:
        The names, for `create_model`; an empty list where nothing matches.
    """
    return sorted(name for name in MODELS if fnmatchcase(name, pattern))


def create_model(name: str, /, **overrides: Any) -> "keras.Model":
    """Build a network by its name.

    Args:
        name: One of `list_models()`.
        **overrides: Arguments of the network's builder, such as `classes` or `input_shape`. What makes the
            named network itself, such as its version, cannot be overridden.

    Returns:
        A functional Keras model, called `name` unless the overrides name it.

    Raises:
        ValueError: There is no such network, its builder has no such argument or refuses its value, or an
            override contradicts the name; the text says what works.
    """
    entry = find(name)
    module, function = entry.builder.split(":")
    build = getattr(import_module(module), function)
    for argument, value in overrides.items():
        if argument not in signature(build).parameters:
            raise unknown("argument", argument, signature(build).parameters)
        if argument in entry.arguments and value != entry.arguments[argument]:
            raise ValueError(
                f"{argument}={value!r} contradicts the model {name!r}, which has "
                f"{argument}={entry.arguments[argument]!r}; call keras_cnns.{function}({argument}={value!r})."
            )
    return build(**{"name": name, "input_shape": entry.input_shape, **entry.arguments, **overrides})
