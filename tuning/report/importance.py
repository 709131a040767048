"""How much each hyperparameter matters, as far as the trials tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuning.findings import Configuration, Part, configurations, varying

FEW = 10  # configurations, below which nothing is told
TREES = 100
REPEATS = 8


@dataclass(frozen=True)
class Importance:
    """What a forest learned of the scores.

    Attributes:
        shares: Share of each hyperparameter, the largest first; they add up to 1.
        fit: Coefficient of determination on the configurations that each tree did not see; 1 is perfect, and
            0 or less says that the forest knows nothing.
        count: Configurations that it learned from.
    """

    shares: tuple[tuple[str, float], ...]
    fit: float
    count: int


def importance(result: Part) -> Importance | None:
    """How much worse a random forest guesses when a hyperparameter's values are shuffled (Breiman, 2001).

    The epochs that a configuration was trained are told to the forest too, so that one that was stopped early
    is not taken for a bad one.

    Args:
        result: A search's result.

    Returns:
        The same for the same result; None with fewer than FEW configurations that have a score, or where all
        scores are equal.
    """
    scored = [one for one in configurations(result) if one.score is not None]
    names = varying(result)
    if len(scored) < FEW or not names or len({one.score for one in scored}) < 2:
        return None
    # The order of the trials, which the result keeps, and not that of the scores: equal inputs, equal forest.
    scored.sort(key=lambda one: one.name)
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    inputs = np.array([_row(one, names) for one in scored], dtype=float)
    scores = np.array([one.score for one in scored], dtype=float)
    forest = RandomForestRegressor(TREES, min_samples_leaf=2, oob_score=True, random_state=0)
    forest.fit(inputs, scores)
    found = permutation_importance(forest, inputs, scores, n_repeats=REPEATS, random_state=0)
    means = [max(0.0, float(one)) for one in found.importances_mean[: len(names)]]
    total = sum(means) or 1.0
    shares = [(one["name"], mean / total) for one, mean in zip(names, means, strict=True)]
    return Importance(tuple(sorted(shares, key=lambda pair: -pair[1])), float(forest.oob_score_), len(scored))


def _row(one: Configuration, names: Sequence[Part]) -> list[float]:
    return [*(_number(each, one.values) for each in names), float(one.trial.get("until") or 0)]


def _number(one: Part, values: Part) -> float:
    """A value as a number in the order of its space; one below all others where it does not apply."""
    if one["name"] not in values:
        return math.log(one["low"]) - 1 if one.get("log") else float(one.get("low", 0)) - 1
    value: Any = values[one["name"]]
    if one["kind"] == "choice":
        return float(one["values"].index(value)) if value in one["values"] else float(len(one["values"]))
    return math.log(value) if one.get("log") else float(value)
