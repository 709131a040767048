"""How each network is trained here, as data.

A row says what the paper did where Keras can do it; what differs from the paper stands in `source`.
Nothing in this module imports Keras, so that commands can read it at once.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RECIPES", "Recipe", "recipe_for"]


@dataclass(frozen=True)
class Recipe:
    """One way to train a network.

    Attributes:
        optimizer: "adam" (AdamW) or "sgd" (with `momentum`, Nesterov off).
        learning_rate: The rate at the first step.
        schedule: "cosine" falls to zero over the whole training, "constant" stays.
        momentum: Used by "sgd" alone.
        weight_decay: Decoupled from the gradient, as AdamW has it; used by "adam" alone.
        batch_size: Images a step.
        epochs: Passes over the training images.
        loss: "crossentropy", or "map" for the criterion of LeCun et al. 1998, equation 9.
        low: What a black pixel (0) becomes at the network's input.
        high: What a white pixel (255) becomes.
        source: Paper and section, and where this row departs from it.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 64
    epochs: int = 12
    loss: str = "crossentropy"
    low: float = 0.0
    high: float = 1.0
    source: str = ""


_LENET_1998 = Recipe(
    learning_rate=2e-3,
    weight_decay=0.02,
    batch_size=32,
    loss="map",
    low=-0.1,
    high=1.175,
    source=(
        "LeCun et al. 1998, section III-B: input from -0.1 to 1.175 and the MAP criterion as printed; "
        "Adam with a cosine schedule stands for 20 passes of stochastic diagonal Levenberg-Marquardt, "
        "which Keras does not have."
    ),
)

# The longest prefix of a network's name that has a row decides.
RECIPES: dict[str, Recipe] = {
    "lenet1": Recipe(low=-0.1, high=1.175, source="LeCun et al. 1990; Adam and cosine for its SGD."),
    "lenet5": _LENET_1998,
    "lenet5_modern": Recipe(source="No paper: ReLU, softmax and Adam, as the network is written today."),
    "": Recipe(source="Adam with a cosine schedule, for networks without a row of their own."),
}


def recipe_for(model: str) -> Recipe:
    """The recipe of a network by its registered name, such as "lenet5_modern"."""
    return RECIPES[max((prefix for prefix in RECIPES if model.startswith(prefix)), key=len)]
