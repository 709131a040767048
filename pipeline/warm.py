"""Which model's weights a training begins with: found and looked at before anything is started."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pipeline import pushed
from pipeline.config import Config
from pipeline.sources import Dataset
from tuning.errors import BadInput

LATEST = "latest"


def find(config: Config, dataset: Dataset) -> str | None:
    """The `.keras` file that `warm_start` means; None to begin anew, also where nothing was pushed yet.

    Args:
        config: With `name` and `image_size` filled in.
        dataset: Whose classes the model must know.

    Raises:
        BadInput: There is no such model, or it is another network, or has other classes or another input.
    """
    given = config.warm_start
    if given is None:
        return None
    mine = Path(config.models) / str(config.name)
    if given == LATEST and not pushed.versions(mine):
        return None
    folder = pushed.current(mine) if given == LATEST else Path(given)
    file = folder / "model.keras" if folder.is_dir() else folder
    if not file.is_file():
        raise BadInput(f"--warm-start {given}: there is no model.keras; give a pushed version's folder")
    _check(file, config, dataset)
    return str(file.resolve())


def digest(file: str | None) -> str:
    """A hash of a model's bytes: another model of the same name must not be taken from the cache."""
    return "" if file is None else hashlib.blake2b(Path(file).read_bytes(), digest_size=12).hexdigest()


def _check(file: Path, config: Config, dataset: Dataset) -> None:
    try:
        made = json.loads((file.parent / "recipe.json").read_text(encoding="utf-8"))
        labels = (file.parent / "labels.txt").read_text(encoding="utf-8").splitlines()
        model, how = made["model"], made["preprocess"]
        side, channels = (how["height"], how["width"]), how["channels"]
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(
            f"--warm-start {file}: recipe.json and labels.txt must stand beside it ({error})"
        ) from None
    if model != config.model:
        raise BadInput(f"--warm-start {file} is a {model}, not a {config.model}; give --model {model}")
    if labels != list(dataset.classes):
        new, gone = sorted(set(dataset.classes) - set(labels)), sorted(set(labels) - set(dataset.classes))
        what = "; ".join(
            f"{word} {', '.join(names[:5])}" for word, names in (("new:", new), ("gone:", gone)) if names
        )
        raise BadInput(f"--warm-start {file} knows other classes ({what or 'in another order'})")
    if side != (config.image_size, config.image_size) or channels != dataset.channels:
        raise BadInput(
            f"--warm-start {file} takes {side[0]}x{side[1]}x{channels} pixels, not "
            f"{config.image_size}x{config.image_size}x{dataset.channels}"
        )
