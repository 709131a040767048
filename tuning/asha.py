"""Asynchronous successive halving (Li et al. 2018, arXiv 1810.05934) as an oracle of KerasTuner.

Configurations are trained for a few epochs first. Whenever a worker is free, the best third of a rung that
was not yet trained further is; only where there is none, a new configuration begins at the bottom. Nobody
waits for a rung to fill up, as in Hyperband. New configurations are drawn where good ones were (Falkner et
al. 2018, arXiv 1807.01774), one in ten at random.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras_tuner import Oracle
from keras_tuner.engine import hyperparameters as hp_module
from keras_tuner.engine.trial import Trial

PRUNED = "pruned: "  # how the message of a trial begins that was too large to be trained
_AT_RANDOM = 0.1  # of new configurations; the third of Falkner et al. 2018 is dear where there are few
_GOOD = 0.25  # share of the observed ones that count as good
_CANDIDATES = 64
_WIDER = 1.5  # the good ones' density is widened where candidates are drawn
_NARROWEST = 0.05  # standard deviation of a density at least, in shares of a range


class AshaOracle(Oracle):
    """Asynchronous successive halving, with a model of where good configurations lie.

    Each trial of this oracle trains a configuration from `tuner/initial_epoch` through `tuner/epochs`; one
    that continues another names it in `tuner/trial_id`, as KerasTuner's Hyperband does.

    Args:
        objective: A `keras_tuner.Objective`.
        epochs: Of a whole training.
        configurations: To begin at most; None for no limit.
        factor: Of a rung's configurations one in so many is trained further, so many times as long.
        model: Whether to draw where good ones were; False draws all at random.
        **kwargs: Of `keras_tuner.Oracle`.

    Raises:
        ValueError: `epochs` or `factor` is too small.
    """

    def __init__(
        self, objective: Any = None, *, epochs: int = 9, configurations: int | None = None, factor: int = 3,
        model: bool = True, **kwargs: Any,
    ) -> None:  # fmt: skip
        if epochs < 1 or factor < 2:
            raise ValueError(f"epochs must be at least 1 and factor at least 2, not {epochs} and {factor}")
        super().__init__(objective=objective, **kwargs)
        self.configurations, self.factor, self.model = configurations, factor, model
        self.rungs = rungs(epochs, factor)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next trial: a configuration to train further, or a new one."""
        promoted = self._promoted()
        if promoted is not None:
            return {"status": "RUNNING", "values": self._further(promoted)}
        begun = sum(1 for one in self.trials.values() if _rung(one) == 0 and not was_pruned(one))
        if self.configurations is None or begun < self.configurations:
            values = self._new_values()
            if values is not None:
                first = {"tuner/rung": 0, "tuner/epochs": self.rungs[0], "tuner/initial_epoch": 0}
                return {"status": "RUNNING", "values": {**values, **first}}
        if self.ongoing_trials:
            return {"status": "IDLE", "values": None}
        last = self._last_one()
        if last is None:
            return {"status": "STOPPED", "values": None}
        return {"status": "RUNNING", "values": self._further(last)}

    def promotable(self) -> set[str]:
        """Ids of trials that may yet be trained further: the best third of what a rung may come to hold.

        More trials can only push one down in its rung, but they make the best third larger.
        """
        found: set[str] = set()
        taken, most = self._taken(), self.configurations
        for rung in range(len(self.rungs) - 1):
            ranked = self._ranked(rung)
            # Two more: the best one goes on at the end, and if that fails, the next one does.
            near = ranked if most is None else ranked[: most // self.factor + 2]
            further = {one.trial_id for one in near} - taken
            found |= further
            above = sum(1 for one in self.trials.values() if _rung(one) == rung + 1)
            most = None if most is None else above + len(further)
        return found

    def _promoted(self) -> Trial | None:
        """The best of the highest rung that belongs to its best third and was not yet trained further."""
        taken = self._taken()
        for rung in reversed(range(len(self.rungs) - 1)):
            ranked = self._ranked(rung)
            for one in ranked[: len(ranked) // self.factor]:
                if one.trial_id not in taken:
                    return one
        return None

    def _last_one(self) -> Trial | None:
        """At the end, the best of the highest rung reached, if none was trained to the end."""
        reached = [rung for rung in range(len(self.rungs)) if self._ranked(rung)]
        if not reached or reached[-1] == len(self.rungs) - 1:
            return None
        taken = self._taken()
        return next((one for one in self._ranked(reached[-1]) if one.trial_id not in taken), None)

    def _further(self, trial: Trial) -> dict[str, Any]:
        rung = _rung(trial) + 1
        values = dict(trial.hyperparameters.values)
        return {
            **values,
            "tuner/trial_id": trial.trial_id,
            "tuner/configuration": values.get("tuner/configuration") or trial.trial_id,
            "tuner/rung": rung,
            "tuner/epochs": self.rungs[rung],
            "tuner/initial_epoch": self.rungs[rung - 1],
        }

    def _taken(self) -> set[str]:
        return {one.hyperparameters.values.get("tuner/trial_id") for one in self.trials.values()}

    def _ranked(self, rung: int) -> list[Trial]:
        """The completed trials of a rung, the best first."""
        there = [one for one in self.trials.values() if _rung(one) == rung and one.status == "COMPLETED"]
        return sorted(there, key=lambda one: one.score, reverse=self.objective.direction == "max")

    def _compute_values_hash(self, values: dict[str, Any]) -> str:
        """Of a configuration: that it is trained further makes no new one of it."""
        return super()._compute_values_hash(
            {key: value for key, value in values.items() if not key.startswith("tuner/")}
        )

    def _new_values(self) -> dict[str, Any] | None:
        dice = np.random.default_rng([self.seed, len(self.trials)])
        observed = self._observed() if self.model and dice.random() >= _AT_RANDOM else None
        if observed is not None:
            for _ in range(self._max_collisions):
                values = self._likely(*observed, dice)
                if not self._duplicate(values):
                    return values
        return self._random_values()

    def _observed(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Good and other configurations in shares of each range, of the highest rung that has enough."""
        space = self._searched()
        enough = max(len(space) + 2, 6)
        for rung in reversed(range(len(self.rungs))):
            ranked = self._ranked(rung)
            if len(ranked) >= enough:
                good = max(3, math.ceil(_GOOD * len(ranked)))
                points = np.array([self._point(one, space) for one in ranked])
                return points[:good], points[good:]
        return None

    def _likely(self, good: np.ndarray, other: np.ndarray, dice: np.random.Generator) -> dict[str, Any]:
        """Of some candidates near good ones, the one that is likeliest good rather than not."""
        space = self._searched()
        kinds = [_values_of(one) for one in space]
        best, best_ratio = good[0], -math.inf
        for _ in range(_CANDIDATES):
            point = np.array([
                _drawn(column[~np.isnan(column)], kind, dice)
                for column, kind in zip(good.T, kinds, strict=True)
            ])  # fmt: skip
            ratio = sum(
                math.log(_density(mine, value, kind)) - math.log(_density(theirs, value, kind))
                for mine, theirs, value, kind in zip(good.T, other.T, point, kinds, strict=True)
            )
            if ratio > best_ratio:
                best, best_ratio = point, ratio
        return self._values_at(best, space)

    def _searched(self) -> list[Any]:
        return [one for one in self.hyperparameters.space if not isinstance(one, hp_module.Fixed)]

    def _point(self, trial: Trial, space: list[Any]) -> list[float]:
        values = trial.hyperparameters.values
        return [
            one.value_to_prob(values[one.name]) if one.name in values else math.nan for one in space
        ]  # fmt: skip

    def _values_at(self, point: np.ndarray, space: list[Any]) -> dict[str, Any]:
        places = {one.name: place for one, place in zip(space, point, strict=True)}
        found = hp_module.HyperParameters()
        for one in self.hyperparameters.space:
            found.merge([one])
            if found.is_active(one):
                fixed = isinstance(one, hp_module.Fixed)
                found.values[one.name] = one.value if fixed else one.prob_to_value(places[one.name])
        return found.values


def rungs(epochs: int, factor: int) -> tuple[int, ...]:
    """The epochs after which configurations are compared: epochs, a factor less, and so on down to 1."""
    found = [epochs]
    while found[0] > 1:
        found.insert(0, max(1, math.ceil(found[0] / factor)))
    return tuple(found)


def _rung(trial: Trial) -> int:
    return int(trial.hyperparameters.values.get("tuner/rung", -1))


def was_pruned(trial: Trial) -> bool:
    """Whether a trial ended before its training, since its network was too large."""
    return (trial.message or "").startswith(PRUNED)


def _values_of(one: Any) -> int | None:
    """How many values a hyperparameter has whose order says nothing; None for numbers."""
    if isinstance(one, hp_module.Boolean):
        return 2
    if isinstance(one, hp_module.Choice) and not one.ordered:
        return len(one.values)
    return None


def _spread(points: np.ndarray) -> float:
    """Scott's rule for one dimension."""
    return max(_NARROWEST, float(points.std()) * len(points) ** -0.2)


def _drawn(points: np.ndarray, kind: int | None, dice: np.random.Generator) -> float:
    """A place near the points; anywhere where there are none, and now and then for a choice."""
    if not len(points) or (kind is not None and dice.random() < 1 / (len(points) + 1)):
        return float(dice.random())
    near = float(dice.choice(points))
    if kind is not None:
        return near
    for _ in range(20):
        place = near + dice.normal() * _WIDER * _spread(points)
        if 0 <= place < 1:
            return float(place)
    return near


def _density(points: np.ndarray, place: float, kind: int | None) -> float:
    """How likely the points make a place, with a part of a uniform density, so that it is never zero."""
    points = points[~np.isnan(points)]
    if not len(points):
        return 1.0
    if kind is not None:
        same = np.count_nonzero(np.floor(points * kind) == np.floor(place * kind))
        return (same * kind + 1) / (len(points) + 1)
    width = _spread(points)
    bells = np.exp(-0.5 * ((points - place) / width) ** 2) / (width * math.sqrt(2 * math.pi))
    return (float(bells.sum()) + 1) / (len(points) + 1)
