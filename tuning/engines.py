"""Which engine is called how: KerasTuner's oracles and ours, each durable."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_tuner import Objective
from keras_tuner.oracles import (
    BayesianOptimizationOracle,
    GridSearchOracle,
    HyperbandOracle,
    RandomSearchOracle,
)  # fmt: skip

from tuning import declared, spaces
from tuning.asha import AshaOracle
from tuning.asked import OBJECTIVES
from tuning.durable import IDLE, RUNNING, STOPPED, Durable, configuration, synchronized

_BEFORE_THE_MODEL = 10  # random trials; KerasTuner takes three times the hyperparameters


class _Random(Durable, RandomSearchOracle):
    pass


class _Bayesian(Durable, BayesianOptimizationOracle):
    pass


class _Grid(Durable, GridSearchOracle):
    """KerasTuner leaves out of its state where a grid is."""

    def get_state(self) -> dict[str, Any]:
        grid = {"order": _in_order(self._ordered_ids), "next": self._populate_next}
        return {**super().get_state(), "grid": grid}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        for name in state["grid"]["order"]:
            self._ordered_ids.insert(name)
        self._populate_next = state["grid"]["next"]


class _Hyperband(Durable, HyperbandOracle):
    _brackets: list[dict[str, Any]]
    _current_bracket: int
    _current_iteration: int
    begins_while_full = True
    _all_drawn = False  # whether nothing new was found by drawing, as in a small space that is used up

    @property
    def _all_begun(self) -> bool:
        """Whether no further configuration begins; brackets are then as small as what was drawn for them."""
        return self.full or self._all_drawn

    def least_epochs(self, epochs: int) -> int:
        return self._get_epochs(self._current_bracket, 0)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        drawn = self._all_drawn
        found = self._populated(trial_id)
        if found["status"] != RUNNING and self._all_drawn and not drawn:
            found = self._populated(trial_id)
        values = found.get("values")
        if values and "tuner/trial_id" in values:  # the trial before, which may itself go on from another
            values["tuner/configuration"] = configuration(self.trials[values["tuner/trial_id"]])
        return found

    def _populated(self, trial_id: str) -> dict[str, Any]:
        before = copy.deepcopy((self._brackets, self._current_bracket, self._current_iteration))
        found = super().populate_space(trial_id)
        if found["status"] != RUNNING:  # or each question opens another bracket
            self._brackets, self._current_bracket, self._current_iteration = before
        return found

    def _random_trial(self, trial_id: str, bracket: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"status": IDLE if self.ongoing_trials else STOPPED}
        if not self._all_begun:
            found = super()._random_trial(trial_id, bracket)
            self._all_drawn = found["status"] != RUNNING
        return found

    def _get_size(self, bracket_num: int, round_num: int) -> int:
        """A bracket whose configurations are not all drawn goes on with those that were."""
        size = super()._get_size(bracket_num, round_num)
        if not self._all_begun:
            return size
        if round_num:
            return min(size, self._get_size(bracket_num, round_num - 1))
        drawn = [len(one["rounds"][0]) for one in self._brackets if one["bracket_num"] == bracket_num]
        return min([size, *drawn])

    @synchronized
    def continued(self) -> set[str]:
        taken = {trial.hyperparameters.values.get("tuner/trial_id") for trial in self.trials.values()}
        parts = [part for bracket in self._brackets for part in bracket["rounds"][:-1]]
        return {one["id"] for part in parts for one in part} - taken

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "all_drawn": self._all_drawn}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self._all_drawn = state["all_drawn"]

    def lost(self, trial_id: str) -> None:
        """Hyperband waits forever for one that failed: its configuration leaves the bracket to another."""
        for bracket in self._brackets:
            gone: str | None = trial_id
            for number, part in reversed(list(enumerate(bracket["rounds"]))):
                past = next((one["past_id"] for one in part if one["id"] == gone), gone)
                bracket["rounds"][number] = [one for one in part if one["id"] != gone]
                gone = past


class _Asha(Durable, AshaOracle):
    begins_while_full = True

    def least_epochs(self, epochs: int) -> int:
        return self.rungs[0]

    @synchronized
    def continued(self) -> set[str]:
        return self.promotable()


_MADE: dict[str, Callable[..., Any]] = {
    "asha": lambda epochs, most, **common: _Asha(epochs=epochs, configurations=most, **common),
    "random": lambda epochs, most, **common: _Random(max_trials=None, **common),
    "bayesian": lambda epochs, most, **common: _Bayesian(
        max_trials=None, num_initial_points=_BEFORE_THE_MODEL, **common
    ),
    "grid": lambda epochs, most, **common: _Grid(max_trials=None, **common),
    "hyperband": lambda epochs, most, **common: _Hyperband(
        max_epochs=epochs, hyperband_iterations=None, **common
    ),
}


def oracle(
    engine: str,
    space: spaces.Space,
    *,
    objective: str,
    epochs: int,
    most: int | None,
    seed: int,
    folder: Path,
) -> Any:
    """An engine that begins anew, or where its folder's state left off.

    Args:
        engine: One of `tuning.asked.ENGINES`.
        space: What is searched.
        objective: One of OBJECTIVES.
        epochs: Of a whole training.
        most: Configurations to try at most; None for no limit.
        seed: Any whole number.
        folder: Of the search; the state lies in its `state`.
    """
    made = _MADE[engine](
        epochs, most, objective=Objective(objective, OBJECTIVES[objective]), seed=seed or 1,
        hyperparameters=declared.hyperparameters(space), allow_new_entries=False, tune_new_entries=True,
    )  # fmt: skip
    made.prepare(seed, most)
    folder.mkdir(parents=True, exist_ok=True)
    made._set_project_dir(str(folder), "state")
    made.reload()
    made.most = most
    if isinstance(made, AshaOracle):
        made.configurations = most
    return made


def _in_order(linked: Any) -> list[str]:
    """What GridSearch's list holds, from first to last."""
    found, index = [], linked._next_index[None]
    while index is not None:
        found.append(linked._memory[index])
        index = linked._next_index[index]
    return found
