"""How each network is trained here, as data.

A row says what the paper did where Keras can do it; what differs from the paper stands in `source`.
Nothing in this module imports Keras, so that commands can read it at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["RECIPES", "Recipe", "recipe_for"]


@dataclass(frozen=True)
class Recipe:
    """One way to train a network.

    Attributes:
        optimizer: "adam" (AdamW) or "sgd" (with `momentum` and `nesterov`).
        learning_rate: The rate at the first step.
        schedule: "cosine" falls to zero over the whole training, "steps" to a tenth at a half and to a
            hundredth at three quarters of it, "constant" stays.
        momentum: Used by "sgd" alone.
        nesterov: Used by "sgd" alone.
        weight_decay: Of all trained weights: with "sgd" part of the gradient, and so of the momentum; with
            "adam" decoupled from the gradient, as AdamW has it.
        batch_size: Images a step.
        epochs: Passes over the training images.
        loss: "crossentropy", or "map" for the criterion of LeCun et al. 1998, equation 9.
        auxiliary_weight: What each auxiliary head's loss counts; 0 trains without heads.
        low: What a black pixel (0) becomes at the network's input.
        high: What a white pixel (255) becomes.
        source: Paper and section, and where this row departs from it.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    batch_size: int = 64
    epochs: int = 12
    loss: str = "crossentropy"
    auxiliary_weight: float = 0.0
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

# The papers subtract the training set's mean and train for weeks. The rows below centre pixels on zero, in
# the papers' own range where small first weights need it, and have a short schedule of the same kind. Where a
# paper spreads its batch over several GPUs, 64 images stand for it, and a rate in proportion.
_ALEXNET = Recipe(
    learning_rate=1e-4, batch_size=128, epochs=20, low=-128.0, high=127.0,
    source=(
        "Krizhevsky et al. 2012, section 5. Adam with cosine for SGD at 0.01 and a decay of 5e-4, which "
        "from N(0, 0.01) stays at guessing for the first hundreds of steps; 90 epochs, crops, colours there."
    ),
)  # fmt: skip
_VGG = Recipe(
    learning_rate=1e-4, batch_size=64, epochs=20, low=-128.0, high=127.0,
    source=(
        "Simonyan and Zisserman 2014, section 3.1. Adam with cosine for SGD at 0.01 and decay 5e-4, which "
        "leaves net A at guessing for long; 74 epochs, batches of 256 and crops there."
    ),
)  # fmt: skip
_GOOGLENET = Recipe(
    optimizer="sgd", learning_rate=0.01, weight_decay=2e-4, batch_size=32, epochs=20, auxiliary_weight=0.3,
    low=-1.0, high=1.0,
    source=(
        "Szegedy et al. 2014, sections 5 and 6: heads of weight 0.3, momentum 0.9; the rate, decay and batch "
        "that it does not print are bvlc_googlenet's; cosine for its 4 % less every 8 epochs; no averaging."
    ),
)  # fmt: skip
_BN_INCEPTION = Recipe(
    optimizer="sgd", learning_rate=0.045, weight_decay=4e-5, batch_size=32, epochs=12, low=-1.0, high=1.0,
    source=(
        "Ioffe and Szegedy 2015, sections 4.2.1 and 4.2.2: BN-x30's rate and batch, a fifth of GoogLeNet's "
        "decay, no dropout; cosine for its exponential decay."
    ),
)  # fmt: skip
_RESNET = Recipe(
    optimizer="sgd", learning_rate=0.025, schedule="steps", weight_decay=1e-4, batch_size=64, epochs=12,
    low=-1.0, high=1.0,
    source="He et al. 2015, section 3.4: 0.1 for batches of 256, 600,000 steps, crops and mirrors there.",
)  # fmt: skip
_CIFAR_RESNET = replace(
    _RESNET, learning_rate=0.1, batch_size=128,
    source=(
        "He et al. 2015, section 4.2: cuts at a half and three quarters of 64,000 steps; padded crops and "
        "mirrors, and ResNet-110's warm-up at 0.01, there."
    ),
)  # fmt: skip
_DENSENET = replace(
    _RESNET, nesterov=True,
    source="Huang et al. 2016, section 4.2: 0.1 for batches of 256, 90 epochs with two cuts there.",
)  # fmt: skip
_SE = replace(
    _RESNET, learning_rate=0.0375,
    source="Hu et al. 2017, section 5: 0.6 for batches of 1024, 100 epochs with a cut every 30 there.",
)  # fmt: skip

# The longest prefix of a network's name that has a row decides.
RECIPES: dict[str, Recipe] = {
    "lenet1": Recipe(low=-0.1, high=1.175, source="LeCun et al. 1990; Adam and cosine for its SGD."),
    "lenet5": _LENET_1998,
    "lenet5_modern": Recipe(source="No paper: ReLU, softmax and Adam, as the network is written today."),
    "lenet_caffe": Recipe(
        optimizer="sgd", learning_rate=0.01, weight_decay=5e-4,
        source="Caffe's lenet_solver.prototxt; cosine for its slower decay.",
    ),
    "alexnet": _ALEXNET,
    "vgg": _VGG,
    "googlenet": _GOOGLENET,
    "bn_inception": _BN_INCEPTION,
    "resnet": _RESNET,
    "plain": _RESNET,
    "cifar_resnet": _CIFAR_RESNET,
    "cifar_plain": _CIFAR_RESNET,
    "cifar_preresnet": replace(
        _CIFAR_RESNET,
        source="He et al. 2016, section 4 and appendix: as its ResNets; 400 steps of warm-up at 0.01 there.",
    ),
    "resnext": replace(
        _RESNET, source="Xie et al. 2016, section 4: 0.1 for batches of 256, three cuts, crops there."
    ),
    "densenet": _DENSENET,
    "cifar_densenet": replace(
        _DENSENET, learning_rate=0.1,
        source="Huang et al. 2016, section 4.2: 300 epochs with cuts at a half and three quarters there.",
    ),
    "se_": _SE,
    "senet": _SE,
    "cifar_se_": replace(
        _CIFAR_RESNET, source="Hu et al. 2017, section 6: trained as the networks without gates."
    ),
    "": Recipe(source="Adam with a cosine schedule, for networks without a row of their own."),
}  # fmt: skip


def recipe_for(model: str) -> Recipe:
    """The recipe of a network by its registered name, such as "lenet5_modern"."""
    return RECIPES[max((prefix for prefix in RECIPES if model.startswith(prefix)), key=len)]
