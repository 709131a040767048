"""What all engines of a search share: KerasTuner's oracle, made so that a search survives any kill.

KerasTuner writes its state in several files, each in place, and marks a trial as ended before the state says
so: after a kill between two of them a trial is lost or run again. Here the state is one file, replaced in
one step, and holds the trials, too.
"""

from __future__ import annotations

import functools
import json
import math
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from keras_tuner import Oracle
from keras_tuner.engine.trial import Trial
from keras_tuner.src.engine.oracle import LOCKS, THREADS  # which have no public name

from tuning import folders
from tuning.asha import was_pruned

RUNNING, STOPPED, IDLE, COMPLETED = "RUNNING", "STOPPED", "IDLE", "COMPLETED"
_NOTED = 60.0  # seconds of work after which the state says so, even where no trial ended


def synchronized(function: Callable[..., Any]) -> Callable[..., Any]:
    """One thread at a time in an oracle's methods; KerasTuner's own keeps its lock where a call raises."""

    @functools.wraps(function)
    def alone(oracle: Oracle, *args: Any, **options: Any) -> Any:
        name = threading.current_thread().name
        if THREADS[oracle] == name:
            return function(oracle, *args, **options)
        with LOCKS[oracle]:
            THREADS[oracle] = name
            try:
                return function(oracle, *args, **options)
            finally:
                THREADS[oracle] = None

    return alone


class Durable(Oracle):
    """What all engines share: state in one file, failures that do not end a search, seeds that count.

    It stands before one of KerasTuner's oracles among the bases of a class.
    """

    ongoing_trials: dict[str, Trial]
    begins_while_full = False  # whether it sees for itself that no further configuration is to be begun

    def prepare(self, seed: int, most: int | None) -> None:
        """Finish what the oracle's own constructor began.

        Args:
            seed: Any whole number; KerasTuner takes 0 for none.
            most: Configurations that are tried at most, without those that were pruned; None for no limit.
        """
        self.seed = seed
        # One seed after the other is used up, so that two that are neighbours would share most of them.
        self._seed_state = int(np.random.SeedSequence(seed).generate_state(1)[0]) >> 1
        self.most = most
        self.facts: dict[str, dict[str, Any]] = {}
        self.spent = 0.0  # seconds that the search has worked, over all times that it was taken up
        self.max_consecutive_failed_trials = 10**9
        self._display.verbose = 0
        self._held = False
        self.told_over = False  # whether a worker was told that there is nothing more to do
        self.closed = False  # whether every worker is told so from now on
        if hasattr(self, "gpr"):
            self.gpr = self._make_gpr()

    @property
    def counted(self) -> int:
        """Configurations that were begun and not pruned."""
        return sum(1 for trial in self.trials.values() if _is_first(trial) and not was_pruned(trial))

    @property
    def full(self) -> bool:
        """Whether no further configuration is to be begun."""
        return self.most is not None and self.counted >= self.most

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values for the next trial; a search that has what it asked for begins no new configuration."""
        if hasattr(self, "_random_state"):  # so that a search that was taken up again draws the same
            self._random_state = np.random.RandomState([self.seed, len(self.trials)])
        if self.full and not self.begins_while_full:
            return {"status": IDLE if self.ongoing_trials else STOPPED, "values": None}
        return super().populate_space(trial_id)

    def least_epochs(self, epochs: int) -> int:
        """How many epochs of a whole training the first trial takes."""
        return epochs

    @synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        """A trial for a worker; its state is on disk before it is handed out."""
        if self.closed:
            self.tuner_ids.discard(tuner_id)
            return Trial(self.hyperparameters.copy(), "", STOPPED)
        self.give_back(tuner_id)  # one that asks anew has lost what it had
        self._held = True
        again = list(self._retry_queue)
        try:
            trial = super().create_trial(tuner_id)
        finally:
            self._held = False
        if trial.trial_id in again:  # what is measured anew must not be averaged with what was
            trial.metrics = Trial(trial.hyperparameters).metrics
        self.told_over |= trial.status == STOPPED
        self.save()
        return trial

    @synchronized
    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Note what was measured after an epoch."""
        return super().update_trial(trial_id, metrics, step)

    @synchronized
    def end_trial(self, trial: Trial) -> None:
        """Note how a trial ended, in one step: it is either ended and no longer under way, or neither."""
        self._held = True
        try:
            super().end_trial(trial)
            if trial.status != COMPLETED:
                self.lost(trial.trial_id)
        finally:
            self._held = False
        self.save()

    def lost(self, trial_id: str) -> None:
        """Do what an engine has to do about a trial that was not completed."""

    @synchronized
    def give_back(self, tuner_id: str) -> None:
        """Have the trial of a worker that is gone taken up by another one."""
        trial = self.ongoing_trials.pop(tuner_id, None)
        self.tuner_ids.discard(tuner_id)
        if trial is not None:
            self._retry_queue.append(trial.trial_id)
            self.save()

    @synchronized
    def at_work(self, trial_id: str, worker: str | None = None) -> bool:
        """Whether a trial is under way, with this worker if one is named."""
        return any(
            one.trial_id == trial_id and worker in (None, name) for name, one in self.ongoing_trials.items()
        )

    @synchronized
    def begun(self, trial_id: str, worker: str) -> None:
        """Note when and where a trial began."""
        facts = self.facts.setdefault(trial_id, {})
        facts.setdefault("started", _now())
        facts["worker"] = worker

    @synchronized
    def ended(self, trial_id: str, status: str, facts: Mapping[str, Any]) -> None:
        """End a trial with what its process told of it; one that is not under way is passed over.

        Args:
            trial_id: One of `trials`.
            status: "COMPLETED" or "FAILED".
            facts: For the report; "reason" for a trial that was not completed.
        """
        if not self.at_work(trial_id):
            return
        self.facts.setdefault(trial_id, {}).update(facts, ended=_now())
        before = self.trials[trial_id]
        trial = Trial(before.hyperparameters.copy(), trial_id, status, facts.get("reason"))
        measured = before.metrics.exists(self.objective.name)
        if status == COMPLETED and not (measured and math.isfinite(self._last_score(before))):
            trial.status, trial.message = "FAILED", f"{self.objective.name} is no number"
        self.end_trial(trial)

    def _last_score(self, trial: Trial) -> float:
        return trial.metrics.get_last_value(self.objective.name)

    def score_trial(self, trial: Trial) -> None:
        """The objective after the last epoch, since that is the network that one would have."""
        history = trial.metrics.get_history(self.objective.name)
        trial.score, trial.best_step = history[-1].mean(), history[-1].step

    @synchronized
    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best completed trials; a configuration is judged by the longest of its trials."""
        longest: dict[str, Trial] = {}
        for trial in self.trials.values():
            if trial.status == COMPLETED:
                name = configuration(trial)
                if name not in longest or epochs_of(trial) > epochs_of(longest[name]):
                    longest[name] = trial
        best_last = self.objective.direction == "max"
        return sorted(longest.values(), key=lambda one: one.score, reverse=best_last)[:num_trials]

    @synchronized
    def continued(self) -> set[str]:
        """Ids of trials that may still be trained further, and whose checkpoints are needed for it."""
        return set()

    @synchronized
    def needed(self, keep: int) -> set[str]:
        """Ids of trials whose checkpoints and networks must stay on disk.

        Args:
            keep: Best trials among them.
        """
        under_way = [one.trial_id for one in self.ongoing_trials.values()] + list(self._retry_queue)
        parents = {self.trials[name].hyperparameters.values.get("tuner/trial_id") for name in under_way}
        best = {one.trial_id for one in self.get_best_trials(keep)}
        return best | set(under_way) | parents | (set() if self.told_over else self.continued())

    @property
    def finished(self) -> bool:
        """Whether everything that was asked for is done."""
        return self.told_over and not self.ongoing_trials and not self._retry_queue

    def get_state(self) -> dict[str, Any]:
        """KerasTuner calls this."""
        state = super().get_state()
        state["trials"] = [trial.get_state() for trial in self.trials.values()]
        state["facts"], state["spent"] = self.facts, self.spent
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """KerasTuner calls this."""
        self.trials = {one["trial_id"]: Trial.from_state(one) for one in state["trials"]}
        super().set_state(state)
        self.facts, self.spent = state["facts"], state["spent"]

    def save(self) -> None:
        """Write the state; a kill at any moment leaves this state whole, or the one before."""
        if self._held:
            return
        folders.replace(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def reload(self) -> None:
        """Read the state; trials that were under way are taken up first."""
        file = Path(self._get_oracle_fname())
        if not file.is_file():
            return
        self.set_state(json.loads(file.read_text(encoding="utf-8")))
        for trial in self.ongoing_trials.values():
            if trial.trial_id not in self._retry_queue:
                self._retry_queue.append(trial.trial_id)
        self.ongoing_trials = {}

    @synchronized
    def spend(self, seconds: float) -> None:
        """Note how long the search has worked in all; what a kill loses of it is a minute at most."""
        known, self.spent = self.spent, seconds
        if self.spent // _NOTED > known // _NOTED:
            self.save()

    def _save_trial(self, trial: Trial) -> None:
        """Trials are part of the state."""


def configuration(trial: Trial) -> str:
    """Id of the first trial with these values."""
    values = trial.hyperparameters.values
    return values.get("tuner/configuration") or values.get("tuner/trial_id") or trial.trial_id


def epochs_of(trial: Trial) -> int:
    """The epoch through which a trial trains; 0 where its engine leaves that to the recipe."""
    return int(trial.hyperparameters.values.get("tuner/epochs") or 0)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _is_first(trial: Trial) -> bool:
    return not trial.hyperparameters.values.get("tuner/trial_id")
