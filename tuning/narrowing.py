"""Decide some hyperparameters of a space, or hold them to less; what does not fit is refused."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_cnns._checks import nearest, unknown
from tuning.errors import BadInput
from tuning.families import Choice, Dimension, Fixed, Range, Value, active
from tuning.spaces import Space

ALIASES = {"lr": "learning_rate", "wd": "weight_decay"}
_SHARES = ("dropout", "label_smoothing", "compression")


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
