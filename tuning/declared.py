"""A search's space as KerasTuner has it."""

from __future__ import annotations

from typing import Any

from keras_tuner.engine.hyperparameters import HyperParameters

from tuning import families, spaces


def hyperparameters(space: spaces.Space) -> HyperParameters:
    """The space as KerasTuner has it."""
    found = HyperParameters()
    declare(space, found)
    return found


def declare(space: spaces.Space, hp: HyperParameters) -> dict[str, Any]:
    """Register a space's hyperparameters; returns the values of those that count."""
    values: dict[str, Any] = {}
    for name, one in space.dimensions.items():
        parent, among = (one.when[0], list(one.when[1])) if one.when else (None, None)
        value = _registered(hp, name, one, parent, among)
        if families.active(one, values) and value is not None:
            values[name] = value
    return values


def _registered(hp: HyperParameters, name: str, one: Any, parent: str | None, among: list[Any] | None) -> Any:
    scope = {"parent_name": parent, "parent_values": among}
    if isinstance(one, families.Fixed):
        return hp.Fixed(name, one.value, **scope)
    if isinstance(one, families.Choice):
        if len(one.values) == 1:
            return hp.Fixed(name, one.values[0], **scope)
        if isinstance(one.default, bool):
            return hp.Boolean(name, default=one.default, **scope)
        return hp.Choice(name, list(one.values), default=one.default, **scope)
    sampling = "log" if one.log else "linear"
    if one.whole:
        return hp.Int(name, int(one.low), int(one.high), sampling=sampling, default=int(one.default), **scope)
    return hp.Float(name, one.low, one.high, sampling=sampling, default=one.default, **scope)
