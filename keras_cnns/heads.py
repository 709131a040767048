"""Auxiliary heads: classifiers half-way up a network that help training and are taken off afterwards."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cnns._checks import check_count
from keras_cnns.layers import require_channels_last


def strip_auxiliary(model: keras.Model) -> keras.Model:
    """The same network without its auxiliary heads.

    Args:
        model: A functional model, built or loaded, whose answer is a dict with "main" and the heads' scores.
            A model with a single output has no heads and comes back as it is.

    Returns:
        A model from the same input to the main output alone, which is equal to the last bit. It has the same
        name and shares layers and weights with `model`.

    Raises:
        ValueError: There are several outputs, but none is called "main".
    """
    outputs = model.output
    if isinstance(outputs, dict) and "main" in outputs:
        return keras.Model(model.input, outputs["main"], name=model.name)
    if isinstance(outputs, dict | list | tuple):
        named = isinstance(outputs, dict)
        has = ", ".join(map(repr, outputs)) if named else f"{len(outputs)} outputs without names"
        raise ValueError(
            f"model={model.name!r} has no output called 'main' to keep; it has {has}. "
            f"Build it to answer a dict such as {{'main': …, 'aux1': …}}."
        )
    return model


@keras.saving.register_keras_serializable("keras_cnns")
class AdaptiveAveragePooling2D(keras.layers.Layer):
    """PyTorch's average pooling to a fixed size; the same as Keras's own, which older versions do not have.

    (batch, height, width, maps) becomes (batch, size, size, maps): output i is the mean of the rows from
    floor(i · height / size) to ceil((i + 1) · height / size), which may overlap; columns likewise.

    Args:
        size: Side of the output in pixels.
        **kwargs: `name`, `dtype` and the like, as of every Keras layer.

    Raises:
        ValueError: The size is no whole number of at least 1; or, when built, the input's is free.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_channels_last()
        self.size = check_count("size", size)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Lay the windows out as two matrices."""
        _, height, width, _ = input_shape
        if height is None or width is None:
            raise ValueError(f"{self.name!r} needs a fixed input size, but got {tuple(input_shape)}.")
        self._rows, self._columns = self._means(height), self._means(width)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Average over rows, then over columns."""
        rows, columns = (ops.cast(each, self.compute_dtype) for each in (self._rows, self._columns))
        return ops.einsum("jw,biwc->bijc", columns, ops.einsum("ih,bhwc->biwc", rows, inputs))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The fixed size."""
        return (input_shape[0], self.size, self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "size": self.size}

    def _means(self, side: int) -> np.ndarray:
        """(size, side): each row averages over one window."""
        means = np.zeros((self.size, side), "float32")
        for i in range(self.size):
            start, end = i * side // self.size, -(-(i + 1) * side // self.size)
            means[i, start:end] = 1 / (end - start)
        return means
