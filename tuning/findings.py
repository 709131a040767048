"""What the trials of a search say together: configurations, the best one, the course, the Pareto front."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuning.pages.words import as_value, finite_or_none

Part = dict[str, Any]

ENDED = ("completed", "failed", "pruned")


@dataclass(frozen=True)
class Configuration:
    """Values that were tried together; asha and hyperband train them further in later trials.

    Attributes:
        name: Id of its first trial.
        values: Active hyperparameters by name.
        trial: The trial that speaks for it: the furthest completed one, or, where that is another, the best
            of the search; its last one where none completed.
        history: Its epochs over all of its trials, in order.
    """

    name: str
    values: Part
    trial: Part
    history: tuple[Part, ...]

    @property
    def score(self) -> float | None:
        """The objective, or None where no trial of it was completed."""
        return score_of(self.trial)


@dataclass(frozen=True)
class Moment:
    """The end of a trial: epochs that the search had trained until then, and the best score so far."""

    epochs: int
    trial: Part
    best: float | None


def score_of(trial: Part) -> float | None:
    """The objective of a completed trial, where it is a number."""
    return finite_or_none(trial.get("score")) if trial["status"] == "completed" else None


def sign(result: Part) -> int:
    """1 where more is better, -1 where less is."""
    return -1 if result.get("direction") == "min" else 1


def varying(result: Part) -> list[Part]:
    """The hyperparameters that the search may choose, in the order of the space."""
    return [one for one in result["space"] if not _settled(one)]


def _settled(one: Part) -> bool:
    if one["kind"] == "choice":
        return len(one["values"]) < 2
    return one["kind"] == "fixed" or one["low"] == one["high"]


def best_trial(result: Part) -> Part | None:
    """The trial that the search names as its best, or the one with the best score."""
    scored = [one for one in result["trials"] if score_of(one) is not None]
    named = [one for one in scored if one["id"] == result.get("best")]
    return next(iter(named or sorted(scored, key=lambda one: -sign(result) * (score_of(one) or 0.0))), None)


def begun(result: Part) -> int:
    """How many configurations were trained, or are: without those that were too large."""
    fitting = [one for one in result["trials"] if one["status"] != "pruned"]
    return len({one.get("configuration") or one["id"] for one in fitting})


def hyperparameters(result: Part) -> str:
    """The best configuration as a file of JSON that `python -m pipeline run --hyperparameters` takes.

    Args:
        result: With a best trial.
    """
    best = best_trial(result)
    assert best is not None
    return json.dumps({"family": result["family"], **best["values"]}, indent=1) + "\n"


def configurations(result: Part) -> list[Configuration]:
    """Every configuration once: the best first, those without a score last."""
    groups: dict[str, list[Part]] = {}
    for trial in result["trials"]:
        groups.setdefault(trial.get("configuration") or trial["id"], []).append(trial)
    best = best_trial(result)
    found = [_configuration(name, trials, best) for name, trials in groups.items()]

    def rank(one: Configuration) -> tuple[bool, bool, float]:
        return one.trial is not best, one.score is None, -sign(result) * (one.score or 0.0)

    return sorted(found, key=rank)


def _configuration(name: str, trials: Sequence[Part], best: Part | None) -> Configuration:
    scored = [one for one in trials if score_of(one) is not None]
    furthest = max(scored, key=lambda one: one.get("until") or 0) if scored else trials[-1]
    speaks = next((one for one in trials if one is best), furthest)
    epochs = {one["epoch"]: one for trial in trials for one in trial.get("history") or ()}
    return Configuration(
        name, speaks.get("values") or {}, speaks, tuple(epochs[key] for key in sorted(epochs))
    )


def trained(trial: Part) -> int:
    """Epochs that a trial itself trained."""
    if trial["status"] == "completed" and not trial.get("history"):
        return max(0, (trial.get("until") or 0) - (trial.get("first_epoch") or 0))
    return len(trial.get("history") or ())


def course(result: Part) -> list[Moment]:
    """The ends of the trials in time."""
    ended = [one for one in result["trials"] if one["status"] in ENDED]
    ended.sort(key=lambda one: one.get("ended") or "")
    moments: list[Moment] = []
    epochs, best = 0, None
    for trial in ended:
        epochs += trained(trial)
        score = score_of(trial)
        if score is not None and (best is None or sign(result) * (score - best) > 0):
            best = score
        moments.append(Moment(epochs, trial, best))
    return moments


def front(result: Part, cost: str) -> tuple[list[Configuration], list[Configuration]]:
    """The Pareto front of score against a cost, the cheapest first, and all configurations that have both.

    Args:
        result: A search's result.
        cost: "parameters", "macs" or "latency_ms", of which less is better.
    """
    known = [
        one
        for one in configurations(result)
        if one.score is not None and finite_or_none(one.trial.get(cost)) is not None
    ]
    ranked = sorted(known, key=lambda one: (one.trial[cost], -sign(result) * (one.score or 0.0)))
    best: list[Configuration] = []
    for one in ranked:
        if not best or sign(result) * ((one.score or 0.0) - (best[-1].score or 0.0)) > 0:
            best.append(one)
    return best, known


def counts(result: Part) -> Counter[str]:
    """How many trials have each status."""
    return Counter(one["status"] for one in result["trials"])


def as_setting(value: Any) -> str:
    """A hyperparameter's value, with the digits that tell it from others."""
    return f"{value:.3g}" if isinstance(value, float) else as_value(value)


def as_score(value: Any) -> str:
    """An objective with four decimals, or a dash."""
    number = finite_or_none(value)
    return "—" if number is None else f"{number:.4f}"


def changed(result: Part, values: Part) -> list[str]:
    """Hyperparameters that are not as by default, each as `name value`."""
    plain = {one["name"]: one.get("default") for one in varying(result)}
    return [
        f"{key} {as_setting(values[key])}" for key in plain if key in values and values[key] != plain[key]
    ]
