"""What only the ResNet papers say (He et al. 2015, 2016), and ResNeXt's (Xie et al. 2016)."""

import sys

import keras
import numpy as np
import pytest
from peers import HE_NORMAL, give_the_same_weights, kinds, largest_difference, starts

from keras_cnns import create_model, resnet, resnext
from keras_cnns.analysis import counts
from keras_cnns.layers import PaddedIdentity

layers = keras.layers


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def noise(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype("float32")


def inner(model, *names):
    """What the layers give, one after the other."""
    return keras.Model(model.input, [model.get_layer(name).output for name in names])


def zero_the_branches(model, last):
    """Make every F(x) zero: `last` ends the name of a branch's last layer."""
    for layer in model.layers:
        if layer.name.endswith(last) and not layer.name.startswith(("conv1", "post")):
            layer.set_weights(
                [np.zeros_like(weight) for weight in layer.get_weights()[:2]] + layer.get_weights()[2:]
            )


def test_shortcut_a_picks_every_second_pixel_and_appends_zeros():
    """The ramp 1 … 16: 1, 3, 9, 11 stay (average pooling would give 3.5 …, maximum pooling 6 …)."""
    ramp = np.arange(1, 17, dtype="float32").reshape(1, 4, 4, 1)
    layer = PaddedIdentity(4, 2)
    found = numpy(layer(np.concatenate([ramp, -ramp], axis=-1)))
    expected = [[[1, -1, 0, 0], [3, -3, 0, 0]], [[9, -9, 0, 0], [11, -11, 0, 0]]]
    np.testing.assert_array_equal(found[0], expected)
    assert layer.weights == []


@pytest.mark.parametrize("side", [7, 8, 9])
def test_shortcut_a_has_the_size_of_a_padded_convolution(side):
    layer = PaddedIdentity(6, 2)
    found = layer(noise(1, side, side + 1, 3))
    assert tuple(found.shape) == (1, -(-side // 2), -(-(side + 1) // 2), 6)
    assert layer.compute_output_shape((None, side, None, 3)) == (None, -(-side // 2), None, 6)


def test_shortcut_a_refuses_to_lose_maps():
    with pytest.raises(ValueError, match="filters=2 is less than the 3 maps of the input"):
        PaddedIdentity(2)(noise(1, 4, 4, 3))


@pytest.mark.parametrize(("depth", "shape"), [(18, (64, 64, 3)), (20, (32, 32, 3))])
def test_a_plain_net_has_the_parameters_of_shortcut_a(depth, shape):
    """Section 4.1: "identity shortcuts ... have no extra parameter compared to their plain counterparts"."""
    plain = resnet(depth, plain=True, input_shape=shape)
    residual = resnet(depth, shortcut="A", input_shape=shape)
    assert counts.parameters(plain) == counts.parameters(residual)
    assert counts.macs(plain) == counts.macs(residual)
    assert not kinds(plain, layers.Add)
    assert len(kinds(residual, layers.Add)) == (depth - 2) // 2


def test_a_unit_whose_last_gamma_is_zero_is_the_identity():
    model = resnet(20, input_shape=(8, 8, 3))
    for layer in kinds(model, layers.BatchNormalization):
        if layer.name.endswith("_2_bn"):
            layer.gamma.assign(0 * layer.gamma)
    before, after = (numpy(x) for x in inner(model, "stage2_1", "stage2_3")(noise(2, 8, 8, 3)))
    assert before.min() == 0
    assert before.max() > 0
    np.testing.assert_array_equal(after, before)


def test_units_of_version_1_end_in_a_relu_and_those_of_version_2_do_not():
    images = noise(2, 8, 8, 3)
    assert numpy(inner(resnet(20, input_shape=(8, 8, 3)), "stage3_3", "stage3_2")(images)[0]).min() == 0
    assert (
        numpy(inner(resnet(20, version=2, input_shape=(8, 8, 3)), "stage3_3", "stage3_2")(images)[0]).min()
        < 0
    )


def test_without_branches_the_pre_activation_trunk_is_linear():
    """He et al. 2016, equation 4: x_L = x_l + Σ F; a ReLU after the addition would break it."""
    model = resnet(110, version=2, input_shape=(8, 8, 3))
    zero_the_branches(model, "_2")
    trunk = keras.Model(model.get_layer("stage1_1").output, model.get_layer("stage3_18").output)
    a, b = noise(1, 8, 8, 16), noise(1, 8, 8, 16, seed=1)
    found, parts = numpy(trunk(a - 3 * b)), [numpy(trunk(x)) for x in (a, b)]
    assert np.abs(found).max() > 0.1
    np.testing.assert_allclose(found, parts[0] - 3 * parts[1], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "shortcut"),
    [
        ({"depth": 20, "version": 2}, "stage1_1"),
        ({"depth": 164}, "stage1_1_proj"),
        ({"depth": 164, "shortcut": "A"}, "stage1_1_identity"),
        ({"depth": 18, "version": 2, "shortcut": "A"}, "pool1_pad"),
    ],
)
def test_the_first_activation_comes_before_the_paths_part(arguments, shortcut):
    """He et al. 2016, appendix: "right after conv1 and before splitting into two paths"."""
    model = resnet(**arguments, input_shape=(32, 32, 3))
    activated = model.get_layer("conv1_relu").output
    read = model.get_layer(shortcut).input
    assert (read[0] if isinstance(read, list) else read) is activated
    if shortcut != "pool1_pad":
        assert model.get_layer("stage1_1_1").input is activated


def test_pre_activation_bottlenecks_have_as_many_normalisations_as_convolutions_less_projections():
    for model in (resnet(164, input_shape=(8, 8, 3)), resnet(50, version=2, input_shape=(32, 32, 3))):
        projections = [layer for layer in kinds(model, layers.Conv2D) if layer.name.endswith("_proj")]
        assert len(projections) == {164: 3, 50: 4}[164 if "164" in model.name else 50]
        convolutions, norms = kinds(model, layers.Conv2D), kinds(model, layers.BatchNormalization)
        assert len(norms) == len(convolutions) - len(projections)


def test_projections_read_what_the_branch_reads():
    """BN-ReLU is shared where the number of maps changes, and the projection has no normalisation."""
    model = resnet(164, input_shape=(8, 8, 3))
    activated = {
        "stage1_1": "conv1_relu",
        "stage2_1": "stage2_1_preact_relu",
        "stage3_1": "stage3_1_preact_relu",
    }
    for name, before in activated.items():
        projection, branch = model.get_layer(f"{name}_proj"), model.get_layer(f"{name}_1")
        assert projection.input is branch.input is model.get_layer(before).output
        assert projection.output is model.get_layer(name).input[0]
    assert model.get_layer("stage2_2").input[0] is model.get_layer("stage2_1").output


@pytest.mark.parametrize(
    ("arguments", "strides"),
    [
        ({"depth": 50}, (2, 1, 1)),
        ({"depth": 50, "version": 1.5}, (1, 2, 1)),
        ({"depth": 50, "version": 2}, (1, 2, 1)),
        ({"depth": 164}, (2, 1, 1)),
        ({"depth": 18}, (2, 1)),
    ],
)
def test_where_a_stage_takes_its_stride(arguments, strides):
    model = resnet(**arguments, input_shape=(32, 32, 3))
    first = "stage2_1" if arguments["depth"] == 164 else "conv3_1"
    found = [model.get_layer(f"{first}_{i + 1}").strides[0] for i in range(len(strides))]
    assert tuple(found) == strides
    assert model.get_layer(f"{first}_proj").strides == (2, 2)
    second = [model.get_layer(f"{first[:-1]}2_{i + 1}").strides[0] for i in range(len(strides))]
    assert set(second) == {1}


def test_every_convolution_is_padded_as_the_papers():
    """3x3 with stride 2 on an even size: one pixel on each side, where "same" would have none before."""
    model = resnet(18, input_shape=(32, 32, 3))
    strided = [x for x in kinds(model, layers.Conv2D) if x.strides == (2, 2) and x.kernel_size[0] > 1]
    assert len(strided) == 4
    for layer in strided:
        pad = model.get_layer(f"{layer.name}_pad")
        half = layer.kernel_size[0] // 2
        assert pad.padding == ((half, half), (half, half))
        assert layer.padding == "valid"


def test_initialisation_is_hes_normal():
    """He et al. 2015 (1502.01852): N(0, 2 / fan-in), whole tails; all biases and shifts zero."""
    keras.utils.set_random_seed(0)
    model = resnet(18, input_shape=(32, 32, 3))
    for name, fan_in in (("conv1", 147), ("conv5_2_1", 4608), ("conv5_1_proj", 256), ("logits", 512)):
        kernel = numpy(model.get_layer(name).kernel)
        deviation = np.sqrt(2 / fan_in)
        assert kernel.std() == pytest.approx(deviation, rel=0.03)
        assert abs(kernel).max() > 3 * deviation  # Keras's he_normal is cut at 2.27
    for layer in kinds(model, layers.BatchNormalization):
        assert (layer.epsilon, layer.momentum) == (1e-5, 0.9)
        assert [float(numpy(weight).mean()) for weight in layer.weights] == [1, 0, 0, 1]
    assert not any(layer.use_bias for layer in kinds(model, layers.Conv2D))
    assert not numpy(model.get_layer("logits").bias).any()
    assert not kinds(model, layers.Dropout)


def test_preact_1001_as_printed_without_batch_normalisation():
    """He et al. 2016, table 1: 10.2M."""
    with keras.StatelessScope(initialize_variables=False):
        model = resnet(1001)
        norms = sum(layer.count_params() for layer in kinds(model, layers.BatchNormalization))
    assert model.count_params() - norms == 10_178_490


@pytest.mark.slow
def test_1202_layers_load_with_a_raised_recursion_limit(tmp_path):
    model = resnet(1202, input_shape=(8, 8, 3))
    model.save(tmp_path / "deep.keras")
    images, limit = noise(2, 8, 8, 3), sys.getrecursionlimit()
    with pytest.raises(RecursionError):
        keras.models.load_model(tmp_path / "deep.keras")
    sys.setrecursionlimit(10_000)
    try:
        loaded = keras.models.load_model(tmp_path / "deep.keras")
        np.testing.assert_array_equal(numpy(loaded(images)), numpy(model(images)))
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("resnet50_keras", "ResNet50"),
        ("resnet50_v2_keras", "ResNet50V2"),
        pytest.param("resnet101_keras", "ResNet101", marks=pytest.mark.slow),
        pytest.param("resnet152_keras", "ResNet152", marks=pytest.mark.slow),
        pytest.param("resnet101_v2_keras", "ResNet101V2", marks=pytest.mark.slow),
        pytest.param("resnet152_v2_keras", "ResNet152V2", marks=pytest.mark.slow),
    ],
)
def test_keras_dialect_is_keras_applications(name, peer):
    shape = (75, 64, 3)  # an odd side and an even one
    ours = create_model(name, input_shape=shape, classes=10, classifier_activation=None)
    theirs = getattr(keras.applications, peer)(
        weights=None, input_shape=shape, classes=10, classifier_activation=None
    )
    give_the_same_weights(ours, theirs)
    assert largest_difference(ours, theirs, shape) < 1e-5
    mine, others = (
        {(norm.epsilon, norm.momentum) for norm in kinds(model, layers.BatchNormalization)}
        for model in (ours, theirs)
    )
    assert mine == others
    for bias in (False, True):
        assert starts(ours, bias) == starts(theirs, bias)


def test_torchvision_dialect():
    """Version 1.5, weights drawn by the fan of the outputs, the classifier as torch.nn.Linear draws it."""
    keras.utils.set_random_seed(0)
    model = resnet(50, dialect="torchvision", input_shape=(32, 32, 3))
    assert model.name == "resnet50_v1_5"
    assert model.get_layer("conv3_1_2").strides == (2, 2)
    assert numpy(model.get_layer("conv1").kernel).std() == pytest.approx(np.sqrt(2 / 3136), rel=0.03)
    for weight in model.get_layer("logits").weights:
        assert abs(numpy(weight)).max() == pytest.approx(2048**-0.5, rel=0.01)


def test_caffe_dialect_rounds_pool1_up_and_leaves_a_bias_in_the_50_layer_net():
    caffe, paper = (resnet(50, dialect=name, input_shape=(225, 225, 3)) for name in ("caffe", "paper"))
    assert [model.get_layer("pool1").output.shape[1] for model in (caffe, paper)] == [56, 57]
    assert [layer.name for layer in kinds(caffe, layers.Conv2D) if layer.use_bias] == ["conv1"]
    assert not any(layer.use_bias for layer in kinds(resnet(101, dialect="caffe"), layers.Conv2D))
    assert starts(caffe) == starts(paper) == {HE_NORMAL}
    constants = {(norm.epsilon, norm.momentum) for norm in kinds(caffe, layers.BatchNormalization)}
    assert constants == {(1e-5, 0.9)}


def test_resnext_groups_do_not_see_each_other():
    """Xie et al. 2016, figure 3c: a map reacts to its own group alone."""
    layer = resnext(50, input_shape=(32, 32, 3)).get_layer("conv2_1_2")
    quiet = noise(1, 5, 5, 128)
    loud = quiet.copy()
    loud[..., 8:12] += 1.0
    changed = np.abs(numpy(layer(loud)) - numpy(layer(quiet))).max(axis=(0, 1, 2))
    assert set(np.nonzero(changed)[0]) == {8, 9, 10, 11}


def test_resnext_starts_as_its_authors_torch_code():
    """Weights by He's fan-out; the classifier's uniform in ±1/√2048, and its biases zero."""
    keras.utils.set_random_seed(0)
    model = resnext(50, input_shape=(32, 32, 3))
    for name, fan_out in (("conv1", 49 * 64), ("conv5_1_2", 9 * 1024), ("conv5_1_3", 2048)):
        found = numpy(model.get_layer(name).kernel).std()
        assert found == pytest.approx(np.sqrt(2 / fan_out), rel=0.05), name
    kernel = np.abs(numpy(model.get_layer("logits").kernel))
    assert 0.99 * 2048**-0.5 < kernel.max() <= 2048**-0.5
    assert not numpy(model.get_layer("logits").bias).any()


def test_resnext_widths_strides_and_size():
    """Table 1: inner widths 128 … 1024; the stride in the grouped 3x3; fewer parameters than ResNet-50."""
    model = resnext(50)
    for stage, width in zip((2, 3, 4, 5), (128, 256, 512, 1024), strict=True):
        grouped = model.get_layer(f"conv{stage}_1_2")
        assert (grouped.filters, grouped.groups) == (width, 32)
        assert grouped.strides == ((1, 1) if stage == 2 else (2, 2))
        assert model.get_layer(f"conv{stage}_1_1").strides == (1, 1)
    assert model.count_params() < resnet(50).count_params()


def basic_net(width, projections):
    """Trained parameters of 3 x 3 basic units behind 16 maps, layer by layer (Zagoruyko 2016, table 1)."""
    total, before = 9 * 3 * 16, 16
    norms = 16
    for maps in (16 * width, 32 * width, 64 * width):
        total += 9 * before * maps + 5 * 9 * maps * maps + projections * before * maps
        norms, before = norms + 6 * maps, maps
    return total, norms, before * 10 + 10


@pytest.mark.parametrize(("width", "millions"), [(8, 17.2), (10, 26.8)])
def test_parameters_of_wide_resnets_as_printed(width, millions):
    """Zagoruyko & Komodakis 2016: WRN-22-8 and WRN-22-10, whose depth counts the projections."""
    with keras.StatelessScope(initialize_variables=False):
        model = resnet(20, version=2, shortcut="B", width=width)
        trained = counts.parameters(model)[0]
    convolutions, norms, classifier = basic_net(width, projections=1)
    assert trained == convolutions + 2 * norms + classifier
    assert round(trained / 1e6, 1) == millions
    if width == 8:
        assert trained == 17_158_106  # as public ports count it


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("width", [0.1, 0.5, 0.7381, 1.5, 2])
def test_maps_of_a_multiplied_net(width, shortcut):
    """Rounded, at least 8; the stem keeps its 16 where the first stage has more, as in that paper."""
    model = resnet(20, width=width, shortcut=shortcut, input_shape=(8, 8, 3))
    expected = {0.1: (8, 8, 8), 0.5: (8, 16, 32), 0.7381: (12, 24, 47), 1.5: (24, 48, 96), 2: (32, 64, 128)}
    found = [model.get_layer(f"stage{stage}_3").output.shape[-1] for stage in (1, 2, 3)]
    assert tuple(found) == expected[width]
    assert model.get_layer("conv1").filters == min(16, found[0])
    assert model(noise(1, 8, 8, 3)).shape == (1, 10)


def test_a_net_of_twice_the_width_computed_by_hand():
    convolutions, norms, classifier = basic_net(2, projections=0)
    assert counts.parameters(resnet(20, width=2))[0] == convolutions + 2 * norms + classifier == 1_068_890


def test_bottlenecks_are_multiplied_before_their_last_convolution():
    model = resnet(50, width=0.25, input_shape=(32, 32, 3))
    found = [[model.get_layer(f"conv{stage}_1_{i}").filters for i in (1, 2, 3)] for stage in (2, 3, 4, 5)]
    assert found == [[16, 16, 64], [32, 32, 128], [64, 64, 256], [128, 128, 512]]
    assert model.get_layer("conv1").filters == 16


def test_a_3x3_stem_keeps_the_size():
    """ResNet-18 as it is usually trained on CIFAR-10: 11,173,962 parameters, by arithmetic on ResNet-18's."""
    model = resnet(18, stem="3x3", input_shape=(32, 32, 3), classes=10)
    sides = [model.get_layer(f"conv{stage}_2").output.shape[1] for stage in (2, 3, 4, 5)]
    assert sides == [32, 16, 8, 4]
    paper = 11_689_512 - (49 - 9) * 3 * 64 - 513 * (1000 - 10)
    assert counts.parameters(model)[0] == paper == 11_173_962
    assert "pool1" not in [layer.name for layer in model.layers]
    assert (model.get_layer("conv1").kernel_size, model.get_layer("conv1").strides) == ((3, 3), (1, 1))
    assert resnet(18, stem="3x3", input_shape=(1, 1, 3)).get_layer("conv5_2").output.shape[1] == 1


def test_a_7x7_stem_halves_twice_in_a_cifar_net_too():
    model = resnet(20, stem="7x7")
    assert [model.get_layer(name).output.shape[1] for name in ("conv1", "pool1", "stage3_3")] == [16, 8, 2]
    assert model.get_layer("conv1").output.shape[-1] == 16


def test_dropout_stands_before_the_classifier():
    for model in (resnet(20, dropout=0.3), resnext(50, dropout=0.3, input_shape=(32, 32, 3))):
        (dropout,) = kinds(model, layers.Dropout)
        assert dropout.rate == 0.3
        assert dropout.input is model.get_layer("avgpool").output
        assert model.get_layer("logits").input is dropout.output


def graph(model):
    """What a network is, without its name."""
    return {**model.get_config(), "name": ""}


@pytest.mark.parametrize(
    ("build", "arguments", "same"),
    [
        (resnet, {"depth": 20}, {"width": 1, "stem": "3x3", "dropout": 0}),
        (resnet, {"depth": 18}, {"width": 1.0, "stem": "7x7", "dropout": 0.0}),
        (resnext, {}, {"stem": "7x7", "dropout": 0.0}),
    ],
)
def test_the_papers_values_change_nothing(build, arguments, same):
    shape = {"input_shape": (32, 32, 3)}
    with keras.StatelessScope(initialize_variables=False):
        plain, given = build(**arguments, **shape), build(**arguments, **same, **shape)
    assert given.name == plain.name
    assert graph(given) == graph(plain)


def test_a_variants_weights_are_all_trained_and_come_back(tmp_path):
    keras.utils.set_random_seed(0)
    model = create_model("resnet18", width=0.125, stem="3x3", dropout=0.2, input_shape=(8, 8, 3), classes=3)
    assert model.name == "resnet18_w0.125_stem3x3"
    before = [numpy(weight) for weight in model.trainable_weights]
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(noise(8, 8, 8, 3), np.arange(8) % 3)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.abs(numpy(weight) - old).max() > 0, weight.path
    model.save(tmp_path / "variant.keras")
    loaded, images = keras.models.load_model(tmp_path / "variant.keras"), noise(2, 8, 8, 3, seed=1)
    np.testing.assert_array_equal(numpy(loaded(images)), numpy(model(images)))


def test_names_of_variants():
    with keras.StatelessScope(initialize_variables=False):
        assert create_model("cifar_resnet20", width=0.5, dropout=0.1).name == "cifar_resnet20_w0.5"
        assert create_model("cifar_resnet20", dropout=0.1).name == "cifar_resnet20"
        assert resnet(110, version=2, width=2, stem="7x7").name == "cifar_preresnet110_w2_stem7x7"
        assert resnext(50, stem="3x3", input_shape=(32, 32, 3)).name == "resnext50_32x4d_stem3x3"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"width": 0}, "width=0 is not a number above 0"),
        ({"width": -1.5}, "width=-1.5 is not a number above 0"),
        ({"width": float("nan")}, "width=nan is not a number above 0"),
        ({"width": float("inf")}, "width=inf is not a number above 0"),
        ({"width": "wide"}, "width='wide' is not a number above 0"),
        ({"width": True}, "width=True is not a number above 0"),
        ({"width": 2, "dialect": "keras"}, "width=2 contradicts dialect='keras', which has 1 alone;"),
        ({"stem": "3x4"}, r"stem='3x4' is not known\. Did you mean '3x3'\? Known: None, 7x7, 3x3"),
        ({"stem": 3}, "stem=3 is not known"),
        (
            {"stem": "3x3", "dialect": "caffe"},
            "stem='3x3' contradicts dialect='caffe', which has '7x7' alone;",
        ),
        ({"dropout": 1.0}, "dropout=1.0 is not a number from 0 to below 1"),
        ({"dropout": -0.1}, "dropout=-0.1 is not a number from 0"),
        ({"depth": 51}, r"depth=51 is not known\. Did you mean 50\? Known: 18, 20, 32, 34"),
        ({"depth": "50"}, r"depth='50' is not known"),
        ({"version": 3}, r"version=3 is not known\. Did you mean 2\? Known: 1, 1\.5, 2"),
        ({"depth": 200, "version": 1}, "version=1 contradicts depth=200, which has 2 alone;"),
        ({"depth": 20, "version": 1.5}, "version=1.5 contradicts depth=20, which has 1 or 2 alone;"),
        ({"dialect": "torchvision", "version": 1}, "version=1 contradicts dialect='torchvision'"),
        (
            {"depth": 20, "dialect": "keras"},
            "depth=20 contradicts dialect='keras', which has 50 or 101 or 152",
        ),
        ({"dialect": "pytorch"}, "dialect='pytorch' is not known. Did you mean 'torchvision'|Known: paper"),
        ({"shortcut": "D"}, "shortcut='D' is not known"),
        ({"shortcut": "A", "plain": True}, "shortcut='A' contradicts plain=True, which has none"),
        ({"version": 2, "plain": True}, "version=2 contradicts plain=True, which has 1 alone;"),
        ({"dialect": "caffe", "plain": True}, "dialect='caffe' contradicts plain=True, which has 'paper'"),
        ({"depth": 200, "plain": True}, "depth=200 contradicts plain=True: no version goes with both"),
        (
            {"dialect": "keras", "shortcut": "C"},
            "shortcut='C' contradicts dialect='keras', which has 'B' alone;",
        ),
    ],
)
def test_bad_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        resnet(**arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"depth": 152}, "depth=152 is not known. Did you mean 101"),
        ({"groups": 0}, "groups=0 is not a whole number of at least 1"),
        ({"group_width": 2.5}, "group_width=2.5 is not a whole number"),
        ({"stem": "5x5"}, "stem='5x5' is not known"),
        ({"dropout": 1}, "dropout=1 is not a number from 0 to below 1"),
    ],
)
def test_resnext_bad_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        resnext(**arguments)
