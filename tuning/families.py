"""What each family's search chooses from, as data: arguments of our builders and fields of our recipes.

Nothing in this module imports Keras, so that commands can read it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

NETWORK, RECIPE = "network", "recipe"
Value = bool | int | float | str
When = tuple[str, tuple[Value, ...]]

# Strength of the augmentation, as fields of a recipe; each level has what the one before has.
AUGMENTATION: tuple[dict[str, Any], ...] = (
    {"crop": 0.0, "mirror": False, "policy": "", "mixup": 0.0},
    {"crop": 0.125, "mirror": True, "policy": "", "mixup": 0.0},
    {"crop": 0.125, "mirror": True, "policy": "trivial", "mixup": 0.0},
    {"crop": 0.125, "mirror": True, "policy": "trivial", "mixup": 0.2},
)


@dataclass(frozen=True)
class Choice:
    """A hyperparameter with a few values.

    Attributes:
        values: All of one type.
        default: One of them.
        of: "network" for an argument of the builder, "recipe" for a field of the recipe.
        when: (hyperparameter, its values) that make this one count; None for always.
    """

    values: tuple[Value, ...]
    default: Value
    of: str = NETWORK
    when: When | None = None


@dataclass(frozen=True)
class Range:
    """A hyperparameter between two numbers, both of which it can have.

    Attributes:
        low: The least value.
        high: The largest.
        default: Between them.
        log: Whether each power of ten gets the same share of the samples.
        whole: Whether it is a whole number.
        of: As in `Choice`.
        when: As in `Choice`.
    """

    low: float
    high: float
    default: float
    log: bool = False
    whole: bool = False
    of: str = NETWORK
    when: When | None = None


@dataclass(frozen=True)
class Fixed:
    """A hyperparameter that the caller has decided."""

    value: Value
    of: str = NETWORK
    when: When | None = None


Dimension = Choice | Range | Fixed

TRAINING: dict[str, Dimension] = {
    "optimizer": Choice(("sgd", "adam"), "sgd", RECIPE),
    "learning_rate": Range(1e-4, 0.3, 1e-2, log=True, of=RECIPE),
    "weight_decay": Range(1e-6, 1e-1, 1e-4, log=True, of=RECIPE),
    "label_smoothing": Range(0.0, 0.2, 0.0, of=RECIPE),
    "augmentation": Choice(tuple(range(len(AUGMENTATION))), 1, RECIPE),
    "batch_size": Choice((32, 64, 128, 256), 64, RECIPE),
    "schedule": Choice(("cosine", "steps", "constant"), "cosine", RECIPE),
}
_IMAGENET_DEPTHS, _CIFAR_DEPTHS = (18, 34, 50), (20, 32, 44, 56)


@dataclass(frozen=True)
class Family:
    """A paper's networks.

    Attributes:
        builder: Of the registry, "module:function", without the package.
        name: The registered network that a set of values is a variant of.
        network: Arguments of its builder.
        training: What differs from the training of the others.
    """

    builder: str
    name: Callable[[Mapping[str, Any]], str]
    network: Mapping[str, Dimension]
    training: Mapping[str, Dimension] = field(default_factory=dict)


def _resnet_name(values: Mapping[str, Any]) -> str:
    depth = values["depth"]
    return f"cifar_resnet{depth}" if depth in _CIFAR_DEPTHS else f"resnet{depth}"


FAMILIES: dict[str, Family] = {
    "lenet": Family(
        "lenet:lenet5",
        lambda values: f"lenet5_{values['version']}",
        {
            "version": Choice(("modern", "1998"), "modern"),
            "width": Range(0.5, 4.0, 1.0, log=True, when=("version", ("modern",))),
        },
    ),
    "alexnet": Family(
        "alexnet:alexnet",
        lambda _: "alexnet",
        {
            "groups": Choice((1, 2), 2),
            "width": Range(0.125, 1.0, 1.0, log=True),
            "dropout": Range(0.0, 0.7, 0.5),
        },
    ),
    "vgg": Family(
        "vgg:vgg",
        lambda values: f"vgg{values['depth']}",
        {
            "depth": Choice((11, 13, 16, 19), 11),
            "batch_norm": Choice((False, True), False),
            "width": Range(0.125, 1.0, 1.0, log=True),
            "dropout": Range(0.0, 0.7, 0.5),
        },
    ),
    "googlenet": Family(
        "googlenet:googlenet",
        lambda _: "googlenet",
        {"separable_stem": Choice((False, True), False), "dropout": Range(0.0, 0.7, 0.4)},
    ),
    "resnet": Family(
        "resnet:resnet",
        _resnet_name,
        {
            "depth": Choice((*_CIFAR_DEPTHS, *_IMAGENET_DEPTHS), 20),
            "version": Choice((1, 2), 1),
            "shortcut": Choice(("A", "B"), "B"),
            "width": Range(0.5, 4.0, 1.0, log=True),
            "stem": Choice(("7x7", "3x3"), "3x3", when=("depth", _IMAGENET_DEPTHS)),
            "dropout": Range(0.0, 0.5, 0.0),
        },
    ),
    "resnext": Family(
        "resnext:resnext",
        lambda _: "resnext50_32x4d",
        {
            "groups": Choice((4, 8, 16, 32), 32),
            "group_width": Choice((4, 8), 4),
            "stem": Choice(("7x7", "3x3"), "3x3"),
            "dropout": Range(0.0, 0.5, 0.0),
        },
    ),
    "densenet": Family(
        "densenet:densenet",
        lambda values: f"densenet{values['depth']}" if values["depth"] > 100 else "cifar_densenet_L40_k12",
        {
            "depth": Choice((40, 121, 169), 40),
            "growth_rate": Choice((8, 12, 24, 32), 32, when=("depth", (121, 169))),
            "compression": Range(0.25, 1.0, 0.5, when=("depth", (121, 169))),
            "dropout": Range(0.0, 0.5, 0.0),
        },
    ),
    "senet": Family(
        "senet:se_resnet",
        lambda values: f"se_resnet{values['depth']}",
        {
            "depth": Choice((50, 101), 50),
            "se_ratio": Choice((2, 4, 8, 16, 32), 16),
            "placement": Choice(("standard", "pre", "post", "identity"), "standard"),
            "width": Range(0.25, 2.0, 1.0, log=True),
            "stem": Choice(("7x7", "3x3"), "3x3"),
            "dropout": Range(0.0, 0.5, 0.0),
        },
    ),
}  # fmt: skip


def active(one: Dimension, values: Mapping[str, Any]) -> bool:
    """Whether a hyperparameter counts beside the values of those before it."""
    return one.when is None or values.get(one.when[0]) in one.when[1]
