"""A task from a folder of pictures or from arrays, for a few lines of Python without a pipeline."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from keras_cnns.recipes import recipe_for
from keras_cnns.registry import MODELS
from keras_cnns.training import data
from keras_cnns.training.fit import Options, Task
from keras_cnns.training.preprocess import Preprocess

Pictures = str | Path | tuple[np.ndarray, np.ndarray]


def task(
    model: str,
    pictures: Pictures,
    test: Pictures | None = None,
    *,
    recipe: str = "paper",
    classes: tuple[str, ...] | None = None,
    test_share: float = 0.2,
    size: int | None = None,
    channels: int | None = None,
    fit: str = "resize",
    seed: int = 0,
    options: Options | None = None,
    **changes: Any,
) -> Task:
    """What `fit.train` takes.

    Args:
        model: Registered name of the network, such as "cifar_resnet20".
        pictures: A folder with one folder of pictures for each class, or uint8 images of shape
            (n, height, width[, channels]) with integer labels of shape (n,).
        test: The same for the pictures that are only measured on; by default a share of the others.
        recipe: "paper" or "modern".
        classes: Names of the classes of arrays; "0", "1", … by default.
        test_share: The share that is held out of each class where `test` is not given.
        size: Side of the network's input; by default the network's own.
        channels: 1 or 3; by default those of the arrays, and the network's for files.
        fit: "resize" or "pad"; see `Preprocess`.
        seed: Of the split and of the training.
        options: What else is asked for.
        **changes: Fields of the recipe, such as `epochs=5` or `mirror=False`.

    Raises:
        ValueError: The folder has not two classes, a label has no class, or the recipe does not fit.
        TypeError: The recipe has no such field.
    """
    seen, names = source_of(pictures, classes)
    if test is None:
        seen, unseen = data.split(seen, test_share, seed)
    else:
        unseen, others = source_of(test, classes or names)
        if others != names:
            raise ValueError(f"test has the classes {', '.join(others)}, not {', '.join(names)}")
    chosen = dataclasses.replace(recipe_for(model, recipe), **changes)
    side = size or MODELS[model].input_shape[0]
    depth = channels or (_depth(seen) if isinstance(seen, data.Arrays) else MODELS[model].input_shape[2])
    how = Preprocess(side, side, depth, fit, chosen.low, chosen.high)
    return Task(model, names, seen, unseen, how, chosen, seed, options or Options())


def source_of(pictures: Pictures, classes: tuple[str, ...] | None) -> tuple[Any, tuple[str, ...]]:
    """Pictures as `Task` takes them, and the names of their classes, as `task` reads them.

    Raises:
        ValueError: As `task`.
    """
    if not isinstance(pictures, tuple):
        return data.folder(pictures)
    images, labels = np.asarray(pictures[0]), np.asarray(pictures[1]).astype(np.int64).reshape(-1)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) != len(labels):
        raise ValueError(
            f"images must be uint8 (n, height, width[, channels]) with a label each, not {images.dtype} "
            f"{images.shape} with {len(labels)} labels"
        )
    names = classes or tuple(str(label) for label in range(int(labels.max()) + 1))
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}; there are {len(names)} classes")
    return data.Arrays(images, labels), names


def _depth(source: data.Arrays) -> int:
    return 1 if source.images.ndim == 3 else source.images.shape[-1]
