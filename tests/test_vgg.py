"""What only the VGG paper says (Simonyan and Zisserman 2014)."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_cnns import se_vgg
from keras_cnns.analysis import counts
from keras_cnns.vgg import TABLE_1, vgg, vgg_maps, vgg_plan

# Table 1, as printed: the convolutions of each column, a pooling after each block.
COLUMNS = {
    "A": "3-64 | 3-128 | 3-256 3-256 | 3-512 3-512 | 3-512 3-512",
    "A-LRN": "3-64 | 3-128 | 3-256 3-256 | 3-512 3-512 | 3-512 3-512",
    "B": "3-64 3-64 | 3-128 3-128 | 3-256 3-256 | 3-512 3-512 | 3-512 3-512",
    "C": "3-64 3-64 | 3-128 3-128 | 3-256 3-256 1-256 | 3-512 3-512 1-512 | 3-512 3-512 1-512",
    "D": "3-64 3-64 | 3-128 3-128 | 3-256 3-256 3-256 | 3-512 3-512 3-512 | 3-512 3-512 3-512",
    "E": "3-64 3-64 | 3-128 3-128 | " + " | ".join(" ".join([f"3-{maps}"] * 4) for maps in (256, 512, 512)),
}  # fmt: skip
SMALL = {"include_top": False, "input_shape": (32, 32, 3)}
WHOLE = {"classes": 10, "input_shape": (32, 32, 3)}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def noise(*shape):
    return np.random.RandomState(0).uniform(-1, 1, shape).astype("float32")


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def names(model):
    return [layer.name for layer in model.layers]


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


@pytest.mark.parametrize("letter", COLUMNS)
def test_columns_of_table_1(letter):
    model = vgg(letter, **SMALL)
    blocks = [""]
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            assert layer.padding == "same"
            assert layer.use_bias
            assert layer.activation is keras.activations.relu
            blocks[-1] += f" {layer.kernel_size[0]}-{layer.filters}"
        if isinstance(layer, keras.layers.MaxPooling2D):
            assert (layer.pool_size, layer.strides) == ((2, 2), (2, 2))
            blocks.append("")
    assert " |".join(blocks[:-1]).strip() == COLUMNS[letter]
    assert set(COLUMNS) == set(TABLE_1)


@pytest.mark.parametrize(("depth", "letter"), [(11, "A"), (13, "B"), (16, "D"), (19, "E")])
def test_a_number_of_layers_is_its_column(depth, letter):
    model = vgg(depth, **SMALL)
    assert len(convolutions(model)) + 3 == depth
    assert model.name == f"vgg{depth}"
    assert vgg_plan(depth) == vgg_plan(letter)


@pytest.fixture(scope="module")
def whole():
    """A real network with all of its fully connected layers, which are those of every column."""
    keras.utils.set_random_seed(0)
    return vgg(11, dialect="torchvision", classifier_activation=None)


FULLY_CONNECTED = {"fc6": 102_764_544, "fc7": 16_781_312, "logits": 4_097_000}


def test_most_parameters_are_fc6s(whole):
    found = {name: whole.get_layer(name).count_params() for name in FULLY_CONNECTED}
    assert found == FULLY_CONNECTED
    assert counts.parameters(whole) == (132_863_336, 132_863_336)


# Table 2 prints the parameters in millions; the exact counts follow from table 1 by arithmetic.
@pytest.mark.parametrize(
    ("letter", "millions", "exact"),
    [
        ("A", 133, 132_863_336),
        ("A-LRN", 133, 132_863_336),
        ("B", 133, 133_047_848),
        ("C", 134, 133_638_952),
        ("D", 138, 138_357_544),
        ("E", 144, 143_667_240),
    ],
)
def test_parameters_of_table_2(letter, millions, exact):
    features, _ = counts.parameters(vgg(letter, include_top=False))
    assert features + sum(FULLY_CONNECTED.values()) == exact
    assert round(exact / 1e6) == millions


def test_c_and_its_batch_normalised_form():
    """No figures are published; 11,770,888,192 multiply-adds and 133,647,400 parameters by arithmetic."""
    model = vgg("C", batch_norm=True, include_top=False)
    assert model.name == "vgg16_c_bn"
    assert counts.macs(model) == 11_770_888_192 - (25_088 * 4_096 + 4_096 * 4_096 + 4_096 * 1_000)
    trainable, total = counts.parameters(model)
    assert trainable + sum(FULLY_CONNECTED.values()) == 133_647_400
    assert total - trainable == 2 * 4_224


def test_two_3x3_see_5x5_and_three_see_7x7():
    """Section 2.3; and 4 pixels more for each after a pooling."""
    fields = counts.receptive_fields(vgg(16, **SMALL))
    assert [fields[name] for name in ("conv1_2", "conv2_2", "conv3_3", "pool5")] == [
        (5, 1), (14, 2), (40, 4), (212, 32),
    ]  # fmt: skip
    assert fields["conv3_3"][0] - fields["pool2"][0] == (7 - 1) * 4


def scores_as_convolutions(model, maps):
    """fc6, fc7 and the classifier as 7x7, 1x1 and 1x1 convolutions (section 3.2)."""
    for name, side in (("fc6", 7), ("fc7", 1), ("logits", 1)):
        layer = model.get_layer(name)
        kernel = keras.ops.reshape(layer.kernel, (side, side, -1, layer.units))
        maps = layer.activation(keras.ops.conv(maps, kernel, 1, "valid") + layer.bias)
    return numpy(maps)


def test_fully_connected_layers_are_convolutions(whole):
    """The same score on 224x224, and a 2x2 map of scores on 256x256 (section 3.2)."""
    features = vgg(11, include_top=False, input_shape=(None, None, 3))
    features.set_weights(whole.get_weights()[: len(features.weights)])
    images = noise(1, 256, 256, 3)
    one = scores_as_convolutions(whole, features(images[:, :224, :224]))
    expected = numpy(whole(images[:, :224, :224]))
    assert one.shape == (1, 1, 1, 1000)
    np.testing.assert_allclose(one[:, 0, 0], expected, atol=1e-4 * np.abs(expected).max())
    maps = features(images)
    four = scores_as_convolutions(whole, maps)
    assert four.shape == (1, 2, 2, 1000)
    corner = scores_as_convolutions(whole, maps[:, 1:, 1:])
    np.testing.assert_allclose(four[:, 1, 1], corner[:, 0, 0], atol=1e-4 * np.abs(corner).max())


def test_maps_are_flattened_row_by_row_with_the_maps_innermost(whole):
    """Caffe and torchvision put the maps outermost, so that weights of fc6 have to be permuted."""
    maps = np.arange(7 * 7 * 512, dtype="float32").reshape(1, 7, 7, 512)
    flatten = keras.Model(whole.get_layer("pool5").output, whole.get_layer("fc6").input)
    np.testing.assert_array_equal(numpy(flatten(maps)), maps.reshape(1, -1))


def test_dropout_follows_fc6_and_fc7():
    model = vgg(11, **WHOLE)
    assert names(model)[-7:] == [
        "flatten", "fc6", "fc6_dropout", "fc7", "fc7_dropout", "logits", "predictions",
    ]  # fmt: skip
    assert [model.get_layer(name).rate for name in ("fc6_dropout", "fc7_dropout")] == [0.5, 0.5]
    assert [model.get_layer(name).activation for name in ("fc6", "fc7")] == [keras.activations.relu] * 2
    for depth in (11, 13, "C", 16, 19):
        with keras.StatelessScope(initialize_variables=False):
            dropouts = [
                layer for layer in vgg(depth, **WHOLE).layers if isinstance(layer, keras.layers.Dropout)
            ]
        assert [(layer.name, layer.rate) for layer in dropouts] == [
            ("fc6_dropout", 0.5),
            ("fc7_dropout", 0.5),
        ]


def test_a_lrn_normalises_after_its_first_convolution():
    """Section 2.1: with AlexNet's numbers."""
    model = vgg("A-LRN", **SMALL)
    assert model.name == "vgg11_lrn"
    assert names(model)[:4] == ["image", "conv1_1", "norm1", "pool1"]
    norm = model.get_layer("norm1")
    assert (norm.k, norm.n, norm.alpha, norm.beta) == (2.0, 5, 1e-4, 0.75)


def test_batch_normalisation_stands_between_each_convolution_and_its_relu():
    model = vgg(16, batch_norm=True, **WHOLE)
    assert model.name == "vgg16_bn"
    inside = kinds(model)[1 : kinds(model).index("Flatten")]
    assert [kind for kind in inside if kind != "MaxPooling2D"] == [
        "Conv2D",
        "BatchNormalization",
        "ReLU",
    ] * 13
    assert {layer.activation for layer in convolutions(model)} == {keras.activations.linear}
    assert all(layer.use_bias for layer in convolutions(model))
    assert "BatchNormalization" not in kinds(model)[kinds(model).index("Flatten") :]
    norm = model.get_layer("conv1_1_bn")
    assert (norm.epsilon, norm.momentum) == (1e-5, 0.9)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_gate_comes_right_before_the_relu(batch_norm):
    seen = []

    def gate(x, place, name):
        seen.append((place, name))
        return keras.layers.Rescaling(-1.0, name=f"{name}_gate")(x)

    image = keras.Input((32, 32, 3))
    model = keras.Model(image, vgg_maps(image, replace(vgg_plan(11, batch_norm=batch_norm), gate=gate)))
    first = ["conv1_1", *(["conv1_1_bn"] if batch_norm else []), "conv1_1_gate", "conv1_1_relu", "pool1"]
    assert names(model)[1 : 1 + len(first)] == first
    assert seen == [("standard", layer.name) for layer in convolutions(model)]


def test_a_starts_from_a_normal_distribution():
    """Section 3.1: zero mean, variance 1e-4, zero biases."""
    model = vgg(11, **WHOLE)
    for name in ("conv1_1", "conv3_1", "conv5_2", "fc6", "fc7", "logits"):
        layer = model.get_layer(name)
        assert numpy(layer.kernel).std() == pytest.approx(0.01, rel=0.05)
        assert np.abs(numpy(layer.kernel)).max() > 0.025
        assert not numpy(layer.bias).any()


@pytest.mark.parametrize("dialect", ["paper", "keras"])
def test_deeper_nets_start_from_glorots_bounds(dialect):
    model = vgg(16, dialect=dialect, **WHOLE)
    for name in ("conv1_1", "conv3_1", "conv5_2", "fc6", "fc7", "logits"):
        kernel = numpy(model.get_layer(name).kernel)
        pixels = np.prod(kernel.shape[:-2])
        bound = (6 / (pixels * (kernel.shape[-2] + kernel.shape[-1]))) ** 0.5
        assert 0.98 * bound < np.abs(kernel).max() <= bound * 1.00001
        assert not numpy(model.get_layer(name).bias).any()


def test_torchvisions_start():
    """torchvision.models.vgg: He's normal over the outputs for convolutions, N(0, 0.01) for the rest."""
    model = vgg(16, dialect="torchvision", batch_norm=True, **WHOLE)
    for layer in convolutions(model):
        kernel = numpy(layer.kernel)
        assert kernel.std() == pytest.approx((2 / (9 * kernel.shape[-1])) ** 0.5, rel=0.05)
    for name in ("fc6", "fc7", "logits"):
        assert numpy(model.get_layer(name).kernel).std() == pytest.approx(0.01, rel=0.02)
    assert "fc6_dropout" in names(model)


@pytest.mark.parametrize("dialect", ["paper", "torchvision"])
def test_layers_of_one_shape_start_differently_and_follow_the_seed(dialect):
    def fourth(seed):
        keras.utils.set_random_seed(seed)
        model = vgg(13, dialect=dialect, **SMALL)
        return [numpy(model.get_layer(name).kernel) for name in ("conv4_2", "conv5_1")]

    first, second = fourth(3)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(fourth(3)[0], first)
    assert not np.array_equal(fourth(4)[0], first)


@pytest.mark.parametrize("depth", [16, 19])
def test_keras_dialect_is_keras_applications(depth):
    peer = getattr(keras.applications, f"VGG{depth}")(weights=None, **WHOLE)
    model = vgg(depth, dialect="keras", **WHOLE)
    assert kinds(model) == [*kinds(peer), "Activation"]  # our softmax is a layer of its own
    mine, theirs = convolutions(model), convolutions(peer)
    assert [type(a.kernel_initializer) for a in mine] == [type(b.kernel_initializer) for b in theirs]
    model.set_weights(peer.get_weights())
    images = 50 * noise(2, 32, 32, 3)
    np.testing.assert_allclose(numpy(model(images)), numpy(peer(images)), atol=1e-5)
    middle = [keras.Model(net.input, net.layers[10].output) for net in (model, peer)]
    a, b = (numpy(net(images)) for net in middle)
    assert np.abs(b).max() > 0
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("width", "maps"), [(0.5, (32, 64, 128, 256, 256)), (0.1, (8, 13, 26, 51, 51))])
def test_width_multiplies_maps_and_fully_connected_layers(width, maps):
    """By arithmetic on column A: six sums of 3x3 kernels, 512 w inputs to fc6 at 32 pixels."""
    model = vgg(11, width=width, **WHOLE)
    units = {0.5: 2048, 0.1: 410}[width]
    a, b, c, d, e = maps
    pairs = [(3, a), (a, b), (b, c), (c, c), (c, d), (d, d), (d, e), (e, e)]
    convolved = sum(9 * before * after + after for before, after in pairs)
    dense = (e + 1) * units + (units + 1) * units + (units + 1) * 10
    assert counts.parameters(model) == (convolved + dense, convolved + dense)
    assert [model.get_layer(f"pool{i}").output.shape[-1] for i in (1, 2, 3, 4, 5)] == list(maps)
    assert model.name == f"vgg11_w{width}"


def test_the_papers_width_and_dropout_change_nothing():
    with keras.StatelessScope(initialize_variables=False):
        plain, given = vgg(11, **WHOLE), vgg(11, width=1, dropout=0.5, **WHOLE)
        assert given.get_config() == plain.get_config()


@pytest.mark.parametrize(("dialect", "rate"), [("paper", 0.3), ("keras", 0.3), ("paper", 0.0)])
def test_dropout_can_be_chosen(dialect, rate):
    with keras.StatelessScope(initialize_variables=False):
        model = vgg(16, dialect=dialect, dropout=rate, **WHOLE)
    found = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert found == ({"fc6_dropout": rate, "fc7_dropout": rate} if rate else {})
    assert model.name == "vgg16"


def test_a_narrow_nets_weights_are_all_trained_and_come_back(tmp_path):
    keras.utils.set_random_seed(0)
    model = se_vgg(11, width=0.125, dropout=0.2, se_ratio=2, classes=3, input_shape=(32, 32, 3))
    assert model.name == "se_vgg11_bn_w0.125"
    assert model.get_layer("conv5_2_se_fc2").units == 64
    before = [numpy(weight) for weight in model.trainable_weights]
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(noise(16, 32, 32, 3), np.arange(16) % 3)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        # A bias before batch normalisation does nothing.
        if not (
            weight.path.startswith("conv") and weight.path.endswith("/bias") and "_se_" not in weight.path
        ):
            assert np.abs(numpy(weight) - old).max() > 0, weight.path
    model.save(tmp_path / "narrow.keras")
    loaded, images = keras.models.load_model(tmp_path / "narrow.keras"), noise(2, 32, 32, 3)
    np.testing.assert_array_equal(numpy(loaded(images)), numpy(model(images)))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"width": 0.0}, "width=0.0 is not a number above 0"),
        ({"width": "wide"}, "width='wide' is not a number above 0"),
        ({"width": True}, "width=True is not a number above 0"),
        (
            {"width": 0.5, "dialect": "torchvision"},
            "width=0.5 contradicts dialect='torchvision', which has 1",
        ),
        ({"dropout": 1.0}, "dropout=1.0 is not a number from 0 to below 1"),
        ({"dropout": -0.1}, "dropout=-0.1 is not a number from 0"),
        ({"depth": 15}, "depth=15 is not known. Did you mean 16"),
        ({"depth": "c"}, "depth='c' is not known. Did you mean 'C'"),
        ({"depth": True}, "depth=True is not known"),
        ({"dialect": "caffe"}, "dialect='caffe' is not known"),
        ({"dialect": "paper A"}, "dialect='paper A' is not known. Did you mean 'paper'"),
        ({"dialect": "keras", "depth": 11}, "depth=11 contradicts dialect='keras', .* D, E alone"),
        ({"dialect": "keras", "batch_norm": True}, "batch_norm=True contradicts dialect='keras'"),
        ({"dialect": "torchvision", "depth": "C"}, "depth='C' contradicts dialect='torchvision'"),
        ({"depth": "A-LRN", "batch_norm": True}, "batch_norm=True contradicts depth='A-LRN'"),
    ],
)
def test_contradictions_and_misspellings_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        vgg(**arguments)


def test_32_pixels_are_enough_and_31_are_not():
    assert vgg(16, **SMALL).output_shape == (None, 1, 1, 512)
    with pytest.raises(ValueError, match=r"too small .* works: \(32, 32, 3\)"):
        vgg(16, include_top=False, input_shape=(31, 31, 3))
