"""What is searched: each family's hyperparameters as data, from our builders' arguments and recipes' fields.

Nothing in this module imports Keras, so that commands can read it at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_cnns._checks import nearest, unknown
from keras_cnns.recipes import Recipe, recipe_for
from keras_cnns.registry import MODELS
from tuning.errors import BadInput

NETWORK, RECIPE = "network", "recipe"
ALIASES = {"lr": "learning_rate", "wd": "weight_decay"}
_SHARES = ("dropout", "label_smoothing", "compression")
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

_TRAINING: dict[str, Dimension] = {
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


@dataclass(frozen=True)
class Space:
    """The hyperparameters of one search.

    Attributes:
        family: A family of `FAMILIES`.
        model: The registered network whose own arguments are fixed; None for the whole family.
        dimensions: By name, in order; those that others depend on come first.
    """

    family: str
    model: str | None
    dimensions: Mapping[str, Dimension]

    def defaults(self) -> dict[str, Value]:
        """The value of each hyperparameter that counts, where nobody chooses."""
        values: dict[str, Value] = {}
        for name, one in self.dimensions.items():
            if active(one, values):
                values[name] = one.value if isinstance(one, Fixed) else one.default
        return values

    def rows(self) -> list[dict[str, Any]]:
        """The space as plain data, for files and reports."""
        return [_row(name, one) for name, one in self.dimensions.items()]

    def searched(self) -> list[str]:
        """The hyperparameters that a search may choose."""
        return [name for name, one in self.dimensions.items() if not isinstance(one, Fixed)]


@dataclass(frozen=True)
class Plan:
    """A set of values as what trains: a registered network, its arguments, and a recipe."""

    model: str
    arguments: Mapping[str, Value]
    recipe: Recipe


def active(one: Dimension, values: Mapping[str, Any]) -> bool:
    """Whether a hyperparameter counts beside the values of those before it."""
    return one.when is None or values.get(one.when[0]) in one.when[1]


def space(name: str, *, mirror: bool = True) -> Space:
    """The space of a family, or of a registered network, whose own arguments are fixed then.

    Args:
        name: A family, such as "resnet", or a network, such as "cifar_resnet20".
        mirror: Whether pictures may be mirrored; digits, for one, may not.

    Raises:
        BadInput: There is neither, or its builder has no space.
    """
    if name in FAMILIES:
        own, given = FAMILIES[name], {}
        family, model = name, None
    elif name in MODELS:
        entry = MODELS[name]
        builder = entry.builder.removeprefix("keras_cnns.")
        family = next((key for key, one in FAMILIES.items() if one.builder == builder), "")
        if not family:
            raise BadInput(f"{name} has no space to search; families with one: {', '.join(FAMILIES)}")
        own, given, model = FAMILIES[family], dict(entry.arguments), name
    else:
        raise BadInput(str(unknown("family", name, [*FAMILIES, *MODELS])))
    dimensions: dict[str, Dimension] = {}
    for key, one in own.network.items():
        if model is not None and (key in given or key in ("depth", "version", "groups")):
            # What the name stands for, or would make another network of it.
            continue
        if one.when and model is not None and one.when[0] in ("depth", "version"):
            if given.get(one.when[0]) not in one.when[1]:
                continue
            one = dataclasses.replace(one, when=None)
        dimensions[key] = one
    training = {**_TRAINING, **own.training}
    if model is not None:
        training = _of_recipe(training, recipe_for(model))
    if not mirror:
        level = training["augmentation"]
        assert isinstance(level, Choice)
        training["augmentation"] = dataclasses.replace(level, default=0)
    return Space(family, model, {**dimensions, **training})


def _of_recipe(training: Mapping[str, Dimension], recipe: Recipe) -> dict[str, Dimension]:
    """The training's hyperparameters as a recipe has them by default; without those that it cannot take."""
    found: dict[str, Dimension] = {}
    for key, one in training.items():
        if key == "augmentation" and isinstance(one, Choice):
            level = 3 if recipe.mixup else 2 if recipe.policy else 1 if recipe.mirror or recipe.crop else 0
            levels = one.values[:3] if recipe.loss == "map" else one.values
            found[key] = dataclasses.replace(one, values=levels, default=level)
        elif key == "label_smoothing" and recipe.loss == "map":
            continue
        elif isinstance(one, Range):
            own = min(max(getattr(recipe, key), one.low), one.high)
            found[key] = dataclasses.replace(one, default=own)
        elif isinstance(one, Choice) and getattr(recipe, key) in one.values:
            found[key] = dataclasses.replace(one, default=getattr(recipe, key))
        else:
            found[key] = one
    return found


def plan(searched: Space, values: Mapping[str, Any], epochs: int, *, mirror: bool = True) -> Plan:
    """What a set of values trains.

    Args:
        searched: The space that the values are of.
        values: Of the hyperparameters that count; others, such as KerasTuner's own, are passed over.
        epochs: Of a whole training.
        mirror: As in `space`.
    """
    chosen = {key: value for key, value in values.items() if key in searched.dimensions}
    model = searched.model or FAMILIES[searched.family].name(chosen)
    own = MODELS[model].arguments
    network = {
        key: value for key, value in chosen.items()
        if searched.dimensions[key].of == NETWORK and active(searched.dimensions[key], chosen)
        and key not in own
    }  # fmt: skip
    base = recipe_for(model)
    fields = {key: value for key, value in chosen.items() if searched.dimensions[key].of == RECIPE}
    level = AUGMENTATION[fields.pop("augmentation", 0)]
    recipe = dataclasses.replace(base, epochs=epochs, warmup=0.0, ema=0.0, **{**level, **fields})
    if not mirror:
        recipe = dataclasses.replace(recipe, mirror=False)
    if base.loss == "map":
        recipe = dataclasses.replace(recipe, label_smoothing=0.0, mixup=0.0)
    return Plan(
        model, network, dataclasses.replace(recipe, source=f"Found by a search; its network's: {base.source}")
    )


def narrow(
    whole: Space,
    fix: Mapping[str, Any] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    choices: Mapping[str, Sequence[Any]] | None = None,
) -> Space:
    """A space with some hyperparameters decided or held to less.

    Args:
        whole: The space.
        fix: A value for each hyperparameter that is not to be searched.
        ranges: The least and the largest value of hyperparameters; of a choice, those between them stay.
        choices: The values that a choice keeps.

    Raises:
        BadInput: There is no such hyperparameter, a value lies outside of the space, or a range is empty.
    """
    dimensions = dict(whole.dimensions)
    for given, (low, high) in (ranges or {}).items():
        name = _known(given, dimensions)
        dimensions[name] = _between(given, dimensions[name], low, high)
    for given, values in (choices or {}).items():
        name = _known(given, dimensions)
        one = dimensions[name]
        if not isinstance(one, Choice):
            raise BadInput(f"{given} is a range from {_limits(one)}, not a choice; give it low and high")
        kept = tuple(_inside(given, one, value) for value in values)
        if not kept:
            raise BadInput(f"{given} must keep one of {_words(one.values)} at least")
        dimensions[name] = dataclasses.replace(
            one, values=kept, default=one.default if one.default in kept else kept[0]
        )
    for given, value in (fix or {}).items():
        name = _known(given, dimensions)
        one = dimensions[name]
        dimensions[name] = Fixed(_inside(given, one, value), one.of, one.when)
    return dataclasses.replace(whole, dimensions=_reachable(dimensions))


def _reachable(dimensions: Mapping[str, Dimension]) -> dict[str, Dimension]:
    """Without hyperparameters that can no longer count."""
    left: dict[str, Dimension] = {}
    for name, one in dimensions.items():
        if one.when is not None:
            parent = left.get(one.when[0])
            if parent is None:
                continue
            can = _can_be(parent)
            if can and not set(can) & set(one.when[1]):
                continue
        left[name] = one
    return left


def _can_be(one: Dimension) -> tuple[Value, ...]:
    return (one.value,) if isinstance(one, Fixed) else one.values if isinstance(one, Choice) else ()


def _known(given: str, dimensions: Mapping[str, Dimension]) -> str:
    name = ALIASES.get(given, given)
    if name not in dimensions:
        raise BadInput(str(unknown("hyperparameter", given, list(dimensions))))
    return name


def _inside(given: str, one: Dimension, value: Any) -> Value:
    """A value as the hyperparameter has it."""
    if isinstance(one, Choice):
        match = next((each for each in one.values if str(each).lower() == str(value).lower()), None)
        if match is None:
            near = nearest(_number(value), one.values)
            hint = f"; nearest: {near}" if near else ""
            raise BadInput(f"{given}={value} is outside its space: {_words(one.values)}{hint}")
        return match
    number = _number(value)
    if isinstance(one, Fixed):
        if str(one.value).lower() != str(value).lower() and one.value != number:
            raise BadInput(f"{given}={value} contradicts {given}={one.value}, which is fixed")
        return one.value
    if isinstance(number, str) or not one.low <= number <= one.high:
        raise BadInput(f"{given}={value} is outside its space, from {_limits(one)}")
    return int(number) if one.whole else float(number)


def _between(given: str, one: Dimension, low: float, high: float) -> Dimension:
    if not low < high:
        what = "empty" if low == high else "inverted"
        raise BadInput(
            f"{given}={low:g}:{high:g} is {what}; give the smaller value first, or fix {given}={low:g}"
        )
    if isinstance(one, Choice):
        kept = tuple(
            value for value in one.values
            if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        )  # fmt: skip
        if not kept:
            raise BadInput(f"{given}={low:g}:{high:g} leaves nothing of {_words(one.values)}")
        return dataclasses.replace(one, values=kept, default=one.default if one.default in kept else kept[0])
    if isinstance(one, Fixed):
        raise BadInput(f"{given} is fixed at {one.value}; it has no range")
    # A user may look further than we would; what cannot be is refused.
    if not (math.isfinite(low) and math.isfinite(high)) or low < 0 or (one.log and low <= 0):
        raise BadInput(f"{given}={low:g}:{high:g} must be finite and {'above' if one.log else 'at least'} 0")
    if given in _SHARES and high > 1:
        raise BadInput(f"{given}={low:g}:{high:g} must not exceed 1; {given} is a share")
    default = min(max(one.default, low), high)
    return dataclasses.replace(one, low=low, high=high, default=default)


def _number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value) if any(sign in value for sign in ".eE") else int(value)
        except ValueError:
            return value
    return value


def _limits(one: Dimension) -> str:
    return f"{one.low:g} to {one.high:g}" if isinstance(one, Range) else ""


def _words(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def _row(name: str, one: Dimension) -> dict[str, Any]:
    """One line of a report's space."""
    when = None if one.when is None else [one.when[0], list(one.when[1])]
    rest: dict[str, Any]
    if isinstance(one, Choice):
        rest = {"kind": "choice", "values": list(one.values), "default": one.default}
    elif isinstance(one, Range):
        rest = {
            "kind": "range", "low": one.low, "high": one.high, "log": one.log, "whole": one.whole,
            "default": one.default,
        }  # fmt: skip
    else:
        rest = {"kind": "fixed", "value": one.value}
    return {"name": name, **rest, "of": one.of, "when": when}


def from_rows(family: str, model: str | None, rows: Iterable[Mapping[str, Any]]) -> Space:
    """The space that `Space.rows` wrote."""
    dimensions: dict[str, Dimension] = {}
    for row in rows:
        when = None if row["when"] is None else (row["when"][0], tuple(row["when"][1]))
        if row["kind"] == "choice":
            dimensions[row["name"]] = Choice(tuple(row["values"]), row["default"], row["of"], when)
        elif row["kind"] == "range":
            dimensions[row["name"]] = Range(
                row["low"], row["high"], row["default"], row["log"], row["whole"], row["of"], when
            )
        else:
            dimensions[row["name"]] = Fixed(row["value"], row["of"], when)
    return Space(family, model, dimensions)


def checked(searched: Space, values: Mapping[str, Any]) -> dict[str, Value]:
    """Values from a file, held against a space; what lacks gets its default.

    Raises:
        BadInput: A hyperparameter is not known, or a value lies outside of its space.
    """
    known = {
        name: _inside(name, searched.dimensions[_known(name, searched.dimensions)], value)
        for name, value in values.items() if not name.startswith("tuner/")
    }  # fmt: skip
    found: dict[str, Value] = {}
    for name, one in searched.dimensions.items():
        if active(one, found):
            found[name] = known.get(name, one.value if isinstance(one, Fixed) else one.default)
    return found
