"""The search before the training: what is asked for, and what its best hyperparameters make of a training."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import Config
from tuning import families, folders, narrowing, spaces
from tuning.asked import Asked
from tuning.errors import BadInput

RESULT = "search.json"  # in TFX's artifact of the tuner's results
NOTICE = "KERAS_CNNS_SEARCH_NOTICE"  # environment variable: a file that workers elsewhere read


def space_of(config: Config) -> spaces.Space:
    """What `--tune` searches: the space of the network, or of `--tune-space`, narrowed.

    Raises:
        BadInput: There is no such space or hyperparameter, or nothing is left of it.
    """
    whole = spaces.space(config.tune_space or config.model, mirror=config.mirror != "no")
    return narrowing.narrow(whole, **_narrowed(config))


def _narrowed(config: Config) -> dict[str, Any]:
    """`--tune-fix width=1,depth=20` and `--tune-range lr=1e-4:1e-1,width=0.5:1` as `narrow` takes them."""
    fix, ranges = (
        [one for one in (text or "").split(",") if one.strip()]
        for text in (config.tune_fix, config.tune_range)
    )
    return {
        "fix": narrowing.pairs("--tune-fix", fix), "ranges": narrowing.ranges("--tune-range", ranges),
    }  # fmt: skip


def asked(config: Config, data: Any, folder: Path, gpus: str) -> Asked:
    """What the Tuner asks the search for.

    Args:
        config: Resolved.
        data: `tuning.pictures.Data` of the training and the val part.
        folder: Of the search's state.
        gpus: Those that its trials may use, as CUDA_VISIBLE_DEVICES names them; "" for none.
    """
    return Asked(
        family=config.tune_space or config.model, data=data, trials=config.tune,
        epochs=config.tune_epochs or config.training.epochs, engine=config.tune_engine,
        **_narrowed(config), max_parameters=config.tune_max_parameters, max_macs=config.tune_max_macs,
        max_latency=config.tune_max_latency, workers=config.tune_workers,
        seed=config.seed, mirror=config.mirror != "no", image_size=config.image_size, fit=str(config.fit),
        keep=1, output=folder, gpus=gpus,
    )  # fmt: skip


def announce(folder: Path) -> None:
    """Tell workers in other pods where the search lies, where they wait for it."""
    file = os.environ.get(NOTICE)
    if file:
        folders.replace(Path(file), json.dumps({"folder": str(folder), "over": False}))


def from_file(config: Config) -> dict[str, Any] | None:
    """The values of `--hyperparameters`, held against the space; None where no file is given.

    Raises:
        BadInput: There is no such file, or it holds what the space has not.
    """
    if config.hyperparameters is None:
        return None
    path = Path(config.hyperparameters)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"--hyperparameters {path}: {error}") from None
    values = held.get("values", held) if isinstance(held, dict) else held  # KerasTuner's has the space, too
    if not isinstance(values, dict):
        raise BadInput(f"--hyperparameters {path}: it must hold names and their values, not {values!r:.40}")
    wanted = config.tune_space or config.model
    family = values.pop("family", wanted)
    if family != wanted:
        known = isinstance(family, str) and family in families.FAMILIES
        hint = f"; give --tune-space {family}" if known else ""
        raise BadInput(f"--hyperparameters {path} are of {family}, not of {wanted}{hint}")
    try:
        return narrowing.checked(spaces.space(wanted, mirror=config.mirror != "no"), values)
    except BadInput as error:
        raise BadInput(f"--hyperparameters {path}: {error}") from None


def applied(given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A trainer's custom_config with the hyperparameters of a search in it.

    Args:
        given: As `pipeline.graph` makes it, with "tuned": "family", "model", "space" and "mirror".
        values: Of the hyperparameters.

    Returns:
        The same with another "model", "arguments", "recipe" and range of pixels.
    """
    how = given["tuned"]
    space = spaces.from_rows(how["family"], how["model"], how["space"])
    plan = spaces.plan(space, values, given["recipe"]["epochs"], mirror=how["mirror"])
    recipe = dataclasses.asdict(plan.recipe)
    pixels = {"low": recipe["low"], "high": recipe["high"]}
    return {
        **given, "model": plan.model, "arguments": dict(plan.arguments), "recipe": recipe,
        "preprocess": {**given["preprocess"], **pixels},
    }  # fmt: skip
