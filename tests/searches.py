"""Results of searches as they would be, of any size, without a search: the same seed gives the same."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

HOSTILE = '<script>alert(1)</script>" onload="alert(2)'
ESCAPE = "\x1b[2J\x1b[31mred\r\n\u202ekcab"
START = datetime(2026, 11, 25, 10, 0, tzinfo=timezone.utc)

SPACE: list[dict[str, Any]] = [
    {"name": "depth", "kind": "choice", "values": [20, 32, 44, 56], "default": 20, "of": "network",
     "when": None},
    {"name": "stem", "kind": "choice", "values": ["7x7", "3x3"], "default": "3x3", "of": "network",
     "when": ["depth", [32, 44, 56]]},
    {"name": "width", "kind": "range", "low": 0.25, "high": 2.0, "log": False, "whole": False, "default": 1.0,
     "of": "network", "when": None},
    {"name": "optimizer", "kind": "choice", "values": ["sgd", "adamw", "rmsprop"], "default": "sgd",
     "of": "recipe", "when": None},
    {"name": "learning_rate", "kind": "range", "low": 1e-4, "high": 0.1, "log": True, "whole": False,
     "default": 0.001, "of": "recipe", "when": None},
    {"name": "weight_decay", "kind": "range", "low": 1e-6, "high": 1e-2, "log": True, "whole": False,
     "default": 1e-4, "of": "recipe", "when": None},
    {"name": "label_smoothing", "kind": "range", "low": 0.0, "high": 0.2, "log": False, "whole": False,
     "default": 0.0, "of": "recipe", "when": None},
    {"name": "mirror", "kind": "choice", "values": [True, False], "default": True, "of": "recipe",
     "when": None},
    {"name": "batch", "kind": "choice", "values": [32, 64, 128, 256], "default": 128, "of": "recipe",
     "when": None},
    {"name": "momentum", "kind": "range", "low": 0.5, "high": 0.99, "log": False, "whole": False,
     "default": 0.9, "of": "recipe", "when": ["optimizer", ["sgd"]]},
    {"name": "shortcut", "kind": "fixed", "value": "A", "of": "network", "when": None},
]  # fmt: skip


def drawn(random: Random) -> dict[str, Any]:
    """Values of a configuration, only active ones."""
    values: dict[str, Any] = {}
    for one in SPACE:
        when = one["when"]
        if when and values.get(when[0]) not in when[1]:
            continue
        if one["kind"] == "fixed":
            values[one["name"]] = one["value"]
        elif one["kind"] == "choice":
            values[one["name"]] = random.choice(one["values"])
        elif one["log"]:
            values[one["name"]] = math.exp(random.uniform(math.log(one["low"]), math.log(one["high"])))
        else:
            values[one["name"]] = random.uniform(one["low"], one["high"])
    return values


def quality(values: dict[str, Any]) -> float:
    """Accuracy that a configuration comes to in the end."""
    rate = (math.log10(values["learning_rate"]) + 2) ** 2
    size = 0.05 * math.log2(1 + values["width"]) + 0.0008 * values["depth"]
    return 0.85 - 0.12 * rate + size - (0.05 if values["optimizer"] == "rmsprop" else 0.0)


def epochs(values: dict[str, Any], first: int, until: int, random: Random) -> list[dict[str, Any]]:
    top = quality(values)
    found = []
    for epoch in range(first + 1, until + 1):
        accuracy = max(0.1, min(0.999, top * (1 - 0.6 * 0.6**epoch) + random.gauss(0, 0.004)))
        found.append({"epoch": epoch, "loss": 2.3 * (1 - accuracy), "accuracy": accuracy + 0.001,
                      "val_loss": 2.5 * (1 - accuracy) + 0.05, "val_accuracy": accuracy})  # fmt: skip
    return found


def search(
    configurations: int = 30, seed: int = 0, outcome: str = "finished", **given: Any
) -> dict[str, Any]:
    """The result of a search by asha: the best third of a rung goes on, some fail, some are pruned.

    Args:
        configurations: How many.
        seed: Of all that is drawn.
        outcome: "running" leaves two trials running and one waiting.
        **given: Parts of the result that are to be others.
    """
    random = Random(seed)
    trials: list[dict[str, Any]] = []
    clock = 0.0

    def add(values: dict[str, Any], first: int, until: int, rung: int, of: str | None) -> dict[str, Any]:
        nonlocal clock
        name = f"{len(trials):04d}"
        parameters = int(13500 * values["depth"] * values["width"] ** 2) + 970
        trial = {
            "id": name, "configuration": of or name, "rung": rung, "status": "completed", "reason": "",
            "values": values, "first_epoch": first, "until": until, "score": None, "history": [],
            "parameters": parameters, "macs": parameters * 150,
            "latency_ms": round(0.4 + parameters / 90000 + random.uniform(0, 0.4), 3),
            "seconds": round(1.5 * (until - first) + parameters / 1e5, 2),
            "worker": f"worker{len(trials) % 2}",
            "device": "CPU (2 cores)", "kept": False,
            "started": (START + timedelta(seconds=clock)).isoformat(),
        }  # fmt: skip
        chance = random.random() if of is None else 1.0
        if parameters > 2_000_000:
            trial.update(status="pruned", latency_ms=None, seconds=0.0, worker=None,
                         reason=f"{parameters:,} parameters; the limit is 2,000,000")  # fmt: skip
        elif chance < 0.07:
            reasons = ("killed by signal 9, probably for its memory", "the loss was no number in epoch 2",
                       "its process gave no sign for 300 s")  # fmt: skip
            trial.update(status="failed", reason=random.choice(reasons))
            trial["history"] = epochs(values, first, first + 1, random)
        else:
            trial["history"] = epochs(values, first, until, random)
            trial["score"] = trial["history"][-1]["val_accuracy"]
        clock += trial["seconds"] / 2
        trial["ended"] = (START + timedelta(seconds=clock)).isoformat()
        trials.append(trial)
        return trial

    rung = [add(drawn(random), 0, 1, 0, None) for _ in range(configurations)]
    for number, (first, until) in enumerate(((1, 3), (3, 9)), start=1):
        rung = sorted((one for one in rung if one["score"]), key=lambda one: -one["score"])
        rung = [
            add(one["values"], first, until, number, one["configuration"]) for one in rung[: len(rung) // 3]
        ]
    if outcome == "running":
        for one in trials[-2:]:
            one.update(status="running", score=None, ended=None, history=one["history"][:2])
        trials[-3].update(status="waiting", score=None, ended=None)
    scored = [one for one in trials if one["status"] == "completed"]
    best = max(scored, key=lambda one: one["score"], default=None)
    if best:
        best["kept"] = True
    told = f": val_accuracy {best['score']:.3f}" if best else ""
    result = {
        "schema": 1, "family": "resnet", "data": "photos", "images": {"train": 900, "val": 225},
        "classes": ["ant", "bee", "cat"], "input_shape": [32, 32, 3], "engine": "asha",
        "objective": "val_accuracy", "direction": "max", "epochs": 9, "trials_asked": configurations,
        "budget_seconds": 7200.0, "seed": 0, "workers": 2,
        "limits": {"parameters": 2_000_000, "macs": None, "latency_ms": None}, "space": SPACE,
        "outcome": outcome,
        "sentence": f"{configurations} configurations in {len(trials)} trials and {clock / 60:.0f} min{told}",
        "output": "searches/photos-resnet", "best": best["id"] if best else None,
        "next": "python -m pipeline run --data photos --model resnet20 --tuned searches/photos-resnet",
        "command": f"python -m tuning search resnet --data photos --trials {configurations} --budget 2h",
        "started": START.isoformat(), "seconds": round(clock, 1),
        "epochs_trained": sum(len(one["history"]) for one in trials),
        "versions": {"keras": "3.12.4", "keras-tuner": "1.4.8", "tensorflow": "2.16.2"}, "trials": trials,
    }  # fmt: skip
    return {**result, **given}


def hopeless(count: int = 4) -> dict[str, Any]:
    """A search of which no trial was completed."""
    result = search(count, outcome="failed")
    for one in result["trials"][:count]:
        one.update(
            status="failed", score=None, reason="killed by signal 9, probably for its memory", history=[]
        )
    trials = result["trials"][:count]
    return {**result, "trials": trials, "best": None, "next": "", "epochs_trained": 0,
            "sentence": "no trial was completed: killed by signal 9, probably for its memory"}  # fmt: skip


def hostile() -> dict[str, Any]:
    """A search whose names try to break out, in HTML, in a terminal and in a spreadsheet."""
    result = search(12)
    evil = HOSTILE + ESCAPE + "\udcff"
    name = f"evil{evil}"
    space = [*SPACE, {"name": name, "kind": "choice", "values": [evil, "=1+1"], "default": "=1+1",
                      "of": "network", "when": None}]  # fmt: skip
    for number, one in enumerate(result["trials"]):
        one["values"] = {**one["values"], name: evil if number % 2 else "=1+1"}
        one["worker"] = evil
        one["reason"] = one["reason"] or evil
    result["trials"][2].update(status="failed", score=None, reason=evil)
    texts = ("family", "data", "engine", "sentence", "output", "next", "command")
    return {**result, **dict.fromkeys(texts, evil), "space": space, "versions": {evil: evil}, "best": None}
