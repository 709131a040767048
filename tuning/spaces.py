"""The space of one search: a family's hyperparameters, and what a set of their values trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_cnns._checks import unknown
from keras_cnns.recipes import Recipe, recipe_for
from keras_cnns.registry import MODELS
from tuning.errors import BadInput
from tuning.families import (
    AUGMENTATION,
    FAMILIES,
    NETWORK,
    RECIPE,
    TRAINING,
    Choice,
    Dimension,
    Fixed,
    Range,
    Value,
    active,
)  # fmt: skip


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
    training = {**TRAINING, **own.training}
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


def losses(searched: Space) -> set[str]:
    """The losses of the recipes of all networks that a space has."""
    defaults = searched.defaults()
    rows: list[dict[str, Value]] = [defaults]
    for name, one in searched.dimensions.items():
        if isinstance(one, Choice) and (one.of == NETWORK or name == "loss"):
            rows += [{**defaults, name: value} for value in one.values]
    return {plan(searched, row, 1).recipe.loss for row in rows}


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
