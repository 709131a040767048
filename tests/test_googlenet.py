"""What only GoogLeNet's and BN-Inception's papers say (Szegedy et al. 2014, Ioffe & Szegedy 2015)."""

import re

import keras
import numpy as np
import pytest
from keras import layers
from peers import HE_NORMAL, XAVIER, ZEROS, starts

from keras_cnns import bn_inception, googlenet, strip_auxiliary
from keras_cnns.analysis import counts
from keras_cnns.googlenet import BN_DIALECTS, FIGURE_5, TABLE_1, bn_modules
from keras_cnns.layers import AdaptiveAveragePooling2D, LocalResponseNormalization

# Szegedy et al. 2014, table 1: the columns "output size" (maps), "params" (thousands) and "ops" (millions).
PRINTED = {
    "conv1": (64, 2.7, 34),
    "conv2": (192, 112, 360),
    "inception3a": (256, 159, 128),
    "inception3b": (480, 380, 304),
    "inception4a": (512, 364, 73),
    "inception4b": (512, 437, 88),
    "inception4c": (512, 463, 100),
    "inception4d": (528, 580, 119),
    "inception4e": (832, 840, 170),
    "inception5a": (832, 1072, 54),
    "inception5b": (1024, 1388, 71),
    "logits": (1000, 1000, 1),
}
SMALL = {"input_shape": (79, 79, 3), "classes": 10}  # the smallest with heads


# Trainable parameters and multiply-accumulates of BN-Inception's parts, by figure 5's branch widths.
FIGURE_5_COUNTS = {
    "conv1": (9_536, 118_013_952), "conv2": (115_200, 359_661_568),
    "inception3a": (219_072, 170_999_808), "inception3b": (260_160, 203_112_448),
    "inception3c": (385_088, 143_904_768), "inception4a": (609_984, 119_218_176),
    "inception4b": (665_344, 130_056_192), "inception4c": (914_432, 178_827_264),
    "inception4d": (1_142_912, 223_584_256), "inception4e": (1_449_984, 164_577_280),
    "inception5a": (2_208_896, 108_079_104), "inception5b": (2_279_616, 111_541_248),
    "logits": (1_025_000, 1_024_000),
}  # fmt: skip


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def noise(*shape):
    return np.random.RandomState(0).uniform(-1, 1, shape).astype("float32")


def by_part(model):
    """Trainable parameters and multiply-accumulates by the first part of the layers' names."""
    parts = {}
    trainable = {
        layer.name: sum(int(np.prod(w.shape)) for w in layer.trainable_weights) for layer in model.layers
    }
    for row in counts.layer_table(model):
        part = row.name.split("_")[0]
        parameters, macs = parts.get(part, (0, 0))
        parts[part] = parameters + trainable[row.name], macs + row.macs
    return parts


@pytest.fixture(scope="module")
def full():
    """The network of table 1 with both heads."""
    return googlenet(aux=True)


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return googlenet(aux=True, **SMALL)


@pytest.fixture(scope="module")
def parts(full):
    return by_part(full)


def test_modules_have_the_printed_widths(full):
    found = [full.get_layer(f"inception{row}").output.shape[-1] for row in TABLE_1]
    assert found == [256, 480, 512, 512, 512, 528, 832, 832, 1024]


def test_each_part_counts_what_the_released_network_has(parts):
    """By arithmetic on bvlc_googlenet's widths, biases included."""
    assert parts.items() >= {
        "conv1": (9_472, 118_013_952), "conv2": (114_944, 359_661_568),
        "inception3a": (163_696, 128_049_152), "inception3b": (388_736, 304_267_264),
        "inception4a": (376_176, 73_608_192), "inception4b": (449_160, 87_908_352),
        "inception4c": (510_104, 99_850_240), "inception4d": (605_376, 118_515_712),
        "inception4e": (868_352, 169_996_288), "inception5a": (1_043_456, 51_079_168),
        "inception5b": (1_444_080, 70_697_984), "logits": (1_025_000, 1_024_000),
        "aux1": (3_188_840, 4_169_728), "aux2": (3_190_888, 4_202_496),
    }.items()  # fmt: skip


def test_table_1_prints_these_figures_where_it_is_consistent(parts):
    """Its first row is a separable convolution; 4c's parameters and 5a's operations fit other widths."""
    for part, (_, thousands, millions) in PRINTED.items():
        parameters, macs = parts[part]
        if part not in ("conv1", "inception4c"):
            assert parameters / 1e3 == pytest.approx(thousands, rel=0.05), part
        if part not in ("conv1", "inception5a", "logits"):
            assert macs / 1e6 == pytest.approx(millions, rel=0.011), part
    assert parts["inception4c"][0] / 1e3 > 1.1 * PRINTED["inception4c"][1]
    # 832 x 16 more weights at 7 x 7 places in the reduction, and as many in the 5x5: 48 instead of 32 maps.
    with_48 = parts["inception5a"][1] + 49 * 16 * (832 + 25 * 128)
    assert with_48 / 1e6 == pytest.approx(54, abs=0.5)


def test_a_separable_stem_is_the_first_row_of_table_1():
    stem = by_part(googlenet(separable_stem=True))["conv1"]
    assert stem == (2_712, 34_019_328)
    assert (round(stem[0] / 1e3, 1), round(stem[1] / 1e6)) == PRINTED["conv1"][1:]


def test_modules_lay_their_branches_side_by_side_in_the_papers_order(small):
    module = small.get_layer("inception3a")
    before = [source._keras_history[0].name for source in module._inbound_nodes[0].input_tensors]
    assert before == [f"inception3a_{branch}" for branch in ("1x1", "3x3", "5x5", "pool_proj")]
    kernels = [small.get_layer(name).kernel.shape for name in before]
    assert [tuple(shape) for shape in kernels] == [
        (1, 1, 192, 64),
        (3, 3, 96, 128),
        (5, 5, 16, 32),
        (1, 1, 192, 32),
    ]


@pytest.mark.parametrize("dialect", ["paper", "caffe", "torchvision"])
def test_a_relu_follows_every_convolution(dialect):
    """Section 5: "all the convolutions, including those inside the Inception modules"; the heads' fc, too."""
    model = googlenet(aux=True, dialect=dialect, **SMALL)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D) or layer.name.endswith("_fc"):
            assert ends_in_relu(model, layer), layer.name


def test_a_relu_follows_every_normalisation_of_bn_inception():
    model = bn_inception(input_shape=(32, 32, 3))
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    assert len(convolutions) == 69
    assert all(ends_in_relu(model, layer) for layer in convolutions)


def ends_in_relu(model, layer):
    """Whether the layer has a ReLU, or is followed by normalisation and a ReLU."""
    if layer.activation is keras.activations.relu:
        return True
    norm, relu = model.get_layer(f"{layer.name}_bn"), model.get_layer(f"{layer.name}_relu")
    return norm.input is layer.output and relu.input is norm.output and isinstance(relu, layers.ReLU)


def test_pool_branches_take_the_maximum(small):
    pools = [small.get_layer(f"inception{row}_pool") for row in TABLE_1]
    assert {type(pool) for pool in pools} == {layers.MaxPooling2D}


def test_response_normalisation_follows_pool1_and_conv2(small):
    names = [layer.name for layer in small.layers]
    norms = {layer.name: layer for layer in small.layers if isinstance(layer, LocalResponseNormalization)}
    assert list(norms) == ["pool1_norm", "conv2_norm"]
    assert names.index("pool1") + 1 == names.index("pool1_norm")
    assert names.index("conv2") + 1 == names.index("conv2_norm") < names.index("pool2")
    assert [(n.n, n.k, n.alpha, n.beta) for n in norms.values()] == 2 * [(5, 2.0, 1e-4, 0.75)]


def test_heads_hang_on_4a_and_4d_and_see_14x14_maps(full):
    for head, module, maps in (("aux1", "inception4a", 512), ("aux2", "inception4d", 528)):
        pool = full.get_layer(f"{head}_pool")
        assert pool.input is full.get_layer(module).output
        assert pool.input.shape[1:] == (14, 14, maps)
        assert pool.output.shape[1:] == (4, 4, maps)
    assert list(full.output) == ["main", "aux1", "aux2"]
    assert {name: output.shape for name, output in full.output.items()} == dict.fromkeys(
        full.output, (None, 1000)
    )


def test_dropout_is_the_fraction_that_is_dropped(small):
    rates = {layer.name: layer.rate for layer in small.layers if isinstance(layer, layers.Dropout)}
    assert rates == {"dropout": 0.4, "aux1_dropout": 0.7, "aux2_dropout": 0.7}
    ones = np.ones((8, 1024), "float32")
    kept = numpy(small.get_layer("aux1_dropout")(ones, training=True)) > 0
    assert kept.mean() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(("dialect", "rate"), [("paper", 0.25), ("torchvision", 0.25), ("paper", 0)])
def test_the_main_dropout_can_be_chosen(dialect, rate):
    with keras.StatelessScope(initialize_variables=False):
        model = googlenet(aux=True, dropout=rate, dialect=dialect, **SMALL)
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)}
    heads = {"aux1_dropout": 0.7, "aux2_dropout": 0.7}
    assert rates == ({"dropout": rate, **heads} if rate else heads)
    assert model.name == "googlenet"


def test_the_papers_dropout_changes_nothing():
    with keras.StatelessScope(initialize_variables=False):
        assert googlenet(dropout=0.4, **SMALL).get_config() == googlenet(**SMALL).get_config()


@pytest.mark.parametrize("rate", [1.0, -0.1, "0.4", True])
def test_a_bad_dropout_is_refused(rate):
    with pytest.raises(ValueError, match=rf"dropout={rate!r} is not a number from 0 to below 1"):
        googlenet(dropout=rate)


def test_heads_weigh_three_tenths_each_in_the_loss(small):
    """Section 5: "the losses of the auxiliary classifiers were weighted by 0.3"."""
    loss = keras.losses.SparseCategoricalCrossentropy()
    small.compile(
        loss=dict.fromkeys(small.output, loss), loss_weights={"main": 1.0, "aux1": 0.3, "aux2": 0.3}
    )
    images, labels = noise(4, *SMALL["input_shape"]), np.arange(4, dtype="int32")
    targets = dict.fromkeys(small.output, labels)
    scores = small(images)
    each = {name: float(numpy(loss(labels, scores[name]))) for name in scores}
    total = small.evaluate(images, targets, verbose=0, return_dict=True)["loss"]
    assert total == pytest.approx(each["main"] + 0.3 * (each["aux1"] + each["aux2"]), rel=1e-5)


def test_stripping_leaves_no_head_and_the_same_answer(small, full):
    main = strip_auxiliary(small)
    images = noise(2, *SMALL["input_shape"])
    np.testing.assert_array_equal(numpy(main(images)), numpy(small(images)["main"]))
    assert not [layer.name for layer in main.layers if layer.name.startswith("aux")]
    assert main.name == small.name
    assert main.get_layer("conv1") is small.get_layer("conv1")
    assert full.count_params() - strip_auxiliary(full).count_params() == 6_379_728
    assert counts.parameters(strip_auxiliary(full)) == (6_998_552, 6_998_552)


def test_a_loaded_network_is_stripped_too(small, tmp_path):
    small.save(tmp_path / "model.keras")
    images = noise(2, *SMALL["input_shape"])
    loaded = strip_auxiliary(keras.models.load_model(tmp_path / "model.keras", compile=False))
    np.testing.assert_array_equal(numpy(loaded(images)), numpy(small(images)["main"]))


def test_a_network_without_heads_comes_back_as_it_is(small):
    main = strip_auxiliary(small)
    assert strip_auxiliary(main) is main


def test_stripping_needs_a_main_output(small):
    named = keras.Model(small.input, {"aux1": small.output["aux1"]}, name="heads")
    with pytest.raises(ValueError, match=r"model='heads' has no output called 'main' to keep; it has 'aux1'"):
        strip_auxiliary(named)
    listed = keras.Model(small.input, list(small.output.values()), name="heads")
    with pytest.raises(ValueError, match="it has 3 outputs without names"):
        strip_auxiliary(listed)


def test_scores_are_float32_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = googlenet(aux=True, **SMALL)
        torchvision = googlenet(aux=True, dialect="torchvision", input_shape=(32, 32, 3), classes=10)
    finally:
        keras.config.set_dtype_policy(before)
    for each in (model, torchvision):
        assert {str(output.dtype) for output in each.output.values()} == {"float32"}
    assert model.get_layer("aux1_fc").compute_dtype == "float16"
    scores = torchvision(noise(2, 32, 32, 3))
    assert all(np.isfinite(numpy(score)).all() for score in scores.values())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"aux": True, "include_top": False}, "aux=True contradicts include_top=False"),
        ({"aux": True, "input_shape": (78, 200, 3)}, r"nearest that works: \(79, 200, 3\)"),
        ({"aux": True, "input_shape": (None, None, 3)}, "leaves a size free"),
        ({"input_shape": (30, 31, 1)}, r"nearest that works: \(31, 31, 1\)"),
        ({"dialect": "torchvision", "input_shape": (14, 14, 3)}, r"nearest that works: \(15, 15, 3\)"),
        ({"dialect": "torch"}, "Did you mean 'torchvision'"),
        ({"separable_stem": True, "dialect": "caffe"}, "separable_stem=True contradicts dialect='caffe'"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        googlenet(**arguments)


@pytest.mark.parametrize(
    ("build", "arguments"),
    [
        (googlenet, {"input_shape": (31, 31, 3)}),
        (googlenet, {"input_shape": (15, 15, 3), "dialect": "torchvision", "aux": True}),
        (bn_inception, {"input_shape": (7, 7, 3), "dialect": "caffe"}),
    ],
)
def test_the_smallest_size_leaves_one_pixel(build, arguments):
    model = build(**arguments)
    assert model.get_layer("inception5b").output.shape[1:3] == (1, 1)


def test_weights_start_as_chosen():
    """He's normal distribution and zero biases are ours; Caffe's filler and 0.2 are bvlc_googlenet's."""
    paper, caffe = googlenet(input_shape=(31, 31, 3)), googlenet(input_shape=(31, 31, 3), dialect="caffe")
    kernel = numpy(paper.get_layer("inception5b_3x3").kernel)
    assert kernel.std() == pytest.approx((2 / (9 * 192)) ** 0.5, rel=0.01)
    kernel = numpy(caffe.get_layer("inception5b_3x3").kernel)
    assert np.abs(kernel).max() == pytest.approx((3 / (9 * 192)) ** 0.5, rel=0.001)
    for model, bias in ((paper, 0.0), (caffe, 0.2)):
        convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
        assert len(convolutions) == 57
        assert all((numpy(layer.bias) == np.float32(bias)).all() for layer in convolutions)
    heads = googlenet(aux=True, dialect="caffe", **SMALL)
    assert starts(heads) == starts(caffe) == {XAVIER}
    assert {("Constant", ("value", 0.2))} <= starts(heads, bias=True) <= {("Constant", ("value", 0.2)), ZEROS}
    assert (numpy(heads.get_layer("aux1_fc").bias) == np.float32(0.2)).all()
    norm = caffe.get_layer("conv2_norm")
    assert (norm.n, norm.k, norm.alpha, norm.beta) == (5, 1.0, 2e-5, 0.75)


def test_layers_of_one_shape_start_differently(small):
    for one, other in (("inception4e_3x3", "inception5a_3x3"), ("aux1_fc", "aux2_fc")):
        first, second = (numpy(small.get_layer(name).kernel) for name in (one, other))
        assert first.shape == second.shape
        assert not np.array_equal(first, second)


def test_torchvision_differs_as_it_does():
    model = googlenet(dialect="torchvision", aux=True, input_shape=(224, 224, 3))
    assert not [layer for layer in model.layers if isinstance(layer, LocalResponseNormalization)]
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    assert (len(norms), {norm.epsilon for norm in norms}) == (59, {1e-3})
    assert {model.get_layer(f"inception{row}_5x5").kernel_size for row in TABLE_1} == {(3, 3)}
    assert model.get_layer("pool3").pool_size == (3, 3)
    assert model.get_layer("pool4").pool_size == (2, 2)
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)}
    assert rates == {"dropout": 0.2, "aux1_dropout": 0.7, "aux2_dropout": 0.7}
    assert starts(model) == {("RandomNormal", ("mean", 0.0), ("stddev", 0.01))}
    assert model.get_layer("aux1_pool").output.shape[1:3] == (4, 4)
    assert counts.parameters(model) == (13_004_888, 13_019_960)
    assert counts.parameters(strip_auxiliary(model)) == (6_624_904, 6_639_464)


@pytest.mark.parametrize("side", [1, 2, 5, 7, 14, 15])
def test_adaptive_pooling_averages_the_windows_of_pytorch(side):
    maps = noise(2, side, side + 1, 3)
    found = numpy(AdaptiveAveragePooling2D(4)(maps))
    assert found.shape == (2, 4, 4, 3)
    for i, j in np.ndindex(4, 4):
        rows = slice(i * side // 4, int(np.ceil((i + 1) * side / 4)))
        columns = slice(j * (side + 1) // 4, int(np.ceil((j + 1) * (side + 1) / 4)))
        np.testing.assert_allclose(found[:, i, j], maps[:, rows, columns].mean(axis=(1, 2)), atol=1e-6)


def test_bn_inception_has_the_maps_of_figure_5s_branches():
    model = bn_inception()
    found = [model.get_layer(f"inception{row}").output.shape[1:] for row in FIGURE_5]
    sides = [28, 28, 14, 14, 14, 14, 14, 7, 7, 7]
    assert found == [
        (side, side, maps)
        for side, maps in zip(sides, [256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024], strict=True)
    ]
    assert not [
        layer for layer in model.layers if isinstance(layer, LocalResponseNormalization | layers.Dropout)
    ]
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    assert (len(norms), {(norm.epsilon, norm.momentum) for norm in norms}) == (69, {(1e-5, 0.9)})
    assert {part: row for part, row in by_part(model).items() if row[0]} == FIGURE_5_COUNTS


@pytest.mark.parametrize("dialect", ["paper", "caffe"])
def test_bn_inception_starts_as_he_draws(dialect):
    assert starts(bn_inception(input_shape=(32, 32, 3), dialect=dialect)) == {HE_NORMAL}


def test_only_strided_modules_have_no_1x1_and_pass_their_pool_on():
    model = bn_inception(input_shape=(32, 32, 3))
    names = {layer.name for layer in model.layers}
    without = [row for row in FIGURE_5 if f"inception{row}_1x1" not in names]
    assert without == ["3c", "4e"] == [row for row in FIGURE_5 if f"inception{row}_pool_proj" not in names]
    for row in without:
        strides = [model.get_layer(f"inception{row}_{layer}").strides for layer in ("3x3", "d3x3_2", "pool")]
        assert strides == 3 * [(2, 2)]
        assert model.get_layer(f"inception{row}_d3x3_1").strides == (1, 1)
    kinds = {row: type(model.get_layer(f"inception{row}_pool")) for row in FIGURE_5}
    assert [row for row in kinds if kinds[row] is layers.MaxPooling2D] == ["3c", "4e", "5b"]


def test_average_pooling_at_the_border():
    """golden.json, average_pool_edges: 2, 4, 6, 8 in a row give 3 at the end, or 2 with a zero counted."""
    expected = {"paper": [3, 4, 6, 7], "caffe": [2, 4, 6, 14 / 3]}
    row = np.array([2, 4, 6, 8], "float32")
    for dialect, means in expected.items():
        model = bn_inception(dialect=dialect, input_shape=(32, 32, 3))
        # The same row above and below, so that only the columns' border matters in the middle.
        x = np.broadcast_to(row[None, None, :, None], (1, 3, 4, 192)).copy()
        pad = next((layer for layer in model.layers if layer.name == "inception3a_pool_pad"), None)
        found = numpy(model.get_layer("inception3a_pool")(x if pad is None else pad(x)))
        np.testing.assert_allclose(found[0, 1, :, 0], means, rtol=1e-6)


@pytest.mark.parametrize("side", [5, 6])
def test_strided_modules_fit_together_on_odd_and_even_sizes(side):
    image = keras.Input((side, side, 192))
    model = keras.Model(image, bn_modules(image, BN_DIALECTS["paper"]))
    assert model.get_layer("inception3c").output.shape[1:3] == ((side + 1) // 2, (side + 1) // 2)
    maps = np.abs(noise(1, side, side, 4))
    padded = numpy(model.get_layer("inception3c_pool")(model.get_layer("inception3c_pool_pad")(maps)))
    for i, j in np.ndindex(*padded.shape[1:3]):
        window = maps[0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        np.testing.assert_array_equal(padded[0, i, j], window.max(axis=(0, 1)))


def test_a_gate_sees_each_module_once():
    seen = []

    def gate(maps, place, name):
        seen.append((name, place, maps.shape[-1]))
        return maps

    bn_modules(keras.Input((4, 4, 192)), BN_DIALECTS["caffe"], gate)
    assert [name for name, _, _ in seen] == [f"inception{row}" for row in FIGURE_5]
    assert {place for _, place, _ in seen} == {"standard"}
    assert seen[7] == ("inception4e", "standard", 1056)


def test_a_bias_before_batch_normalisation_changes_nothing_in_training():
    biased = bn_inception(conv_bias=True, input_shape=(32, 32, 3))
    assert counts.parameters(biased) == (11_295_240, 11_315_272)
    convolution, norm = biased.get_layer("conv1"), biased.get_layer("conv1_bn")
    images = noise(4, 9, 9, 3)
    before = numpy(norm(convolution(images), training=True))
    convolution.bias.assign(np.linspace(-1, 1, 64))
    np.testing.assert_allclose(numpy(norm(convolution(images), training=True)), before, atol=1e-4)


def test_an_image_does_not_depend_on_its_neighbours_in_inference():
    model = bn_inception(input_shape=(32, 32, 3), classes=10)
    images = noise(4, 32, 32, 3)
    alone, together = numpy(model(images[:1])), numpy(model(images))
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-4, atol=1e-6)


def test_names_group_by_their_first_part():
    model = googlenet(aux=True, **SMALL)
    groups = dict.fromkeys(re.split("_", layer.name)[0] for layer in model.layers)
    stages = [f"inception{row}" for row in TABLE_1]
    assert set(groups) == {
        "image", "conv1", "pool1", "conv2", "pool2", "pool3", "pool4", *stages,
        "aux1", "aux2", "avgpool", "dropout", "logits", "predictions",
    }  # fmt: skip
