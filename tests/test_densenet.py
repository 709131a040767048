"""What only the DenseNet paper says (Huang et al. 2016, arXiv 1608.06993)."""

import keras
import numpy as np
import pytest
from peers import give_the_same_weights, kinds, largest_difference

from keras_cnns import densenet
from keras_cnns.analysis import counts
from keras_cnns.densenet import TABLE

layers = keras.layers
CIFAR = (8, 8, 3)
IMAGENET = (32, 32, 3)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def noise(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype("float32")


def maps(model, name):
    return model.get_layer(name).output.shape[-1]


# The stem's maps, then of each block its layers, its output and what the transition makes of it: by the rules
# of section 3, k0 + k·l and ⌊θm⌋. The last block's output is what the classifier reads.
CHANNELS = [
    ({"depth": 121}, 64, [(6, 256, 128), (12, 512, 256), (24, 1024, 512), (16, 1024)]),
    ({"depth": 161}, 96, [(6, 384, 192), (12, 768, 384), (36, 2112, 1056), (24, 2208)]),
    ({"depth": 169}, 64, [(6, 256, 128), (12, 512, 256), (32, 1280, 640), (32, 1664)]),
    ({"depth": 201}, 64, [(6, 256, 128), (12, 512, 256), (48, 1792, 896), (32, 1920)]),
    ({"depth": 264}, 64, [(6, 256, 128), (12, 512, 256), (64, 2304, 1152), (48, 2688)]),
    ({"depth": 40}, 16, [(12, 160, 160), (12, 304, 304), (12, 448)]),
    ({"depth": 100, "bottleneck": False}, 16, [(32, 400, 400), (32, 784, 784), (32, 1168)]),
    (
        {"depth": 100, "bottleneck": False, "growth_rate": 24}, 16,
        [(32, 784, 784), (32, 1552, 1552), (32, 2320)],
    ),
    ({"depth": 100}, 24, [(16, 216, 108), (16, 300, 150), (16, 342)]),
    ({"depth": 250}, 48, [(41, 1032, 516), (41, 1500, 750), (41, 1734)]),
    ({"depth": 190}, 80, [(31, 1320, 660), (31, 1900, 950), (31, 2190)]),
]  # fmt: skip
QUICK = [row for row in CHANNELS if row[0] in ({"depth": 121}, {"depth": 40}, {"depth": 100})]


@pytest.mark.parametrize(
    ("arguments", "stem", "blocks"),
    [
        pytest.param(
            *row, id="-".join(map(str, row[0].values())), marks=[pytest.mark.slow] * (row not in QUICK)
        )
        for row in CHANNELS
    ],
)
def test_channels(arguments, stem, blocks):
    imagenet = len(blocks) == 4
    model = densenet(**arguments, input_shape=IMAGENET if imagenet else CIFAR)
    k = arguments.get("growth_rate", TABLE[arguments["depth"]][0])
    width = stem
    assert maps(model, "conv1") == stem
    for block, (count, output, *after) in enumerate(blocks, start=1):
        for i in range(count):
            first = model.get_layer(f"block{block}_{i + 1}_bn1")
            assert first.input.shape[-1] == width + k * i, "layer l reads k0 + k(l - 1) maps"
        assert maps(model, f"block{block}_{count}_concat") == output == width + k * count
        if after:
            assert [maps(model, f"transition{block}_{part}") for part in ("conv", "pool")] == after * 2
            (width,) = after
    convolutions = len(kinds(model, layers.Conv2D))
    assert convolutions + 1 == (265 if arguments["depth"] == 264 else arguments["depth"])
    assert model.get_layer("logits").kernel.shape[0] == blocks[-1][1]


@pytest.mark.parametrize("bottleneck", [False, True])
def test_the_blocks_input_and_all_earlier_maps_are_handed_on_unchanged(bottleneck):
    """The first k0 maps of a block's output are its input, the next k the first layer's, and so on."""
    model = densenet(40, bottleneck=bottleneck, input_shape=CIFAR, growth_rate=3)
    last = len(kinds(model, layers.Concatenate)) // 3
    parts = ["transition1_pool", *(f"block2_{i + 1}_conv{1 + bottleneck}" for i in range(last))]
    looked_at = [model.get_layer(name).output for name in [*parts, f"block2_{last}_concat"]]
    *made, block = (numpy(x) for x in keras.Model(model.input, looked_at)(noise(2, *CIFAR)))
    assert [x.shape[-1] for x in made[1:]] == [3] * last
    np.testing.assert_array_equal(block, np.concatenate(made, axis=-1))


def test_a_layer_reads_all_layers_before_it_and_none_after_it():
    """Equation 2: layer l reads [x_0, x_1, … x_(l-1)]."""
    model = densenet(40, input_shape=CIFAR, growth_rate=3)
    made = ["conv1", *(f"block1_{i + 1}_conv1" for i in range(12))]
    outputs = [model.get_layer(name).output for name in made]
    read = [model.get_layer(f"block1_{i + 1}_bn1").input for i in range(12)]
    found = [numpy(x) for x in keras.Model(model.input, [*outputs, *read])(noise(2, *CIFAR))]
    for i, maps in enumerate(found[len(made) :], start=1):
        np.testing.assert_array_equal(maps, np.concatenate(found[:i], axis=-1))


def order(model, start, end):
    """The kinds of the layers from one to another, in the graph's order."""
    names = [layer.name for layer in model.layers]
    return [type(layer).__name__ for layer in model.layers[names.index(start) : names.index(end) + 1]]


def test_a_layer_is_bn_relu_conv():
    part = ["BatchNormalization", "ReLU", "Conv2D"]
    bottleneck, plain = (densenet(40, bottleneck=with_them, input_shape=CIFAR) for with_them in (True, False))
    assert order(bottleneck, "block2_3_bn1", "block2_3_concat") == [*part, *part, "Concatenate"]
    assert order(plain, "block2_3_bn1", "block2_3_concat") == [*part, "Concatenate"]
    assert [bottleneck.get_layer(f"block2_3_conv{i}").kernel_size for i in (1, 2)] == [(1, 1), (3, 3)]
    assert [maps(bottleneck, f"block2_3_conv{i}") for i in (1, 2)] == [48, 12]
    assert plain.get_layer("block2_3_conv1").kernel_size == (3, 3)
    for model in (bottleneck, plain):
        assert order(model, "transition1_bn", "transition1_pool") == [*part, "AveragePooling2D"]
        assert model.get_layer("transition1_conv").kernel_size == (1, 1)


@pytest.mark.parametrize("bottleneck", [False, True])
def test_cifars_stem_is_bare_and_the_last_maps_are_normalised(bottleneck):
    """Ports put a BN-ReLU after CIFAR's first convolution and forget the last one before the classifier."""
    model = densenet(40, bottleneck=bottleneck, input_shape=CIFAR)
    assert order(model, "image", "block1_1_bn1") == ["InputLayer", "Conv2D", "BatchNormalization"]
    end = ["Concatenate", "BatchNormalization", "ReLU", "GlobalAveragePooling2D", "Dense", "Activation"]
    assert order(model, model.layers[-6].name, "predictions") == end
    without = densenet(40, bottleneck=bottleneck, input_shape=CIFAR, include_top=False)
    assert without.layers[-1].name == "post_relu"


def test_imagenets_stem():
    model = densenet(input_shape=IMAGENET)
    assert order(model, "image", "pool1") == [
        "InputLayer", "ZeroPadding2D", "Conv2D", "BatchNormalization", "ReLU",
        "ZeroPadding2D", "MaxPooling2D",
    ]  # fmt: skip
    assert [maps(model, name) for name in ("conv1", "pool1")] == [64, 64]
    assert model.get_layer("conv1_pad").padding == ((3, 3), (3, 3))
    assert model.get_layer("pool1_pad").padding == ((1, 1), (1, 1))


@pytest.mark.parametrize(
    ("arguments", "name", "stem", "per_block", "transition"),
    [
        ({}, "cifar_densenet_L40_k12", 16, 12, 160),
        ({"bottleneck": True}, "cifar_densenet_bc_L40_k12", 24, 6, 48),
        ({"bottleneck": True, "compression": 1.0}, "cifar_densenet_b_L40_k12", 16, 6, 88),
        ({"compression": 0.5}, "cifar_densenet_c_L40_k12", 16, 12, 80),
        ({"compression": 0.3, "growth_rate": 5}, "cifar_densenet_c_L40_k5", 16, 12, 22),
        ({"dialect": "authors"}, "cifar_densenet_L40_k12", 24, 12, 168),
    ],
)
def test_forms_of_table_2(arguments, name, stem, per_block, transition):
    """Only BC starts with 2k maps, save in the authors' code; the depth stays; maps are rounded down."""
    model = densenet(40, input_shape=CIFAR, **arguments)
    assert model.name == name
    assert maps(model, "conv1") == stem
    assert len(kinds(model, layers.Concatenate)) == 3 * per_block
    assert maps(model, "transition1_conv") == transition
    assert len(kinds(model, layers.Conv2D)) == 39


def test_the_authors_code_has_forty_thousand_parameters_more():
    """papers.md of this project: 1,059,298 against the paper's 1,019,722 (L = 40, k = 12)."""
    found = [counts.parameters(densenet(40, dialect=dialect))[0] for dialect in ("paper", "authors")]
    assert found == [1_019_722, 1_059_298]


def test_dropout_follows_every_convolution_but_the_first_and_only_when_asked():
    """Section 4.2: rate 0.2 "after each convolutional layer (except the first one)", without augmentation."""
    assert not kinds(densenet(40, input_shape=CIFAR), layers.Dropout)
    for bottleneck in (False, True):
        model = densenet(40, bottleneck=bottleneck, input_shape=CIFAR, dropout=0.2)
        dropouts = kinds(model, layers.Dropout)
        assert {layer.rate for layer in dropouts} == {0.2}
        convolutions = [layer for layer in kinds(model, layers.Conv2D) if layer.name != "conv1"]
        assert [layer.input for layer in dropouts] == [layer.output for layer in convolutions]
        assert model.get_layer("transition1_pool").input is model.get_layer("transition1_dropout").output
        assert model.get_layer("logits").input is model.get_layer("avgpool").output


@pytest.mark.parametrize("depth", TABLE)
def test_growth_compression_and_dropout_go_together_at_every_depth(depth):
    """A search chooses them freely: k maps a layer, ⌊θm⌋ behind a transition."""
    with keras.StatelessScope(initialize_variables=False):
        model = densenet(depth, growth_rate=5, compression=0.3, dropout=0.25, input_shape=IMAGENET)
    width = maps(model, "conv1")
    counted = [
        int(name.split("_")[0][5:]) for name in (x.name for x in model.layers) if name.endswith("_concat")
    ]
    for block in sorted(set(counted)):
        if block > 1:
            width = int(0.3 * width)
        width += 5 * counted.count(block)
    assert maps(model, "avgpool") == width
    assert {layer.rate for layer in kinds(model, layers.Dropout)} == {0.25}


@pytest.mark.parametrize(("dialect", "depth"), [("paper", 40), ("authors", 40), ("torchvision", 121)])
def test_initialisation(dialect, depth):
    """He's normal distribution with whole tails: by the inputs; in the authors' Lua code by the outputs."""
    keras.utils.set_random_seed(0)
    model = densenet(depth, bottleneck=True, input_shape=IMAGENET, dialect=dialect)
    for name in ("block2_1_conv1", "block3_3_conv2", "transition2_conv"):
        kernel = numpy(model.get_layer(name).kernel)
        fan = kernel.shape[0] * kernel.shape[1] * kernel.shape[3 if dialect == "authors" else 2]
        assert kernel.std() == pytest.approx(np.sqrt(2 / fan), rel=0.05)
        assert abs(kernel).max() > 3 * np.sqrt(2 / fan)
    for layer in kinds(model, layers.BatchNormalization):
        assert (layer.epsilon, layer.momentum) == (1e-5, 0.9)
        assert [float(numpy(weight).mean()) for weight in layer.weights] == [1, 0, 0, 1]
    assert not any(layer.use_bias for layer in kinds(model, layers.Conv2D))
    kernel, bias = (numpy(weight) for weight in model.get_layer("logits").weights)
    assert not bias.any()
    if dialect == "paper":
        assert kernel.std() == pytest.approx(np.sqrt(2 / len(kernel)), rel=0.05)
    else:
        assert 0.98 < abs(kernel).max() * np.sqrt(len(kernel)) <= 1


def test_no_two_layers_start_alike_and_the_seed_decides():
    """One initialiser object shared by layers of one shape would give them one and the same kernel."""

    def kernels(seed):
        keras.utils.set_random_seed(seed)
        model = densenet(40, bottleneck=True, input_shape=CIFAR)
        return [numpy(model.get_layer(f"block{block}_{i}_conv2").kernel) for block in (1, 2) for i in (1, 2)]

    first, again, other = kernels(1), kernels(1), kernels(2)
    assert len({kernel.tobytes() for kernel in first}) == 4
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize(
    "depth", [121, pytest.param(169, marks=pytest.mark.slow), pytest.param(201, marks=pytest.mark.slow)]
)
def test_keras_dialect_is_keras_applications(depth):
    shape = (75, 64, 3)  # an odd side and an even one
    how = {"input_shape": shape, "classes": 10, "classifier_activation": None}
    ours = densenet(depth, dialect="keras", **how)
    theirs = getattr(keras.applications, f"DenseNet{depth}")(weights=None, **how)
    give_the_same_weights(ours, theirs)
    assert largest_difference(ours, theirs, shape) < 1e-5
    for kind, facts in [
        (layers.BatchNormalization, lambda x: (x.epsilon, x.momentum)),
        (layers.Conv2D, lambda x: (type(x.kernel_initializer), x.use_bias, x.strides)),
        (layers.Dense, lambda x: (type(x.kernel_initializer), type(x.bias_initializer))),
    ]:
        mine, others = ([facts(layer) for layer in kinds(model, kind)] for model in (ours, theirs))
        assert mine == others


@pytest.mark.parametrize("depth", [121, 40])
def test_smallest_size(depth):
    side = 29 if depth == 121 else 4
    model = densenet(depth, input_shape=(side, side, 1))
    last = "block4_16_concat" if depth == 121 else "block3_12_concat"
    assert model.get_layer(last).output.shape[1:3] == (1, 1)
    with pytest.raises(ValueError, match=rf"too small .* works: \({side}, {side}, 1\)"):
        densenet(depth, input_shape=(side - 1, side, 1))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"depth": 120}, "depth=120 is not known. Did you mean 121"),
        ({"depth": 41}, "depth=41 is not known. Did you mean 40"),
        ({"depth": "121"}, "depth='121' is not known"),
        ({"dialect": "kears"}, "dialect='kears' is not known. Did you mean 'keras'"),
        ({"depth": 40, "dialect": "keras"}, "depth=40 contradicts dialect='keras', which has 121 or 169"),
        ({"depth": 264, "dialect": "torchvision"}, "depth=264 contradicts dialect='torchvision'"),
        ({"growth_rate": 0}, "growth_rate=0 is not a whole number of at least 1"),
        ({"growth_rate": 12.5}, "growth_rate=12.5 is not a whole number"),
        ({"depth": 40, "bottleneck": "yes"}, "bottleneck='yes' is not known"),
        ({"compression": 0}, "compression=0 is not a number above 0 and up to 1"),
        ({"compression": 1.5}, "compression=1.5 is not a number above 0"),
        ({"dropout": 1}, "dropout=1 is not a number from 0 to below 1"),
        ({"dropout": -0.1}, "dropout=-0.1 is not a number from 0"),
        ({"bottleneck": False}, "bottleneck=False contradicts depth=121"),
        ({"growth_rate": 12, "dialect": "keras"}, "growth_rate=12 contradicts dialect='keras'"),
        ({"compression": 1.0, "dialect": "torchvision"}, "compression=1.0 .* dialect='torchvision'"),
        ({"dropout": 0.2, "dialect": "keras"}, "dropout=0.2 contradicts dialect='keras'"),
    ],
)  # fmt: skip
def test_bad_arguments_get_a_clear_sentence(arguments, text):
    with pytest.raises(ValueError, match=text):
        densenet(**arguments)
