"""Losses that a paper defines and Keras does not have."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["MAPCriterion"]


@keras.saving.register_keras_serializable("keras_cnns")
class MAPCriterion(keras.losses.Loss):
    """The maximum a posteriori criterion of LeCun et al. 1998, equation 9, for one example.

    y_D + log(exp(-j) + sum_i exp(-y_i)), where y_i are the RBF penalties and D is the right class: besides
    lowering the right penalty it raises the wrong ones, until they reach the "rubbish" constant j.

    Args:
        rubbish: j. The paper says only that it is positive.
    """

    def __init__(self, rubbish: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**{"name": "map_criterion", **kwargs})
        self.rubbish = rubbish

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Labels, shape (n,) or (n, 1), and negated penalties, shape (n, classes), to losses, shape (n,)."""
        scores = keras.ops.cast(y_pred, "float32")
        labels = keras.ops.cast(keras.ops.reshape(y_true, (-1, 1)), "int32")
        right = keras.ops.squeeze(keras.ops.take_along_axis(scores, labels, axis=1), axis=1)
        with_rubbish = keras.ops.pad(scores, ((0, 0), (0, 1)), constant_values=-self.rubbish)
        return keras.ops.logsumexp(with_rubbish, axis=1) - right

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "rubbish": self.rubbish}
