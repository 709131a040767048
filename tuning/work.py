"""A worker: takes trials from an oracle, beside it or far away, and has each one run in a process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tuning.asha import PRUNED
from tuning.children import Children, wait

FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
_IDLE = 0.5  # seconds until an oracle that has nothing to do is asked again


class Lost(Exception):
    """The trial is not this worker's any more: its chief was started again, or gave the worker up."""


class Desk(Protocol):
    """Where a worker gets trials and tells of them: the oracle itself, or a chief on another machine."""

    def take(self, worker: str) -> tuple[str, str, dict[str, Any]]:
        """Status, id and values of the next trial."""

    def tell(self, trial: str, figures: Mapping[str, float], epoch: int) -> None:
        """What was measured after an epoch."""

    def beat(self, trial: str) -> None:
        """That the worker is alive; raises Lost where the trial is another's now."""

    def end(self, trial: str, status: str, facts: Mapping[str, Any]) -> None:
        """How a trial ended; "reason" stands in `facts` where it was not completed."""


def work(
    desk: Desk,
    worker: str,
    children: Children,
    request: Callable[[str, dict[str, Any]], dict[str, Any]],
    stopped: Callable[[], bool],
) -> None:
    """Run trials until the oracle has no more of them, or `stopped` says so.

    Args:
        desk: Where trials come from.
        worker: This worker's id.
        children: Start processes.
        request: From a trial's id and values to what its process is asked for.
        stopped: Asked several times a second.

    Raises:
        Interrupted: It was stopped in the middle of a trial, which goes on from its checkpoint later.
    """
    while not stopped():
        status, trial, values = desk.take(worker)
        if status == "STOPPED":
            return
        if status != "RUNNING":
            wait(_IDLE, stopped)
            continue
        with contextlib.suppress(Lost):  # whoever has it goes on from its checkpoint
            _one(desk, worker, children, request(trial, values), stopped, trial)


def _one(
    desk: Desk,
    worker: str,
    children: Children,
    asked: dict[str, Any],
    stopped: Callable[[], bool],
    trial: str,
) -> None:
    told: set[int] = set()
    facts: dict[str, Any] = {"worker": worker}

    def tell(row: Mapping[str, float]) -> None:
        epoch = int(row["epoch"])
        if asked["first_epoch"] < epoch and epoch not in told:
            told.add(epoch)
            desk.tell(trial, {key: float(row[key]) for key in FIGURES if key in row}, epoch)

    def heard(event: Mapping[str, Any]) -> None:
        if "row" in event:
            tell(event["row"])
        if "cost" in event:
            facts.update(event["cost"])

    def over() -> bool:
        desk.beat(trial)  # by the clock: a large network is silent while it is built
        return stopped()

    answer = children.run(asked, heard, over)
    if "done" in answer:
        for row in answer["done"].pop("history"):  # what a process told before it was broken off, too
            tell(row)
        desk.end(trial, "COMPLETED", {**facts, **answer["done"]})
    elif "pruned" in answer:
        desk.end(trial, "FAILED", {**facts, "reason": PRUNED + answer["pruned"]})
    else:
        desk.end(trial, "FAILED", {**facts, "reason": answer["failed"]})


class Beside:
    """The oracle in this very process."""

    def __init__(self, oracle: Any) -> None:
        self._oracle = oracle

    def take(self, worker: str) -> tuple[str, str, dict[str, Any]]:
        """As in `Desk`."""
        trial = self._oracle.create_trial(worker)
        if trial.status == "RUNNING":
            self._oracle.begun(trial.trial_id, worker)
        return trial.status, trial.trial_id, dict(trial.hyperparameters.values)

    def tell(self, trial: str, figures: Mapping[str, float], epoch: int) -> None:
        """As in `Desk`."""
        self._oracle.update_trial(trial, dict(figures), step=epoch)

    def beat(self, trial: str) -> None:
        """Nobody has to be told."""

    def end(self, trial: str, status: str, facts: Mapping[str, Any]) -> None:
        """As in `Desk`."""
        self._oracle.ended(trial, status, dict(facts))


def trial_folder(folder: Path, trial: str) -> Path:
    """Where a trial's checkpoint and network lie."""
    return folder / "trials" / trial
