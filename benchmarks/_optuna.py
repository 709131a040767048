"""Optuna's part of `benchmarks/tuning.py`, in an environment that has only Optuna.

It writes a line of JSON for each epoch that it wants, {"values", "epoch"}, reads the accuracy as a line, and
writes {} when a trial is finished or pruned, until it is ended. TPE is as Optuna has it by default.
SuccessiveHalvingPruner compares after the same epochs as our ASHA does, and leaves all trials to one TPE;
HyperbandPruner has one for each of its brackets, with ten random trials before it, which so few trials do not
pay back.
"""

import json
import sys
from typing import Any

import optuna


def main() -> None:
    """Search until the process is ended."""
    rules = json.loads(sys.argv[1])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruners = {
        "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(
            min_resource=1, reduction_factor=rules["factor"]
        ),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=rules["epochs"], reduction_factor=rules["factor"]
        ),
    }
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=rules["seed"]),
        pruner=pruners[rules["pruner"]](),
    )
    while True:
        trial = study.ask()
        values = {row["name"]: _suggest(trial, row) for row in rules["rows"]}
        state = optuna.trial.TrialState.COMPLETE
        accuracy = 0.0
        for epoch in range(1, rules["epochs"] + 1):
            print(json.dumps({"values": values, "epoch": epoch}), flush=True)
            accuracy = json.loads(sys.stdin.readline())
            trial.report(accuracy, epoch)
            if epoch < rules["epochs"] and trial.should_prune():
                state = optuna.trial.TrialState.PRUNED
                break
        print("{}", flush=True)
        study.tell(trial, None if state == optuna.trial.TrialState.PRUNED else accuracy, state)


def _suggest(trial: Any, row: dict[str, Any]) -> Any:
    if row["kind"] == "choice":
        # KerasTuner's oracles know the order of numbers, and so does ours. TPE was weaker where it was told.
        return trial.suggest_categorical(row["name"], row["values"])
    if row["kind"] == "fixed":
        return row["value"]
    suggest = trial.suggest_int if row["whole"] else trial.suggest_float
    return suggest(row["name"], row["low"], row["high"], log=row["log"])


if __name__ == "__main__":
    main()
