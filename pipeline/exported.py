"""A model that this line exported, loaded: `predict` and `serve` ask it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    prepare()
    import tensorflow as tf

    try:
        labels = tuple((folder / "labels.txt").read_text(encoding="utf-8").splitlines())
        recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        loaded = tf.saved_model.load(str(folder))
        loaded.signatures["serve_bytes"]
    except (OSError, KeyError, ValueError, AttributeError):
        raise BadInput(f"{folder} is not a model that this line exported") from None
    return Exported(folder, labels, recipe, loaded)


def prepare() -> None:
    """Import TensorFlow, silent, and so that it takes no more of a GPU's memory than it uses."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    from pipeline import lean

    with _quiet(), lean.imports(without=lean.KERAS_EXTRAS):
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what is printed meanwhile: TensorFlow 2.21 greets on import, whatever its log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except BaseException:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
