"""How each network is trained here, as data: its paper's way, and one of today.

A row says what the paper did where Keras can do it; what differs from the paper stands in `source`.
Nothing in this module imports Keras, so that commands can read it at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from keras_cnns._checks import unknown

__all__ = ["MODERN", "RECIPES", "RECIPE_NAMES", "Recipe", "recipe_for"]

RECIPE_NAMES = ("paper", "modern")


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
        warmup: Share of the steps over which the rate first rises from zero; with "cosine" alone.
        loss: "crossentropy", or "map" for the criterion of LeCun et al. 1998, equation 9.
        label_smoothing: Share of each label that is spread over all classes.
        crop: How far a training image is moved at most, as a share of its side, with black behind it; a
            shift by up to 4 of 32 pixels (0.125) is a crop from an image that was padded by 4.
        mirror: Half of the training images are mirrored, left for right.
        policy: "trivial" for TrivialAugment of Müller and Hutter 2021, or "" for none.
        mixup: Alpha of the beta distribution that mixes images in pairs (Zhang et al. 2017); 0 for none.
        ema: Momentum of the average of the weights that is measured and handed out; 0 for none. A short
            training has a smaller one, so that the average spans a tenth of its steps at most.
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
    warmup: float = 0.0
    loss: str = "crossentropy"
    label_smoothing: float = 0.0
    crop: float = 0.0
    mirror: bool = False
    policy: str = ""
    mixup: float = 0.0
    ema: float = 0.0
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
    learning_rate=1e-4, batch_size=128, epochs=20, mirror=True, low=-128.0, high=127.0,
    source=(
        "Krizhevsky et al. 2012, section 5. Adam with cosine for SGD at 0.01 and a decay of 5e-4, which "
        "from N(0, 0.01) stays at guessing for the first hundreds of steps; mirrors as in section 4.1; "
        "90 epochs, crops from 256 pixels and colours there."
    ),
)  # fmt: skip
_VGG = Recipe(
    learning_rate=1e-4, batch_size=64, epochs=20, mirror=True, low=-128.0, high=127.0,
    source=(
        "Simonyan and Zisserman 2014, section 3.1. Adam with cosine for SGD at 0.01 and decay 5e-4, which "
        "leaves net A at guessing for long; mirrors; 74 epochs, batches of 256, crops and colours there."
    ),
)  # fmt: skip
_GOOGLENET = Recipe(
    optimizer="sgd", learning_rate=0.01, weight_decay=2e-4, batch_size=32, epochs=20, mirror=True,
    auxiliary_weight=0.3, low=-1.0, high=1.0,
    source=(
        "Szegedy et al. 2014, sections 5 and 6: heads of weight 0.3, momentum 0.9; the rate, decay, batch "
        "and mirrors that it does not print are bvlc_googlenet's; cosine for its 4 % less every 8 epochs; no "
        "averaging, and none of its patches of many sizes and shapes."
    ),
)  # fmt: skip
_BN_INCEPTION = Recipe(
    optimizer="sgd", learning_rate=0.045, weight_decay=4e-5, batch_size=32, epochs=12, low=-1.0, high=1.0,
    source=(
        "Ioffe and Szegedy 2015, sections 4.2.1 and 4.2.2: BN-x30's rate and batch, a fifth of GoogLeNet's "
        "decay, no dropout; cosine for its exponential decay; no distortions, of which it has fewer."
    ),
)  # fmt: skip
_RESNET = Recipe(
    optimizer="sgd", learning_rate=0.025, schedule="steps", weight_decay=1e-4, batch_size=64, epochs=12,
    mirror=True, low=-1.0, high=1.0,
    source=(
        "He et al. 2015, section 3.4: mirrors; 0.1 for batches of 256, 600,000 steps, and crops from scaled "
        "images there."
    ),
)  # fmt: skip
_CIFAR_RESNET = replace(
    _RESNET, learning_rate=0.1, batch_size=128, crop=0.125,
    source=(
        "He et al. 2015, section 4.2: mirrors and crops from images padded by 4 of 32 pixels, with black for "
        "the mean; cuts at a half and three quarters; 64,000 steps, and ResNet-110's warm-up at 0.01, there."
    ),
)  # fmt: skip
_DENSENET = replace(
    _RESNET, nesterov=True,
    source=(
        "Huang et al. 2016, section 4.2: mirrors; 0.1 for batches of 256, 90 epochs with two cuts, and crops "
        "there."
    ),
)  # fmt: skip
_SE = replace(
    _RESNET, learning_rate=0.0375,
    source=(
        "Hu et al. 2017, section 5: mirrors; 0.6 for batches of 1024, 100 epochs with a cut every 30, crops "
        "of many sizes and shapes there."
    ),
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
        source=(
            "He et al. 2016, section 4 and appendix: as its ResNets, with their crops and mirrors; 400 steps "
            "of warm-up at 0.01 there."
        ),
    ),
    "resnext": replace(
        _RESNET, source="Xie et al. 2016, section 4: mirrors; 0.1 for batches of 256, three cuts, crops."
    ),
    "densenet": _DENSENET,
    "cifar_densenet": replace(
        _DENSENET, learning_rate=0.1, crop=0.125,
        source=(
            "Huang et al. 2016, section 4.2: its C10+, mirrors and crops from images padded by 4; cuts "
            "at a half and three quarters, of 300 epochs there."
        ),
    ),
    "se_": _SE,
    "senet": _SE,
    "cifar_se_": replace(
        _CIFAR_RESNET, source="Hu et al. 2017, section 6: trained as the networks without gates."
    ),
    "": Recipe(source="Adam with a cosine schedule, for networks without a row of their own."),
}  # fmt: skip


# What most trainings of today share; a network keeps its paper's range of pixels and its heads.
_MODERN = Recipe(
    learning_rate=2e-3, weight_decay=0.05, batch_size=128, epochs=30, warmup=0.1, label_smoothing=0.1,
    crop=0.125, mirror=True, policy="trivial", mixup=0.2, ema=0.99,
    source=(
        "No paper of the network: AdamW with cosine and warm-up (Loshchilov and Hutter 2016, 2017), label "
        "smoothing (Szegedy et al. 2015), TrivialAugment (Müller and Hutter 2021; an operation for each "
        "eighth of a batch instead of each image), mixup (Zhang et al. 2017), and the average of the weights."
    ),
)  # fmt: skip

# The longest prefix decides, as in RECIPES.
MODERN: dict[str, Recipe] = {
    # Without batch normalisation the common rate leaves them at guessing.
    "alexnet": replace(_MODERN, learning_rate=2e-4),
    "vgg": replace(_MODERN, learning_rate=2e-4),
    "": _MODERN,
}


def recipe_for(model: str, name: str = "paper") -> Recipe:
    """The recipe of a network.

    Args:
        model: Registered name, such as "lenet5_modern".
        name: "paper" for the network's own, "modern" for the one of today.

    Raises:
        ValueError: No such recipe, or the network cannot be trained by it; the text says what can.
    """
    if name not in RECIPE_NAMES:
        raise unknown("recipe", name, list(RECIPE_NAMES))
    own = RECIPES[_longest(RECIPES, model)]
    if name == "paper":
        return own
    if own.loss == "map":
        raise ValueError(
            f"recipe='modern' does not fit {model}: its RBF units are trained by the MAP criterion, which "
            "takes neither smooth nor mixed labels; lenet5_modern can be trained by it."
        )
    chosen = MODERN[_longest(MODERN, model)]
    return replace(chosen, low=own.low, high=own.high, auxiliary_weight=own.auxiliary_weight)


def _longest(table: dict[str, Recipe], model: str) -> str:
    return max((prefix for prefix in table if model.startswith(prefix)), key=len)
