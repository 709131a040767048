"""What a search has found so far, as plain data: its file, its table and its report are made of it."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import keras_cnns
from tuning import board, findings, folders, report, table
from tuning.asha import PRUNED, was_pruned
from tuning.asked import OBJECTIVES
from tuning.durable import configuration
from tuning.settings import Settings
from tuning.trial import MODEL
from tuning.work import FIGURES, trial_folder

_PACKAGES = ("keras", "keras-tuner", "tensorflow")


def so_far(oracle: Any, settings: Settings, folder: Path) -> dict[str, Any]:
    """The search's trials and what they say, without how it ended.

    Args:
        oracle: One of `tuning.engines`.
        settings: Of the search.
        folder: Of the search.
    """
    best = oracle.get_best_trials(1)
    trials = [_trial(oracle, one, settings, folder) for one in list(oracle.trials.values())]
    side = settings.preprocess
    return {
        "schema": report.SCHEMA, "family": settings.family, "data": settings.title,
        "images": {part: one["count"] for part, one in settings.parts.items()},
        "classes": list(settings.classes),
        "input_shape": [side["height"], side["width"], side["channels"]],
        "engine": settings.engine, "objective": settings.objective,
        "direction": OBJECTIVES[settings.objective], "epochs": settings.epochs, "seed": settings.seed,
        "trials_asked": oracle.most, "limits": dict(settings.limits), "space": settings.space,
        "output": str(folder), "best": best[0].trial_id if best else None,
        "seconds": round(oracle.spent, 1), "trials": trials,
        "epochs_trained": sum(len(one["history"]) for one in trials),
    }  # fmt: skip


def write(result: dict[str, Any], folder: Path) -> None:
    """Write what `note` does, the report, and TensorBoard's files."""
    note(result, folder)
    report.write(folder)
    board.write_hparams(folder / "tensorboard", result)


def note(result: dict[str, Any], folder: Path) -> None:
    """Write result.json, trials.csv and hyperparameters.json, which are so there while the search runs."""
    folders.replace(folder / "result.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    table.write_csv(result, folder / "trials.csv")
    if findings.best_trial(result) is not None:
        folders.replace(folder / "hyperparameters.json", findings.hyperparameters(result))


def versions() -> dict[str, str]:
    """Versions that a search depends on, without importing the packages."""
    found = {name: metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found, "keras_cnns": keras_cnns.__version__}


def _trial(oracle: Any, trial: Any, settings: Settings, folder: Path) -> dict[str, Any]:
    values = trial.hyperparameters.values
    facts = oracle.facts.get(trial.trial_id, {})
    rung = values.get("tuner/rung", values.get("tuner/round"))
    return {
        "id": trial.trial_id,
        "configuration": configuration(trial),
        "rung": None if rung is None else int(rung),
        "status": _status(oracle, trial),
        "reason": (facts.get("reason") or trial.message or "").removeprefix(PRUNED),
        "values": {key: value for key, value in values.items() if not key.startswith("tuner/")},
        "first_epoch": int(values.get("tuner/initial_epoch") or 0),
        "until": int(values.get("tuner/epochs") or settings.epochs),
        "score": trial.score if trial.status == "COMPLETED" else None,
        "history": _history(trial),
        **{key: facts.get(key) for key in (
            "parameters", "macs", "latency_ms", "seconds", "worker", "device", "started", "ended",
        )},
        "kept": (trial_folder(folder, trial.trial_id) / MODEL).is_file(),
    }  # fmt: skip


def _status(oracle: Any, trial: Any) -> str:
    if was_pruned(trial):
        return "pruned"
    if trial.status in ("COMPLETED", "FAILED"):
        return trial.status.lower()
    under_way = {one.trial_id for one in list(oracle.ongoing_trials.values())}
    return "running" if trial.trial_id in under_way else "waiting"


def _history(trial: Any) -> list[dict[str, Any]]:
    rows: dict[int, dict[str, Any]] = {}
    for name in FIGURES:
        if trial.metrics.exists(name):
            for one in trial.metrics.get_history(name):
                rows.setdefault(int(one.step), {"epoch": int(one.step)})[name] = float(one.mean())
    return [rows[epoch] for epoch in sorted(rows)]
