"""What a search is asked for, and what of it is refused before anything heavy is imported."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from keras_cnns._checks import unknown
from keras_cnns.recipes import Recipe
from tuning import narrowing, spaces
from tuning.errors import BadInput
from tuning.families import RECIPE

ENGINES = ("asha", "random", "bayesian", "hyperband", "grid")
OBJECTIVES = {"val_accuracy": "max", "val_loss": "min", "accuracy": "max", "loss": "min"}
_LEAST = {"epochs": 1, "trials": 1, "workers": 1, "keep": 1, "image_size": 1, "seed": 0}
_FITS = ("resize", "pad")
TUNER_ID, IP, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


@dataclass(frozen=True)
class Asked:
    """What a search is asked for.

    Attributes:
        family: Of `tuning.families.FAMILIES`, or a registered network, whose own arguments are fixed; "" for
            what the `space` is of, and without one for "lenet".
        data: As `tuning.pictures.read` takes it.
        trials: Configurations to try at most, without those that are too large; None for no limit.
        budget: Seconds that it may take, over all times that it is taken up; None for no limit.
        epochs: Of a whole training.
        engine: One of ENGINES.
        objective: One of OBJECTIVES.
        fix: A value for each hyperparameter that is not to be searched, or several that a choice keeps.
        ranges: The least and the largest value of some.
        space: Another space, made of `tuning.spaces.space`; None for the family's own.
        max_parameters: Of a network; a larger one is not trained. None for no limit.
        max_macs: Multiply-adds for one picture, in the same way.
        max_latency: Milliseconds for one picture, measured here, in the same way.
        workers: Processes that train side by side on this machine, one GPU each where there are.
        memory: Bytes that a trial may hold; None for no limit.
        seed: Of the val part, the engine and each training.
        mirror: Whether pictures may be mirrored; None for yes, but for digits.
        image_size: Side of the network's input; None for the network's own.
        fit: "resize" or "pad"; see `keras_cnns.training.preprocess.Preprocess`.
        keep: Best trials whose checkpoint and network stay on disk.
        output: Folder of the search; None for searches/DATA-FAMILY.
        gpus: What CUDA_VISIBLE_DEVICES says of the GPUs to use; None for what it is now.
    """

    family: str = ""
    data: Any = "digits"
    trials: int | None = 30
    budget: float | None = None
    epochs: int = 9
    engine: str = "asha"
    objective: str = "val_accuracy"
    fix: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    space: spaces.Space | None = None
    max_parameters: float | None = None
    max_macs: float | None = None
    max_latency: float | None = None
    workers: int = 1
    memory: int | None = None
    seed: int = 0
    mirror: bool | None = None
    image_size: int | None = None
    fit: str = "resize"
    keep: int = 3
    output: Path | str | None = None
    gpus: str | None = None

    def __post_init__(self) -> None:
        """Give the family its name."""
        if not self.family:
            named = "lenet" if self.space is None else self.space.model or self.space.family
            object.__setattr__(self, "family", named)


def check(asked: Asked) -> spaces.Space:
    """Refuse what no search can have, before anything heavy is imported.

    Returns:
        The space that is searched.

    Raises:
        BadInput: Names the argument, what came and what is allowed.
    """
    if asked.engine not in ENGINES:
        raise BadInput(str(unknown("--engine", asked.engine, ENGINES)))
    if asked.objective not in OBJECTIVES:
        raise BadInput(str(unknown("--objective", asked.objective, OBJECTIVES)))
    if asked.fit not in _FITS:
        raise BadInput(str(unknown("--fit", asked.fit, _FITS)))
    for name, least in _LEAST.items():
        value = getattr(asked, name)
        if value is not None and value < least:
            raise BadInput(f"--{name.replace('_', '-')} must be at least {least}, not {value}")
    for name in ("max_parameters", "max_macs", "max_latency", "budget", "memory"):
        value = getattr(asked, name)
        if value is not None and not 0 < value < math.inf:
            raise BadInput(f"--{name.replace('_', '-')} must be above 0 and finite, not {value:g}")
    if asked.seed >= 2**32:
        raise BadInput(f"--seed must be below 2**32, not {asked.seed}")
    role()
    whole = asked.space or spaces.space(asked.family, mirror=mirrored(asked))
    if asked.family != (whole.model or whole.family):
        raise BadInput(f"family={asked.family!r}: the space is of {whole.model or whole.family!r}")
    _check_fields(whole)
    searched = narrowing.narrow(whole, asked.fix, asked.ranges)
    if not searched.searched():
        raise BadInput("every hyperparameter is fixed, and nothing is left to search")
    if asked.objective in ("loss", "val_loss"):
        _check_loss(asked.objective, searched)
    return searched


def _check_fields(space: spaces.Space) -> None:
    allowed = [*(one.name for one in fields(Recipe)), "augmentation"]
    for name, one in space.dimensions.items():
        if one.of == RECIPE and name not in allowed:
            raise BadInput(str(unknown("hyperparameter of the recipe", name, allowed)))


def _check_loss(objective: str, searched: spaces.Space) -> None:
    """Trials with different losses say nothing of each other."""
    # Pictures are changed and mixed for training alone.
    for name in ("label_smoothing", *(["augmentation"] if objective == "loss" else [])):
        if name in searched.searched():
            raise BadInput(
                f"--objective {objective}: {name} changes what the loss is; "
                f"fix it, as --fix {name}=0, or compare by val_accuracy"
            )
    if len(found := spaces.losses(searched)) > 1:
        raise BadInput(
            f"--objective {objective}: the space has networks with different losses "
            f"({', '.join(sorted(found))}); fix which network is searched, or compare by val_accuracy"
        )


def mirrored(asked: Asked, digits: bool | None = None) -> bool:
    """Whether pictures may be mirrored; `digits` says whether they are characters, where that is known."""
    if asked.mirror is not None:
        return asked.mirror
    return not (str(asked.data) == "digits" if digits is None else digits)


def role() -> tuple[str, str] | None:
    """("chief" or this worker's id, address) as KERASTUNER_* says; None where none of it is set.

    Raises:
        BadInput: Some are set, and others lack.
    """
    found = {name: os.environ.get(name, "") for name in (TUNER_ID, IP, PORT)}
    if not any(found.values()):
        return None
    lacking = [name for name, value in found.items() if not value]
    if lacking:
        raise BadInput(f"{lacking[0]} is not set, while {next(name for name in found if found[name])} is")
    if not found[PORT].isdigit():
        raise BadInput(f"{PORT} must be a number, not {found[PORT]!r}")
    name = found[TUNER_ID]
    return ("chief" if "chief" in name else name), f"{found[IP]}:{found[PORT]}"
