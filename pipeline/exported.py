"""A model that this line exported, loaded: `predict` and `serve` ask it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning import lean
from tuning.errors import BadInput


@dataclass(frozen=True)
class Exported:
    """A loaded SavedModel with what lies beside it.

    Attributes:
        folder: Where it lies.
        labels: Class names in the order of the probabilities.
        recipe: What `recipe.json` says.
        loaded: TensorFlow's object; its `signatures` answer.
    """

    folder: Path
    labels: tuple[str, ...]
    recipe: dict[str, Any]
    loaded: Any

    def probabilities(self, images: Sequence[bytes]) -> Any:
        """What the model answers to encoded pictures: float32, shape (n, classes).

        Raises:
            BadInput: TensorFlow cannot read one of them.
        """
        import tensorflow as tf

        try:
            answer = self.loaded.signatures["serve_bytes"](image_bytes=tf.constant(list(images)))
        except tf.errors.InvalidArgumentError as error:
            raise BadInput(str(error.message).splitlines()[0]) from None
        return answer["probabilities"].numpy()


def load(folder: Path) -> Exported:
    """Load a version of a pushed model; TensorFlow is imported here, and takes seconds.

    Raises:
        BadInput: It is not a model that this line exported.
    """
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # no more of it than is used
    lean.tensorflow()
    import tensorflow as tf

    try:
        labels = tuple((folder / "labels.txt").read_text(encoding="utf-8").splitlines())
        recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        loaded = tf.saved_model.load(str(folder))
        loaded.signatures["serve_bytes"]
    except (OSError, KeyError, ValueError, AttributeError):
        raise BadInput(f"{folder} is not a model that this line exported") from None
    return Exported(folder, labels, recipe, loaded)
