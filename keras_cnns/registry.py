"""Every published network by name, as data; no Keras until one is built."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from keras_cnns._checks import pick, unknown

if TYPE_CHECKING:
    import keras

_LENET_1990 = "LeCun et al. 1990, NIPS 2"
_LENET_1998 = "LeCun et al. 1998, Proc. IEEE 86(11)"
_ALEXNET = "Krizhevsky et al. 2012, NIPS 25"
_VGG = "Simonyan & Zisserman 2014, arXiv 1409.1556"
_GOOGLENET = "Szegedy et al. 2014, arXiv 1409.4842"
_BN_INCEPTION = "Ioffe & Szegedy 2015, arXiv 1502.03167"
_RESNET = "He et al. 2015, arXiv 1512.03385"
_RESNET_V2 = "He et al. 2016, arXiv 1603.05027"
_RESNEXT = "Xie et al. 2016, arXiv 1611.05431"
_DENSENET = "Huang et al. 2016, arXiv 1608.06993"
_SENET = "Hu et al. 2017, arXiv 1709.01507"

_IMAGENET = (224, 224, 3)
_CIFAR = (32, 32, 3)


@dataclass(frozen=True)
class Entry:
    """One named network.

    Attributes:
        builder: Where its builder is: "module:function".
        family: The paper family, such as "LeNet".
        paper: Authors, year and place.
        description: One line for a person.
        input_shape: (height, width, channels) in pixels, when the caller gives none.
        arguments: The builder's arguments that make this network; the rest are the builder's defaults.
        classes: Number of classes, when the caller gives none and the network has a classifier.
    """

    builder: str
    family: str
    paper: str
    description: str
    input_shape: tuple[int, int, int]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 1000


def _rows(
    builder: str,
    family: str,
    paper: str,
    input_shape: tuple[int, int, int],
    classes: int,
    rows: Mapping[str, tuple[str, Mapping[str, Any]]],
) -> dict[str, Entry]:
    """Rows that share all but their description and arguments."""
    return {
        name: Entry(f"keras_cnns.{builder}", family, paper, description, input_shape, arguments, classes)
        for name, (description, arguments) in rows.items()
    }  # fmt: skip


def _all(*groups: Mapping[str, Entry]) -> dict[str, Entry]:
    """The rows of all groups.

    Raises:
        ValueError: Two rows have one name.
    """
    rows = [row for group in groups for row in group.items()]
    names = [name for name, _ in rows]
    if len(set(names)) < len(names):
        raise ValueError(
            f"these names stand twice: {sorted({name for name in names if names.count(name) > 1})}."
        )
    return dict(rows)


# fmt: off
MODELS: Mapping[str, Entry] = _all(
    _rows("lenet:lenet1", "LeNet", _LENET_1990, (28, 28, 1), 10, {
        "lenet1": ("20 links between H2 and H3, 2,578 parameters", {}),
    }),
    _rows("lenet:lenet5", "LeNet", _LENET_1998, (32, 32, 1), 10, {
        "lenet5": ("the builder's defaults: the network of 1998", {}),
        "lenet5_1998": ("table I in C3, trained subsampling, RBF output", {"version": "1998"}),
        "lenet5_modern": ("the usual port: full convolutions, max pooling, softmax", {"version": "modern"}),
    }),
    _rows("lenet:lenet5", "LeNet", _LENET_1998, (28, 28, 1), 10, {
        "lenet5_modern_28_valid":
            ("the usual port on 28x28 without padding, a silent shrink", {"version": "modern"}),
        "lenet_caffe": ("Caffe's MNIST example, another net: 431,080 parameters", {"dialect": "caffe"}),
    }),
    _rows("lenet:lenet5", "LeNet", _LENET_1998, _CIFAR, 10, {
        "lenet5_modern_cifar": ("the usual port on colour images", {"version": "modern"}),
    }),
    _rows("alexnet:alexnet", "AlexNet", _ALEXNET, (227, 227, 3), 1000, {
        "alexnet": ("the builder's defaults: two groups, response normalisation", {}),
        "alexnet_grouped": ("two GPU groups as grouped convolution", {"groups": 2}),
        "alexnet_ungrouped": ("one tower of the paper's widths", {"groups": 1}),
    }),
    _rows("alexnet:alexnet", "AlexNet", _ALEXNET, _IMAGENET, 1000, {
        "alexnet_torchvision":
            ("the later single-column widths, no response normalisation", {"dialect": "torchvision"}),
        "alexnet_224_valid": ("224 pixels unpadded, a frequent mistake: 54, 26, 12, 5 maps", {}),
    }),
    _rows("vgg:vgg", "VGG", _VGG, _IMAGENET, 1000, {
        "vgg11": ("configuration A", {"depth": 11}),
        "vgg11_bn": ("configuration A with batch normalisation", {"depth": 11, "batch_norm": True}),
        "vgg13": ("configuration B", {"depth": 13}),
        "vgg13_bn": ("configuration B with batch normalisation", {"depth": 13, "batch_norm": True}),
        "vgg16": ("configuration D", {"depth": 16}),
        "vgg16_bn": ("configuration D with batch normalisation", {"depth": 16, "batch_norm": True}),
        "vgg19": ("configuration E", {"depth": 19}),
        "vgg19_bn": ("configuration E with batch normalisation", {"depth": 19, "batch_norm": True}),
        "vgg16_c": ("configuration C: 1x1 as the third convolution", {"depth": "C"}),
        "vgg16_c_bn": ("configuration C with batch normalisation", {"depth": "C", "batch_norm": True}),
    }),
    _rows("googlenet:googlenet", "GoogLeNet", _GOOGLENET, _IMAGENET, 1000, {
        "googlenet": ("table 1, without the auxiliary heads", {}),
        "googlenet_aux": ("with both auxiliary heads, for training", {"aux": True}),
        "googlenet_separable_stem":
            ("the first row of table 1 as printed: 2.7K weights", {"separable_stem": True}),
        "googlenet_torchvision":
            ("batch normalisation, 3x3 for 5x5, no response normalisation", {"dialect": "torchvision"}),
        "googlenet_torchvision_aux":
            ("the same with auxiliary heads", {"dialect": "torchvision", "aux": True}),
    }),
    _rows("googlenet:bn_inception", "BN-Inception", _BN_INCEPTION, _IMAGENET, 1000, {
        "bn_inception": ("figure 5", {}),
        "bn_inception_biased": ("the PyTorch port, whose convolutions keep biases", {"conv_bias": True}),
    }),
    _rows("resnet:resnet", "ResNet", _RESNET, _IMAGENET, 1000, {
        "plain18": ("without shortcuts", {"depth": 18, "plain": True}),
        "plain34": ("without shortcuts", {"depth": 34, "plain": True}),
        "resnet18": ("shortcut B: projections where the shape changes", {"depth": 18}),
        "resnet18_A": ("shortcut A: no parameters", {"depth": 18, "shortcut": "A"}),
        "resnet18_C": ("shortcut C: projections everywhere", {"depth": 18, "shortcut": "C"}),
        "resnet34": ("shortcut B: projections where the shape changes", {"depth": 34}),
        "resnet34_A": ("shortcut A: no parameters", {"depth": 34, "shortcut": "A"}),
        "resnet34_C": ("shortcut C: projections everywhere", {"depth": 34, "shortcut": "C"}),
        "resnet50": ("shortcut B: projections where the shape changes", {"depth": 50}),
        "resnet50_A": ("shortcut A: no parameters", {"depth": 50, "shortcut": "A"}),
        "resnet50_C": ("shortcut C: projections everywhere", {"depth": 50, "shortcut": "C"}),
        "resnet101": ("shortcut B: projections where the shape changes", {"depth": 101}),
        "resnet101_A": ("shortcut A: no parameters", {"depth": 101, "shortcut": "A"}),
        "resnet101_C": ("shortcut C: projections everywhere", {"depth": 101, "shortcut": "C"}),
        "resnet152": ("shortcut B: projections where the shape changes", {"depth": 152}),
        "resnet152_A": ("shortcut A: no parameters", {"depth": 152, "shortcut": "A"}),
        "resnet152_C": ("shortcut C: projections everywhere", {"depth": 152, "shortcut": "C"}),
        "resnet50_v1_5":
            ("the stride in the 3x3, as fb.resnet.torch and torchvision", {"depth": 50, "version": 1.5}),
        "resnet50_keras":
            ("as keras.applications: biases before batch normalisation", {"depth": 50, "dialect": "keras"}),
        "resnet101_v1_5":
            ("the stride in the 3x3, as fb.resnet.torch and torchvision", {"depth": 101, "version": 1.5}),
        "resnet101_keras":
            ("as keras.applications: biases before batch normalisation", {"depth": 101, "dialect": "keras"}),
        "resnet152_v1_5":
            ("the stride in the 3x3, as fb.resnet.torch and torchvision", {"depth": 152, "version": 1.5}),
        "resnet152_keras":
            ("as keras.applications: biases before batch normalisation", {"depth": 152, "dialect": "keras"}),
        "resnet50_caffe": ("the authors' release: a bias in conv1", {"depth": 50, "dialect": "caffe"}),
    }),
    _rows("resnet:resnet", "ResNet-v2", _RESNET_V2, _IMAGENET, 1000, {
        "resnet18_v2": ("pre-activation", {"depth": 18, "version": 2}),
        "resnet34_v2": ("pre-activation", {"depth": 34, "version": 2}),
        "resnet50_v2": ("pre-activation", {"depth": 50, "version": 2}),
        "resnet101_v2": ("pre-activation", {"depth": 101, "version": 2}),
        "resnet152_v2": ("pre-activation", {"depth": 152, "version": 2}),
        "resnet200_v2": ("pre-activation", {"depth": 200, "version": 2}),
        "resnet50_v2_keras":
            ("as keras.applications: the stride in a stage's last unit",
             {"depth": 50, "version": 2, "dialect": "keras"}),
        "resnet101_v2_keras":
            ("as keras.applications: the stride in a stage's last unit",
             {"depth": 101, "version": 2, "dialect": "keras"}),
        "resnet152_v2_keras":
            ("as keras.applications: the stride in a stage's last unit",
             {"depth": 152, "version": 2, "dialect": "keras"}),
    }),
    _rows("resnet:resnet", "ResNet-CIFAR", _RESNET, _CIFAR, 10, {
        "cifar_resnet20": ("6n + 2 layers, shortcut A", {"depth": 20}),
        "cifar_resnet20_B": ("shortcut B", {"depth": 20, "shortcut": "B"}),
        "cifar_resnet20_C": ("shortcut C", {"depth": 20, "shortcut": "C"}),
        "cifar_plain20": ("without shortcuts", {"depth": 20, "plain": True}),
        "cifar_resnet32": ("6n + 2 layers, shortcut A", {"depth": 32}),
        "cifar_resnet32_B": ("shortcut B", {"depth": 32, "shortcut": "B"}),
        "cifar_resnet32_C": ("shortcut C", {"depth": 32, "shortcut": "C"}),
        "cifar_plain32": ("without shortcuts", {"depth": 32, "plain": True}),
        "cifar_resnet44": ("6n + 2 layers, shortcut A", {"depth": 44}),
        "cifar_resnet44_B": ("shortcut B", {"depth": 44, "shortcut": "B"}),
        "cifar_resnet44_C": ("shortcut C", {"depth": 44, "shortcut": "C"}),
        "cifar_plain44": ("without shortcuts", {"depth": 44, "plain": True}),
        "cifar_resnet56": ("6n + 2 layers, shortcut A", {"depth": 56}),
        "cifar_resnet56_B": ("shortcut B", {"depth": 56, "shortcut": "B"}),
        "cifar_resnet56_C": ("shortcut C", {"depth": 56, "shortcut": "C"}),
        "cifar_plain56": ("without shortcuts", {"depth": 56, "plain": True}),
        "cifar_resnet110": ("6n + 2 layers, shortcut A", {"depth": 110}),
        "cifar_resnet110_B": ("shortcut B", {"depth": 110, "shortcut": "B"}),
        "cifar_resnet110_C": ("shortcut C", {"depth": 110, "shortcut": "C"}),
        "cifar_plain110": ("without shortcuts", {"depth": 110, "plain": True}),
        "cifar_resnet1202": ("6n + 2 layers, shortcut A", {"depth": 1202}),
    }),
    _rows("resnet:resnet", "ResNet-v2-CIFAR", _RESNET_V2, _CIFAR, 10, {
        "cifar_preresnet110": ("pre-activation, shortcut A", {"depth": 110, "version": 2}),
        "cifar_preresnet164": ("pre-activation bottlenecks", {"depth": 164}),
        "cifar_preresnet1001": ("pre-activation bottlenecks", {"depth": 1001}),
    }),
    _rows("resnet:resnet", "ResNet-v2-CIFAR", _RESNET_V2, _CIFAR, 100, {
        "cifar_preresnet164_c100": ("pre-activation bottlenecks, CIFAR-100", {"depth": 164}),
        "cifar_preresnet1001_c100": ("pre-activation bottlenecks, CIFAR-100", {"depth": 1001}),
    }),
    _rows("resnext:resnext", "ResNeXt", _RESNEXT, _IMAGENET, 1000, {
        "resnext50_32x4d": ("32 groups of 4", {"depth": 50}),
        "resnext101_32x4d": ("32 groups of 4", {"depth": 101}),
        "resnext101_64x4d": ("64 groups of 4", {"depth": 101, "groups": 64}),
    }),
    _rows("densenet:densenet", "DenseNet", _DENSENET, _IMAGENET, 1000, {
        "densenet121": ("DenseNet-BC, growth rate 32", {"depth": 121}),
        "densenet161": ("DenseNet-BC, growth rate 48", {"depth": 161}),
        "densenet169": ("DenseNet-BC, growth rate 32", {"depth": 169}),
        "densenet201": ("DenseNet-BC, growth rate 32", {"depth": 201}),
        "densenet264": ("DenseNet-BC, growth rate 32", {"depth": 264}),
    }),
    _rows("densenet:densenet", "DenseNet-CIFAR", _DENSENET, _CIFAR, 10, {
        "cifar_densenet_L40_k12":
            ("growth rate 12, plain", {"depth": 40, "growth_rate": 12, "bottleneck": False}),
        "cifar_densenet_L100_k12":
            ("growth rate 12, plain", {"depth": 100, "growth_rate": 12, "bottleneck": False}),
        "cifar_densenet_L100_k24":
            ("growth rate 24, plain", {"depth": 100, "growth_rate": 24, "bottleneck": False}),
        "cifar_densenet_bc_L100_k12":
            ("growth rate 12, bottleneck and compression",
             {"depth": 100, "growth_rate": 12, "bottleneck": True}),
        "cifar_densenet_bc_L250_k24":
            ("growth rate 24, bottleneck and compression",
             {"depth": 250, "growth_rate": 24, "bottleneck": True}),
        "cifar_densenet_bc_L190_k40":
            ("growth rate 40, bottleneck and compression",
             {"depth": 190, "growth_rate": 40, "bottleneck": True}),
        "cifar_densenet_L40_k12_stem24":
            ("the authors' later code: a stem of 2k maps",
             {"depth": 40, "growth_rate": 12, "bottleneck": False, "dialect": "authors"}),
    }),
    _rows("densenet:densenet", "DenseNet-CIFAR", _DENSENET, _CIFAR, 100, {
        "cifar_densenet_L40_k12_c100":
            ("growth rate 12, plain, CIFAR-100", {"depth": 40, "growth_rate": 12, "bottleneck": False}),
        "cifar_densenet_L100_k12_c100":
            ("growth rate 12, plain, CIFAR-100", {"depth": 100, "growth_rate": 12, "bottleneck": False}),
        "cifar_densenet_L100_k24_c100":
            ("growth rate 24, plain, CIFAR-100", {"depth": 100, "growth_rate": 24, "bottleneck": False}),
        "cifar_densenet_bc_L100_k12_c100":
            ("growth rate 12, bottleneck and compression, CIFAR-100",
             {"depth": 100, "growth_rate": 12, "bottleneck": True}),
        "cifar_densenet_bc_L250_k24_c100":
            ("growth rate 24, bottleneck and compression, CIFAR-100",
             {"depth": 250, "growth_rate": 24, "bottleneck": True}),
        "cifar_densenet_bc_L190_k40_c100":
            ("growth rate 40, bottleneck and compression, CIFAR-100",
             {"depth": 190, "growth_rate": 40, "bottleneck": True}),
    }),
    _rows("senet:se_resnet", "SENet", _SENET, _IMAGENET, 1000, {
        "se_resnet50": ("gates of ratio 16", {"depth": 50}),
        "se_resnet101": ("gates of ratio 16", {"depth": 101}),
        "se_resnet152": ("gates of ratio 16", {"depth": 152}),
    }),
    _rows("senet:se_resnext", "SENet", _SENET, _IMAGENET, 1000, {
        "se_resnext50_32x4d": ("gates of ratio 16", {"depth": 50}),
        "se_resnext101_32x4d": ("gates of ratio 16", {"depth": 101}),
    }),
    _rows("senet:senet", "SENet", _SENET, _IMAGENET, 1000, {
        "senet154": ("the winner of ILSVRC 2017", {}),
    }),
    _rows("senet:se_bn_inception", "SENet", _SENET, _IMAGENET, 1000, {
        "se_bn_inception": ("a gate after each module", {}),
    }),
    _rows("senet:se_vgg", "SENet", _SENET, _IMAGENET, 1000, {
        "se_vgg16_bn": ("a gate after each convolution", {"depth": 16}),
    }),
    _rows("senet:se_resnet", "SENet ablation", _SENET, _IMAGENET, 1000, {
        "se_resnet50_r2": ("table 10: ratio 2", {"depth": 50, "se_ratio": 2}),
        "se_resnet50_r4": ("table 10: ratio 4", {"depth": 50, "se_ratio": 4}),
        "se_resnet50_r8": ("table 10: ratio 8", {"depth": 50, "se_ratio": 8}),
        "se_resnet50_r16": ("table 10: ratio 16", {"depth": 50, "se_ratio": 16}),
        "se_resnet50_r32": ("table 10: ratio 32", {"depth": 50, "se_ratio": 32}),
        "se_resnet50_pre": ("tables 14 and 15: placement pre", {"depth": 50, "placement": "pre"}),
        "se_resnet50_post": ("tables 14 and 15: placement post", {"depth": 50, "placement": "post"}),
        "se_resnet50_identity":
            ("tables 14 and 15: placement identity", {"depth": 50, "placement": "identity"}),
        "se_resnet50_3x3": ("tables 14 and 15: placement 3x3", {"depth": 50, "placement": "3x3"}),
        "se_resnet50_stage2_only": ("table 13: gates in conv2_x alone", {"depth": 50, "stages": (2,)}),
        "se_resnet50_stage3_only": ("table 13: gates in conv3_x alone", {"depth": 50, "stages": (3,)}),
        "se_resnet50_stage4_only": ("table 13: gates in conv4_x alone", {"depth": 50, "stages": (4,)}),
        "se_resnet50_no_last_stage": ("section 6.6: no gates in conv5_x", {"depth": 50, "stages": (2, 3, 4)}),
    }),
    _rows("senet:se_resnet", "SENet", _SENET, _CIFAR, 10, {
        "cifar_se_preresnet110": ("pre-activation with gates", {"depth": 110, "version": 2}),
        "cifar_se_preresnet164": ("pre-activation bottlenecks with gates", {"depth": 164}),
    }),
)
# fmt: on


def find(name: str) -> Entry:
    """The row of a name.

    Raises:
        ValueError: There is no such name; the text gives the nearest one.
    """
    return MODELS[pick("model", name, sorted(MODELS))]


def list_models(pattern: str = "*") -> list[str]:
    """The names of all networks that match a pattern, sorted.

    Args:
        pattern: Shell wildcards, `*`, `?` and `[…]`; by default everything.

    Returns:
        The names, for `create_model`; an empty list where nothing matches.

    Raises:
        ValueError: The pattern is no text.
    """
    if not isinstance(pattern, str):
        raise ValueError(f"pattern={pattern!r} is not a text such as 'resnet*'.")
    return sorted(name for name in MODELS if fnmatchcase(name, pattern))


def _equal(value: Any, own: Any) -> bool:
    """Whether an override says what the row says: [2] for (2,), NumPy's 50 for 50."""
    if isinstance(own, tuple):
        return isinstance(value, list | tuple) and tuple(value) == own
    try:
        return pick("value", value, [own]) == own
    except ValueError:
        return False


# What changes neither the network nor its name.
_COMMON = ("input_shape", "classes", "include_top", "pooling", "classifier_activation", "weights", "name")
# What changes the size that the paper's images have.
_MOVES_THE_SIZE = ("dialect", "padding")


def create_model(name: str, /, **overrides: Any) -> "keras.Model":
    """Build a network by its name.

    Args:
        name: One of `list_models()`.
        **overrides: Arguments of the network's builder, such as `classes` or `input_shape`. Those that the
            name itself stands for, such as a version, cannot be overridden. Any other makes a variant of the
            network, such as `dialect` or `dropout`.

    Returns:
        A functional Keras model, called `name`; a variant is called as its builder calls it.

    Raises:
        ValueError: There is no such network, its builder has no such argument or refuses its value, or an
            override contradicts the name; the text says what works.
    """
    entry = find(name)
    module, function = entry.builder.split(":")
    build = getattr(import_module(module), function)
    for argument, value in overrides.items():
        if argument not in signature(build).parameters:
            raise unknown("argument", argument, signature(build).parameters)
        if argument in entry.arguments and not _equal(value, entry.arguments[argument]):
            raise ValueError(
                f"{argument}={value!r} contradicts the model {name!r}, which has "
                f"{argument}={entry.arguments[argument]!r}; call keras_cnns.{function}({argument}={value!r})."
            )
    own: dict[str, Any] = dict(entry.arguments)
    if overrides.get("include_top", True):
        own["classes"] = entry.classes
    if not set(overrides) - set(_COMMON) - set(entry.arguments):
        own["name"] = name
    if not set(overrides) & set(_MOVES_THE_SIZE):
        own["input_shape"] = entry.input_shape
    given = {
        argument: value
        for argument, value in overrides.items()
        if value is not None or argument not in ("input_shape", "classes", "name")
    }
    return build(**{**own, **given})
