"""What only the SENet paper says (Hu et al. 2017)."""

import keras
import numpy as np
import pytest
from peers import HE_NORMAL, kinds, starts

from keras_cnns import create_model, resnet, resnext, se_bn_inception, se_resnet, se_resnext, se_vgg, senet
from keras_cnns.analysis import counts
from keras_cnns.senet import squeeze_excite

layers = keras.layers

# Two rows of two pixels with four maps, and two layers of weights, small enough to recompute by hand.
X = np.array([[[1, 2, 0, -1], [3, 0, 1, 1]], [[0, 2, -1, 2], [4, 4, 0, 2]]], "float32")
W1 = np.array([[0.5, -1], [0.25, 0.5], [1, 0], [0, 1]], "float32")
B1 = np.array([0.1, -0.2], "float32")
W2 = np.array([[1, -1, 0.5, 0], [0, 2, -0.5, 1]], "float32")
B2 = np.array([0, 0.1, -0.1, 0.2], "float32")


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def noise(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype("float32")


def block(maps=4, **how):
    """One SE block as a model of its own, which answers its output and its gates."""
    image = keras.Input((None, None, maps))
    outputs = squeeze_excite(image, name="se", **how)
    model = keras.Model(image, outputs)
    return model, keras.Model(image, model.get_layer("se_fc2").output)


def filled(bias=True, **how):
    model, gates = block(ratio=2, bias=bias, **how)
    model.get_layer("se_fc1").set_weights([W1, B1][: 1 + bias])
    model.get_layer("se_fc2").set_weights([W2, B2][: 1 + bias])
    return model, gates


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, [0.83201839, 0.18242552, 0.66818777, 0.549834]),
        ({"bias": False}, [0.81757448, 0.18242552, 0.6791787, 0.5]),
        ({"squeeze": "max"}, [0.9836975, 0.01798621, 0.87544664, 0.549834]),
    ],
    ids=["as published", "without biases", "max squeeze"],
)
def test_block_computed_by_hand(how, expected):
    """Means 2, 2, 0, 1; hidden 1.6, 0; a hard sigmoid would give 0.82, 0.2, 0.64, 0.54."""
    model, gates = filled(**how)
    np.testing.assert_allclose(numpy(gates(X[None])).ravel(), expected, atol=1e-6)
    np.testing.assert_allclose(numpy(model(X[None]))[0], X * np.array(expected, "float32"), atol=1e-6)


def test_zero_weights_halve_the_maps():
    model, _ = block()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    np.testing.assert_array_equal(numpy(model(X[None]))[0], X / 2)


def test_gates_do_not_see_where_a_pixel_lies():
    _, gates = filled()
    images = noise(2, 3, 5, 4)
    shuffled = images.reshape(2, 15, 4)[:, np.random.RandomState(1).permutation(15)].reshape(images.shape)
    np.testing.assert_allclose(numpy(gates(shuffled)), numpy(gates(images)), atol=1e-6)


def test_every_image_has_its_own_gates():
    _, gates = filled()
    images = noise(3, 4, 4, 4)
    found = numpy(gates(images))
    assert np.abs(found[0] - found[1]).max() > 1e-3
    np.testing.assert_allclose(numpy(gates(images[[2, 0, 1]])), found[[2, 0, 1]], atol=1e-6)


@pytest.mark.parametrize(("build", "groups"), [(se_resnet, 1), (se_resnext, 32)])
def test_all_weights_start_as_he_draws_them(build, groups):
    """Section 6; biases are zero, those of the gates too."""
    keras.utils.set_random_seed(0)
    model = build(50, input_shape=(32, 32, 3))
    fan_ins = {
        "conv1": 147, "conv5_1_2": 9 * model.get_layer("conv5_1_2").input.shape[-1] // groups,
        "conv5_3_se_fc1": 2048, "conv5_3_se_fc2": 128, "logits": 2048,
    }  # fmt: skip
    for name, fan_in in fan_ins.items():
        assert numpy(model.get_layer(name).kernel).std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.05), name
    for layer in kinds(model, layers.Dense):
        assert not numpy(layer.bias).any()


def test_at_least_one_unit_stays():
    model, _ = block(maps=4, ratio=16)
    assert model.get_layer("se_fc1").units == 1


def parents(model, name):
    """The names of the layers whose outputs a layer takes."""
    return [x._keras_history.operation.name for x in _as_list(model.get_layer(name).input)]


def _as_list(x):
    return x if isinstance(x, list) else [x]


@pytest.mark.parametrize(
    ("placement", "scaled", "then"),
    [
        ("standard", "conv2_2_3_bn", {"conv2_2_add": ["conv2_1", "conv2_2_se_scale"]}),
        ("pre", "conv2_1", {"conv2_2_1": ["conv2_2_se_scale"], "conv2_2_add": ["conv2_1", "conv2_2_3_bn"]}),
        (
            "post",
            "conv2_2",
            {"conv2_2_add": ["conv2_1_se_scale", "conv2_2_3_bn"], "conv2_3_1": ["conv2_2_se_scale"]},
        ),
        ("identity", "conv2_1", {"conv2_2_add": ["conv2_2_se_scale", "conv2_2_3_bn"]}),
        (
            "3x3",
            "conv2_2_2_bn",
            {"conv2_2_2_relu": ["conv2_2_se_scale"], "conv2_2_add": ["conv2_1", "conv2_2_3_bn"]},
        ),
    ],
)
def test_where_the_gate_stands(placement, scaled, then):
    """Section 6.5, figure 5: what is scaled, and what becomes of it; the ReLU comes after the addition."""
    model = se_resnet(50, placement=placement, input_shape=(32, 32, 3))
    before = f"{scaled}_se_scale" if placement == "post" and scaled == "conv2_1" else scaled
    assert parents(model, "conv2_2_se_scale") == [before, "conv2_2_se_fc2"]
    assert parents(model, "conv2_2_se_squeeze") == [before]
    for name, expected in then.items():
        assert parents(model, name) == expected
    assert parents(model, "conv2_2") == ["conv2_2_add"]
    assert sum(layer.name.endswith("_se_scale") for layer in model.layers) == 16


@pytest.mark.parametrize(
    ("placement", "scaled", "then"),
    [
        ("standard", "stage2_2_3", {"stage2_2": ["stage2_1", "stage2_2_se_scale"]}),
        (
            "pre",
            "stage2_2_preact_relu",
            {"stage2_2_1": ["stage2_2_se_scale"], "stage2_2": ["stage2_1", "stage2_2_3"]},
        ),
        ("identity", "stage2_1", {"stage2_2": ["stage2_2_se_scale", "stage2_2_3"]}),
        ("post", "stage2_2", {"stage2_3": ["stage2_2_se_scale", "stage2_3_3"]}),
    ],
)
def test_where_the_gate_stands_in_version_2(placement, scaled, then):
    """The same places where the unit is BN-ReLU-conv."""
    model = se_resnet(164, placement=placement, input_shape=(8, 8, 3))
    assert parents(model, "stage2_2_se_scale") == [scaled, "stage2_2_se_fc2"]
    for name, expected in then.items():
        assert parents(model, name) == expected
    assert sum(layer.name.endswith("_se_scale") for layer in model.layers) == 54


def test_gates_in_chosen_stages():
    model = se_resnet(50, stages=(3,), input_shape=(32, 32, 3))
    found = [layer.name for layer in model.layers if layer.name.endswith("_se_scale")]
    assert found == [f"conv3_{unit}_se_scale" for unit in range(1, 5)]


@pytest.mark.parametrize(
    ("arguments", "millions"),
    [
        ({"se_ratio": 4}, 35.7), ({"se_ratio": 8}, 30.7), ({"se_ratio": 16}, 28.1), ({"se_ratio": 32}, 26.9),
        ({"placement": "3x3"}, 25.8),
        ({"stages": (2,)}, 25.6), ({"stages": (3,)}, 25.7), ({"stages": (4,)}, 26.4),
    ],
)  # fmt: skip
def test_parameters_as_the_ablations_print_them(arguments, millions):
    """Tables 10, 13 and 15 of the journal version, in millions; they count the moving statistics."""
    model = se_resnet(50, input_shape=(32, 32, 3), **arguments)
    assert round(counts.parameters(model)[1] / 1e6, 1) == millions


def test_parameters_of_ratio_2_as_printed():
    """Table 10 prints 45.7 million, the trained ones; with the moving statistics they are 45.8."""
    trained, total = counts.parameters(se_resnet(50, se_ratio=2, input_shape=(32, 32, 3)))
    assert (round(trained / 1e6, 1), round(total / 1e6, 1)) == (45.7, 45.8)


def test_gates_cost_what_the_paper_says():
    """Section 4: 2/r Σ N_s C_s² weights = 2,514,944, about ten percent; four without the last stage's."""
    base = counts.parameters(resnet(50, input_shape=(32, 32, 3)))[0]
    bare = counts.parameters(se_resnet(50, se_bias=False, input_shape=(32, 32, 3)))[0]
    assert (
        bare - base
        == 2_514_944
        == 2 * sum(n * c**2 for n, c in zip((3, 4, 6, 3), (256, 512, 1024, 2048), strict=True)) // 16
    )
    assert bare == 28_071_976
    whole = counts.parameters(se_resnet(50, input_shape=(32, 32, 3)))[0]
    less = counts.parameters(se_resnet(50, stages=(2, 3, 4), input_shape=(32, 32, 3)))[0]
    assert (whole - base) / base == pytest.approx(0.099033, abs=1e-6)
    assert (less - base) / base == pytest.approx(0.037234, abs=1e-6)


def test_it_rests_on_its_bases_strides_and_rounds_pool1_up():
    """The authors' Caffe: version 1 under SE-ResNet, SE-ResNeXt's grouped 3x3 strided, 56 of 113 pixels."""
    first, second = se_resnet(50, input_shape=(225, 225, 3)), se_resnext(50, input_shape=(225, 225, 3))
    assert [first.get_layer(f"conv3_1_{i}").strides[0] for i in (1, 2, 3)] == [2, 1, 1]
    assert [second.get_layer(f"conv3_1_{i}").strides[0] for i in (1, 2, 3)] == [1, 2, 1]
    assert {model.get_layer("pool1").output.shape[1] for model in (first, second)} == {56}
    assert second.get_layer("conv2_1_2").groups == 32
    assert resnext(50, input_shape=(32, 32, 3)).count_params() < second.count_params()


def test_senet154():
    """Appendix: three 3x3 as stem, half the maps in a unit's first 1x1, 3x3 projections where it strides."""
    model = senet(input_shape=(32, 32, 3))
    assert model.name == "senet154"
    stem = [model.get_layer(f"conv1_{i}") for i in (1, 2, 3)]
    found = [(layer.filters, layer.kernel_size[0], layer.strides[0]) for layer in stem]
    assert found == [(64, 3, 2), (64, 3, 1), (128, 3, 1)]
    for stage, width in zip((2, 3, 4, 5), (128, 256, 512, 1024), strict=True):
        first, grouped = (model.get_layer(f"conv{stage}_1_{i}") for i in (1, 2))
        assert (first.filters, grouped.filters, grouped.groups) == (width, 2 * width, 64)
        side = 1 if stage == 2 else 3
        projection = model.get_layer(f"conv{stage}_1_proj")
        assert (projection.kernel_size, projection.strides) == ((side, side), (side // 2 + 1,) * 2)
    assert starts(model) == {HE_NORMAL}
    assert model.get_layer("dropout").rate == 0.2
    assert parents(model, "logits") == ["dropout"]
    weighted = [layer for layer in model.layers if isinstance(layer, layers.Conv2D | layers.Dense)]
    on_the_way = [layer for layer in weighted if "_se_" not in layer.name and "_proj" not in layer.name]
    assert len(on_the_way) == 3 + 3 * 50 + 1 == 154


def test_se_bn_inception_and_se_vgg_have_a_gate_a_module_and_a_gate_a_convolution():
    inception, vgg = se_bn_inception(input_shape=(64, 64, 3)), se_vgg(16, input_shape=(32, 32, 3), classes=10)
    gated = [layer.name for layer in inception.layers if layer.name.endswith("_se_scale")]
    assert [name.split("_")[0] for name in gated] == [
        f"inception{x}" for x in ["3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    ]
    assert sum(layer.name.endswith("_se_scale") for layer in vgg.layers) == 13
    assert parents(vgg, "conv1_1_se_scale")[0] == "conv1_1_bn"


def test_variants_of_width_stem_and_dropout():
    """The gates follow the maps; one on 4 n maps has 2 (4 n)² / 16 weights and biases for each layer."""
    how = {"input_shape": (32, 32, 3), "classes": 10, "stem": "3x3"}
    model = se_resnet(50, width=0.5, dropout=0.1, **how)
    assert model.name == "se_resnet50_w0.5_stem3x3"
    assert [model.get_layer(f"conv{i}_1_se_fc2").units for i in (2, 3, 4, 5)] == [128, 256, 512, 1024]
    assert [model.get_layer(f"conv{i}_1").output.shape[1] for i in (2, 3, 4, 5)] == [32, 16, 8, 4]
    gates = sum(
        n * (c * c // 8 + c + c // 16) for n, c in zip((3, 4, 6, 3), (128, 256, 512, 1024), strict=True)
    )
    base = resnet(50, width=0.5, **how)
    assert counts.parameters(model)[0] - counts.parameters(base)[0] == gates
    assert parents(model, "logits") == ["dropout"]
    with keras.StatelessScope(initialize_variables=False):
        assert create_model("cifar_se_preresnet110", width=2).name == "cifar_se_preresnet110_w2"
        narrow = se_resnext(50, stem="3x3", dropout=0.1, input_shape=(1, 1, 3))
    assert narrow.name == "se_resnext50_32x4d_stem3x3"
    assert parents(narrow, "logits") == ["dropout"]
    with pytest.raises(ValueError, match=r"too small .* works: \(3, 3, 3\)"):
        se_resnext(50, stem="7x7", input_shape=(2, 2, 3))


@pytest.mark.parametrize(
    ("build", "arguments", "text"),
    [
        (se_resnet, {"width": 0}, "width=0 is not a number above 0"),
        (se_resnet, {"stem": "4x4"}, "stem='4x4' is not known"),
        (se_resnet, {"dropout": -0.1}, "dropout=-0.1 is not a number from 0"),
        (se_resnext, {"stem": "7x"}, "stem='7x' is not known. Did you mean '7x7'"),
        (se_resnext, {"dropout": 1.0}, "dropout=1.0 is not a number from 0 to below 1"),
        (se_resnet, {"placement": "before"}, "placement='before' is not known"),
        (se_resnet, {"depth": 18, "placement": "3x3"}, "placement='3x3' needs the bottlenecks of version 1"),
        (se_resnet, {"version": 2, "placement": "3x3"}, "placement='3x3' needs the bottlenecks of version 1"),
        (se_resnet, {"se_ratio": 0}, "se_ratio=0 is not a whole number of at least 1"),
        (se_resnet, {"squeeze": "mean"}, "squeeze='mean' is not known. .*Known: avg, max"),
        (se_vgg, {"depth": "A-LRN"}, "depth='A-LRN' is not known"),
        (se_resnet, {"stages": (1,)}, "stages=1 is not known. Did you mean 2"),
        (se_resnet, {"stages": ()}, r"stages=\(\) is no list of some of \[2, 3, 4, 5\]"),
        (se_resnet, {"depth": 49}, "depth=49 is not known. Did you mean 50"),
        (se_resnext, {"depth": 152}, "depth=152 is not known. Did you mean 101"),
        (senet, {"depth": 155}, "depth=155 is not known. Did you mean 154"),
        (senet, {"dropout": 1.0}, "dropout=1.0 is not a number from 0 to below 1"),
        (se_vgg, {"depth": 15}, "depth=15 is not known"),
    ],
)
def test_bad_arguments(build, arguments, text):
    with pytest.raises(ValueError, match=text):
        build(**arguments)


def test_cifar_forms_rest_on_pre_activation():
    model = create_model("cifar_se_preresnet110", input_shape=(8, 8, 3))
    assert parents(model, "stage1_1_se_scale")[0] == "stage1_1_2"
    assert parents(model, "stage1_2") == ["stage1_1", "stage1_2_se_scale"]
    assert se_resnet(110, version=2, input_shape=(8, 8, 3)).name == "cifar_se_preresnet110"
