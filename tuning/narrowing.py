"""Decide some hyperparameters of a space, or hold them to less; what does not fit is refused."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterable, Mapping
from numbers import Real
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
) -> Space:
    """A space with some hyperparameters decided or held to less.

    Args:
        whole: The space.
        fix: A value for each hyperparameter that is not to be searched; of a choice also several values,
            which it keeps: a list, or a text such as "20|32".
        ranges: The least and the largest value of hyperparameters; of a choice, those between them stay.

    Raises:
        BadInput: There is no such hyperparameter, a value lies outside of its space, a range is empty, or a
            hyperparameter counts beside no value that another one keeps.
    """
    dimensions = dict(whole.dimensions)
    given = {**(ranges or {}), **(fix or {})}
    for key, (low, high) in (ranges or {}).items():
        name = _known(key, dimensions)
        dimensions[name] = _between(key, dimensions[name], low, high)
    for key, value in (fix or {}).items():
        name = _known(key, dimensions)
        kept = value.split("|") if isinstance(value, str) and "|" in value else value
        dimensions[name] = (_several if isinstance(kept, (list, tuple)) else _one)(
            key, dimensions[name], kept
        )
    left = _reachable(dimensions)
    for key in given:
        name = ALIASES.get(key, key)
        when = dimensions[name].when
        if name not in left and when is not None:
            raise BadInput(f"{key} does not count here: it does where {when[0]} is {_words(when[1])}")
    return dataclasses.replace(whole, dimensions=left)


def pairs(option: str, texts: Iterable[str], form: str = "NAME=VALUE") -> dict[str, str]:
    """What was typed as NAME=VALUE, for `narrow`.

    Args:
        option: As it was typed, for the error.
        texts: A pair each.
        form: How they are written, for the error.

    Raises:
        BadInput: One is not written so, or a hyperparameter is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value:
            raise BadInput(f"{option} {text}: write {form}")
        if ALIASES.get(name, name) in {ALIASES.get(one, one) for one in found}:
            raise BadInput(f"{option} {name} is given twice")
        found[name] = value
    return found


def ranges(option: str, texts: Iterable[str]) -> dict[str, tuple[float, float]]:
    """What was typed as NAME=LOW:HIGH; arguments and errors as of `pairs`."""
    found: dict[str, tuple[float, float]] = {}
    for name, text in pairs(option, texts, "NAME=LOW:HIGH").items():
        low, _, high = text.partition(":")
        try:
            found[name] = float(low), float(high)
        except ValueError:
            raise BadInput(f"{option} {name}={text}: write NAME=LOW:HIGH with two numbers") from None
    return found


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


def _one(given: str, one: Dimension, value: Any) -> Dimension:
    return Fixed(_inside(given, one, value), one.of, one.when)


def _several(given: str, one: Dimension, values: Iterable[Any]) -> Dimension:
    if isinstance(one, Range):
        raise BadInput(f"{given} is a range from {_limits(one)}, not a choice; give it low and high")
    kept = tuple(dict.fromkeys(_inside(given, one, value) for value in values))
    if not kept:
        raise BadInput(f"{given} must keep one of {_words(_can_be(one))} at least")
    return _keeping(one, kept)


def _keeping(one: Dimension, kept: tuple[Value, ...]) -> Dimension:
    if isinstance(one, Choice) and len(kept) > 1:
        return dataclasses.replace(one, values=kept, default=one.default if one.default in kept else kept[0])
    return Fixed(kept[0], one.of, one.when)


def _inside(given: str, one: Dimension, value: Any) -> Value:
    """A value as the hyperparameter has it."""
    if isinstance(one, Choice):
        match = next((each for each in one.values if str(each).lower() == str(value).strip().lower()), None)
        if match is None:
            near = nearest(_number(value), one.values)
            hint = f"; nearest: {near}" if near else ""
            raise BadInput(f"{given}={value} is outside its space: {_words(one.values)}{hint}")
        return match
    number = _number(value)
    if isinstance(one, Fixed):
        same = _is_real(one.value) and _is_real(number) and one.value == number
        if not same and str(one.value).lower() != str(value).lower():
            raise BadInput(f"{given}={value} contradicts {given}={one.value}, which is fixed")
        return one.value
    if not _is_real(number) or not one.low <= number <= one.high:
        raise BadInput(f"{given}={value} is outside its space, from {_limits(one)}")
    return int(number) if one.whole else float(number)


def _between(given: str, one: Dimension, low: float, high: float) -> Dimension:
    if math.isnan(low) or math.isnan(high):
        raise BadInput(f"{given}={low:g}:{high:g} is no range; give two numbers")
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
        return _keeping(one, kept)
    if isinstance(one, Fixed):
        raise BadInput(f"{given} is fixed at {one.value}; it has no range")
    _possible(given, f"{low:g}:{high:g}", one, low, high)
    default = min(max(one.default, low), high)
    return dataclasses.replace(one, low=low, high=high, default=default)


def _possible(given: str, said: str, one: Range, low: float, high: float) -> None:
    """A user may look further than we would; what cannot be is refused."""
    if not 0 <= low <= high <= sys.float_info.max or (one.log and low == 0):
        raise BadInput(f"{given}={said} must be finite and {'above' if one.log else 'at least'} 0")
    if given in _SHARES and high > 1:
        raise BadInput(f"{given}={said} must not exceed 1; {given} is a share")


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


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

    A number may lie wherever `narrow` lets a search look, which may be further than the space itself does.

    Raises:
        BadInput: A hyperparameter is not known, or cannot have its value.
    """
    known: dict[str, Value] = {}
    for name, value in values.items():
        if name.startswith("tuner/"):
            continue
        one = searched.dimensions[_known(name, searched.dimensions)]
        number = _number(value)
        if isinstance(one, Range) and _is_real(number):
            _possible(name, str(value), one, number, number)
            one = dataclasses.replace(one, low=number, high=number)
        known[name] = _inside(name, one, value)
    found: dict[str, Value] = {}
    for name, one in searched.dimensions.items():
        if active(one, found):
            found[name] = known.get(name, one.value if isinstance(one, Fixed) else one.default)
    return found
