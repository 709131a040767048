"""What a search is: everything that decides its trials, in one frozen value that its folder keeps."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuning import families, folders, spaces
from tuning.errors import BadInput

FILE = "search.json"
# What must stay as it was when a search is taken up again, and how people call it.
# A seed makes other data, a mirror another space: the cause stands before what comes of it.
_WORDS = {
    "engine": "--engine", "objective": "--objective", "epochs": "--epochs", "seed": "--seed",
    "limits": "its limit of cost", "preprocess": "--image-size or --fit", "mirror": "--mirror",
    "space": "the space", "data": "the data", "recipes": "the recipes that the space is built on",
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """One search.

    Attributes:
        family: A family or a registered network.
        space: Its rows, as `Space.rows` writes them.
        parts: As `pictures.keep` describes the data.
        title: Of the data.
        classes: Its labels.
        preprocess: Fields of `Preprocess`, without the range of pixels, which is the recipe's.
        engine: One of `asked.ENGINES`.
        objective: One of `asked.OBJECTIVES`.
        epochs: Of a whole training.
        seed: Of the engine and of each training.
        mirror: Whether pictures may be mirrored.
        limits: Most "parameters", "macs" and "latency_ms" of a network; None for no limit.
        recipes: A digest of the recipes that a plan is made of.
    """

    family: str
    space: list[dict[str, Any]]
    parts: Mapping[str, Any]
    title: str
    classes: tuple[str, ...]
    preprocess: Mapping[str, Any]
    engine: str
    objective: str
    epochs: int
    seed: int
    mirror: bool
    limits: Mapping[str, Any] = field(default_factory=dict)
    recipes: str = ""

    @property
    def searched(self) -> spaces.Space:
        """The space."""
        family = self.family if self.family in families.FAMILIES else spaces.space(self.family).family
        model = None if self.family in families.FAMILIES else self.family
        return spaces.from_rows(family, model, self.space)


def identity(settings: Settings) -> dict[str, Any]:
    """What must not change while a search is taken up again."""
    whole = dataclasses.asdict(settings)
    digests = {part: one["digest"] for part, one in settings.parts.items()}
    whole["data"] = {"digests": digests, "classes": list(settings.classes)}
    return {key: whole[key] for key in ("family", *_WORDS)}


def keep(settings: Settings, folder: Path) -> None:
    """Write the settings of a new search, or hold them against those of the one that is there.

    Raises:
        BadInput: The folder holds another search; the text says what is different.
    """
    file = folder / FILE
    mine = json.loads(json.dumps(identity(settings)))
    if file.is_file():
        theirs = json.loads(file.read_text(encoding="utf-8"))["identity"]
        different = [key for key in mine if mine[key] != theirs.get(key)]
        if different:
            raise BadInput(
                f"--output {folder} holds another search: {_said(different[0], mine, theirs)}; "
                "give another --output, or take up that search as it was"
            )
    whole = {"identity": mine, "settings": dataclasses.asdict(settings)}
    folders.replace(file, json.dumps(whole, indent=1))


def load(folder: Path) -> Settings:
    """The settings that lie in a folder."""
    held = json.loads((folder / FILE).read_text(encoding="utf-8"))["settings"]
    return Settings(**{**held, "classes": tuple(held["classes"])})


def request(settings: Settings, folder: Path, trial: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the process of a trial is asked for.

    Args:
        settings: Of the search.
        folder: Of the search.
        trial: The trial's id.
        values: Of its hyperparameters, with those that Hyperband and asha add.
    """
    from tuning.work import trial_folder

    plan = spaces.plan(settings.searched, values, settings.epochs, mirror=settings.mirror)
    recipe = dataclasses.asdict(plan.recipe)
    parent = values.get("tuner/trial_id")
    return {
        "model": plan.model, "arguments": dict(plan.arguments), "recipe": recipe, "seed": settings.seed,
        "labels": list(settings.classes), "train": settings.parts["train"], "val": settings.parts["val"],
        "preprocess": {**settings.preprocess, "low": recipe["low"], "high": recipe["high"]},
        "folder": str(trial_folder(folder, trial).resolve()),
        "parent": str(trial_folder(folder, parent).resolve()) if parent else None,
        "first_epoch": int(values.get("tuner/initial_epoch") or 0),
        "until": int(values.get("tuner/epochs") or settings.epochs),
        "limits": dict(settings.limits), "logs": str((folder / "tensorboard" / trial).resolve()),
    }  # fmt: skip


def _said(key: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """What changed, in words."""
    if key == "family":
        return f"it searches {theirs['family']}, not {mine['family']}"
    if key == "space":
        rows = {row["name"]: row for row in theirs["space"]}
        for row in mine["space"]:
            if rows.pop(row["name"], None) != row:
                before = next((one for one in theirs["space"] if one["name"] == row["name"]), None)
                return f"its space differs in {row['name']}, which was {_brief(before)} and is {_brief(row)}"
        return f"its space has {next(iter(rows))}, too" if rows else "its space has another order"
    if key in ("data", "recipes"):
        return f"{_WORDS[key]} changed"
    return f"{_WORDS[key]} was {_plain(theirs.get(key))} and is {_plain(mine[key])}"


def _brief(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "not searched"
    if row["kind"] == "fixed":
        return f"fixed at {row['value']}"
    if row["kind"] == "choice":
        return "one of " + ", ".join(map(str, row["values"]))
    return f"{row['low']:g} to {row['high']:g}"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items() if one is not None) or "none"
    return str(value)
