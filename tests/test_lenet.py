"""What only the LeNet papers say (LeCun et al. 1990, 1998)."""

import keras
import numpy as np
import pytest

from keras_cnns import lenet1, lenet5
from keras_cnns.analysis import counts
from keras_cnns.layers import RBF, FanInUniform, PartialConv2D, Subsampling2D, scaled_tanh, softmin
from keras_cnns.lenet import C3_TABLE, H3_TABLE, digit_codes

# LeCun et al. 1998, table I, as printed: a row for each S2 map, a column for each C3 map.
TABLE_I = [
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
]


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def noise(*shape):
    return np.random.RandomState(0).uniform(-1, 1, shape).astype("float32")


def seen_by_each_output_map(layer, maps, side=9):
    """The input maps that each output map reacts to."""
    base = noise(1, side, side, maps)
    reference = numpy(layer(base))
    reacts = []
    for changed in range(maps):
        other = base.copy()
        other[..., changed] += 1.0
        reacts.append(np.abs(numpy(layer(other)) - reference).max(axis=(0, 1, 2)) > 0)
    return [tuple(np.flatnonzero(column)) for column in np.array(reacts).T]


def test_c3_is_table_i():
    as_printed = [tuple(row for row in range(6) if TABLE_I[row][column] == "X") for column in range(16)]
    assert list(C3_TABLE) == as_printed
    assert sum(map(len, C3_TABLE)) == 60
    assert [sum(s2 in row for row in C3_TABLE) for s2 in range(6)] == [10] * 6


def test_h3_has_twenty_links_in_two_halves():
    assert sorted(map(len, H3_TABLE)) == [1] * 4 + [2] * 8
    assert {frozenset(row) <= {0, 1} or frozenset(row) <= {2, 3} for row in H3_TABLE} == {True}
    assert [sum(h2 in row for row in H3_TABLE) for h2 in range(4)] == [5] * 4


@pytest.mark.parametrize(("table", "maps"), [(C3_TABLE, 6), (H3_TABLE, 4)], ids=["C3", "H3"])
def test_unlinked_maps_have_no_influence_and_linked_ones_do(table, maps):
    assert seen_by_each_output_map(PartialConv2D(table), maps) == list(table)


def test_networks_use_the_tables():
    assert seen_by_each_output_map(lenet5().get_layer("C3"), 6) == list(C3_TABLE)
    assert seen_by_each_output_map(lenet1().get_layer("H3"), 4) == list(H3_TABLE)


def test_partial_convolution_is_the_sum_over_its_links():
    table = ((1,), (0, 2), (0, 1, 2))
    layer = PartialConv2D(table, size=2)
    images = noise(1, 3, 4, 3)
    found = numpy(layer(images))
    kernel, bias = numpy(layer.kernel), numpy(layer.bias)
    expected = np.zeros((1, 2, 3, 3), "float32") + bias
    links = [(out, seen) for out, row in enumerate(table) for seen in row]
    for (out, seen), weights in zip(links, kernel, strict=True):
        for y, x in np.ndindex(2, 3):
            expected[0, y, x, out] += (images[0, y : y + 2, x : x + 2, seen] * weights).sum()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert layer.compute_output_shape((None, 3, 4, 3)) == (None, 2, 3, 3)


@pytest.mark.parametrize("table", [((0, 0),), ((),), ((-1, 0),)])
def test_partial_convolution_refuses_a_bad_row(table):
    with pytest.raises(ValueError, match="each row lists at least one input map"):
        PartialConv2D(table)


def test_partial_convolution_refuses_other_input_maps():
    with pytest.raises(ValueError, match=r"names the input maps \[0, 1, 2, 3\], but the input has 6 maps"):
        PartialConv2D(H3_TABLE)(noise(1, 9, 9, 6))


@pytest.mark.parametrize(("activation", "expected"), [(None, 3.0), (scaled_tanh, 1.65417492)])
def test_subsampling_sums_its_window(activation, expected):
    """(1 + 2 + 3 + 4) x 0.25 + 0.5 = 3; averaging instead would give 1.125."""
    layer = Subsampling2D(activation=activation)
    window = np.array([[1.0, 2.0], [3.0, 4.0]], "float32").reshape(1, 2, 2, 1)
    layer.build(window.shape)
    layer.set_weights([np.array([0.25]), np.array([0.5])])
    assert numpy(layer(window)).item() == pytest.approx(expected, abs=1e-6)


def test_subsampling_has_a_coefficient_for_each_map_and_leaves_odd_edges_out():
    layer = Subsampling2D()
    images = noise(2, 5, 7, 3)
    found = numpy(layer(images))
    sums = images[:, :4, :6].reshape(2, 2, 2, 3, 2, 3).sum(axis=(2, 4))
    np.testing.assert_allclose(found, sums * numpy(layer.coefficient) + numpy(layer.bias), atol=1e-5)
    assert layer.compute_output_shape((None, 5, 7, 3)) == (None, 2, 3, 3)


def test_scaled_tanh_values():
    """f(±1) = ±1 to five digits (LeCun et al. 1998, appendix A); slope 1.144 at 0."""
    x = np.array([1.0, -1.0, 0.5], "float32")
    np.testing.assert_allclose(numpy(scaled_tanh(x)), [0.99999726, -0.99999726, 0.55168371], atol=1e-6)
    slope = (numpy(scaled_tanh(np.float32(1e-2))) - numpy(scaled_tanh(np.float32(-1e-2)))) / 2e-2
    assert slope == pytest.approx(1.14393333, abs=1e-4)


def test_rbf_is_the_squared_distance_and_trains_nothing():
    layer = RBF([[1.0, 1.0, -1.0], [1.0, -1.0, 0.5]])
    penalties = numpy(layer(np.array([[1.0, -1.0, 0.5]], "float32")))
    np.testing.assert_allclose(penalties, [[6.25, 0.0]])
    assert layer.trainable_variables == []
    assert layer.compute_output_shape((None, 3)) == (None, 2)
    with pytest.raises(ValueError, match="codes are 3 wide, but the input has 4 features"):
        RBF(np.ones((2, 3)))(noise(1, 4))
    with pytest.raises(ValueError, match=r"codes has the shape \(3,\)"):
        RBF(np.ones(3))


def test_a_digits_own_code_has_the_smallest_penalty():
    penalties = numpy(lenet5().get_layer("output")(digit_codes()))
    assert penalties.argmin(axis=1).tolist() == list(range(10))
    np.testing.assert_array_equal(np.diag(penalties), np.zeros(10))


def test_digit_bitmaps_are_distinct_and_look_like_ink():
    codes = digit_codes()
    assert codes.shape == (10, 84)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    differing = [(a != b).sum() for i, a in enumerate(codes) for b in codes[:i]]
    assert min(differing) >= 3
    seven = codes[7].reshape(12, 7)
    assert (seven[1] == 1).all()
    assert (seven[0] == -1).all()


def test_other_class_counts_have_random_codes_that_never_change():
    codes = numpy(lenet5(classes=26).get_layer("output").codes)
    assert codes.shape == (26, 84)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    assert len(np.unique(codes, axis=0)) == 26
    np.testing.assert_array_equal(numpy(lenet5(classes=26).get_layer("output").codes), codes)


def test_softmax_makes_probabilities_of_the_penalties():
    penalties = lenet5()
    probabilities = lenet5(classifier_activation="softmax")
    probabilities.set_weights(penalties.get_weights())
    images = noise(8, 32, 32, 1)
    y, p = numpy(penalties(images)), numpy(probabilities(images))
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.log(p[:, 0] / p[:, 1]), y[:, 1] - y[:, 0], atol=1e-3)
    np.testing.assert_allclose(numpy(softmin(np.zeros((1, 4), "float32"))), np.full((1, 4), 0.25))


def test_lenet5_parameters_and_connections_by_layer():
    """Printed in LeCun et al. 1998, section II-B, layer by layer; 340,908 connections in all."""
    model = lenet5()
    layers = ("C1", "S2", "C3", "S4", "C5", "F6", "output")
    trained = [sum(int(np.prod(w.shape)) for w in model.get_layer(name).trainable_weights) for name in layers]
    assert trained == [156, 12, 1_516, 32, 48_120, 10_164, 0]
    assert counts.connections(model) == {
        "C1": 122_304, "S2": 5_880, "C3": 151_600, "S4": 2_000, "C5": 48_120, "F6": 10_164, "output": 840,
    }  # fmt: skip
    assert sum(counts.connections(model).values()) == 340_908


def test_lenet1_connections():
    """98,442 are printed in LeCun et al. 1990."""
    assert sum(counts.connections(lenet1()).values()) == 98_442


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [("C1", 25), ("S2", 4), ("S4", 4), ("C5", 400), ("F6", 120)],
)
def test_weights_start_within_their_fan_in(layer, fan_in):
    """Uniform in ±2.4 / fan-in (LeCun et al. 1998, appendix A)."""
    bound = 2.4 / fan_in
    weights = np.concatenate([numpy(weight).ravel() for weight in lenet5().get_layer(layer).weights])
    assert np.abs(weights).max() <= bound
    assert np.abs(weights).max() > 0.6 * bound
    assert weights.min() < 0 < weights.max()


@pytest.mark.parametrize("fan_in", [25, 120, 400, [1, 3, 400]])
def test_the_least_number_that_can_be_drawn_lies_within_the_bound(fan_in):
    """2.4 / 400 is larger in float32 than it is."""
    draw = FanInUniform(fan_in)
    draw._unit = lambda shape, dtype=None: -keras.ops.ones(shape, dtype="float32")
    assert (np.abs(numpy(draw((3, 2)))) <= 2.4 / np.broadcast_to(np.reshape(fan_in, (-1, 1)), (3, 2))).all()


def test_c3_weights_start_within_the_fan_in_of_their_map():
    layer = lenet5().get_layer("C3")
    largest = np.abs(numpy(layer.kernel)).max(axis=(1, 2))
    link = 0
    for row, bias in zip(C3_TABLE, numpy(layer.bias), strict=True):
        bound = 2.4 / (25 * len(row))
        mine = largest[link : link + len(row)]
        assert mine.max() <= bound
        assert mine.max() > 0.8 * bound
        assert abs(bias) <= bound
        link += len(row)


def test_initial_values_follow_the_seed():
    keras.utils.set_random_seed(3)
    first = lenet5().get_weights()
    keras.utils.set_random_seed(3)
    again = lenet5().get_weights()
    keras.utils.set_random_seed(4)
    other = lenet5().get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    fixed = FanInUniform([2, 4], seed=5)
    copy = FanInUniform.from_config(fixed.get_config())
    np.testing.assert_array_equal(numpy(copy((2, 3))), numpy(fixed((2, 3))))


@pytest.mark.parametrize(
    ("model", "squashing"),
    [(lenet5, ("C1", "S2", "C3", "S4", "C5", "F6")), (lenet1, ("H1", "H2", "H3", "H4", "predictions"))],
)
def test_every_layer_squashes(model, squashing):
    network = model()
    assert [network.get_layer(name).activation for name in squashing] == [scaled_tanh] * len(squashing)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Subsampling2D(3, activation=scaled_tanh), (2, 7, 7, 2)),
        (PartialConv2D(((0,), (0, 1)), size=2, activation="relu"), (2, 7, 7, 2)),
        (RBF([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]), (2, 2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_layers_config_says_all_of_it(layer, shape):
    batch = noise(*shape)
    expected = numpy(layer(batch))
    copy = type(layer).from_config(layer.get_config())
    copy.build(shape)
    copy.set_weights([numpy(weight) for weight in layer.weights])
    np.testing.assert_array_equal(numpy(copy(batch)), expected)
    assert layer.compute_output_shape(shape) == expected.shape


def test_modern_switches():
    model = lenet5("modern", activation="tanh", pool="average", classifier_activation=None)
    assert type(model.get_layer("pool1")).__name__ == "AveragePooling2D"
    assert model.get_layer("fc2").activation is keras.activations.tanh
    assert model.layers[-1].name == "logits"
    assert lenet5("modern", activation="scaled_tanh").get_layer("conv1").activation is scaled_tanh
    usual = lenet5("modern")
    assert usual.get_layer("conv2").activation is keras.activations.relu
    assert type(usual.get_layer("pool2")).__name__ == "MaxPooling2D"


def test_default_outputs_are_the_papers():
    images = noise(4, 32, 32, 1)
    assert lenet5().layers[-1].name == "output"
    assert lenet5(classifier_activation=None).layers[-1].name == "output"
    np.testing.assert_allclose(numpy(lenet5("modern")(images)).sum(axis=1), 1.0, atol=1e-5)
    sums = lenet1(classifier_activation=None)
    squashed = lenet1()
    squashed.set_weights(sums.get_weights())
    small = images[:, :28, :28]
    np.testing.assert_allclose(numpy(squashed(small)), numpy(scaled_tanh(sums(small))), atol=1e-6)


def test_caffes_example():
    """BVLC/caffe examples/mnist/lenet_train_test.prototxt: 20, 50 and 500, with the one ReLU after 500."""
    model = lenet5(dialect="caffe")
    assert model.name == "lenet_caffe"
    assert [layer.name for layer in model.layers] == [
        "image", "conv1", "pool1", "conv2", "pool2", "flatten", "fc1", "logits", "predictions",
    ]  # fmt: skip
    assert counts.parameters(model) == (431_080, 431_080)
    assert counts.macs(model) == 2_293_000
    weighted = ("conv1", "conv2", "fc1", "logits")
    squashed = [name for name in weighted if model.get_layer(name).activation is not keras.activations.linear]
    assert squashed == ["fc1"]
    assert model.get_layer("fc1").activation is keras.activations.relu
    assert type(model.get_layer("pool2")).__name__ == "MaxPooling2D"
    np.testing.assert_allclose(numpy(model(noise(2, 28, 28, 1))).sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize(("layer", "fan_in"), [("conv1", 25), ("conv2", 500), ("fc1", 800), ("logits", 500)])
def test_caffes_xavier_looks_at_the_fan_in_alone(layer, fan_in):
    """Uniform in ±√(3 / fan-in); Glorot's own has the fan-out too. Biases are zero."""
    kernel, bias = (numpy(weight) for weight in lenet5(dialect="caffe").get_layer(layer).weights)
    bound = (3 / fan_in) ** 0.5
    assert 0.98 * bound < np.abs(kernel).max() <= bound * 1.00001
    assert not bias.any()


def test_caffes_pooling_rounds_up():
    """15x15 gives 11x11 maps, of which Caffe makes 6x6 and LeNet-5 5x5."""
    assert lenet5(dialect="caffe", input_shape=(15, 15, 1)).get_layer("pool1").output.shape[1:3] == (6, 6)
    assert lenet5(dialect="caffe", input_shape=(13, 13, 1)).get_layer("pool2").output.shape[1:3] == (1, 1)
    with pytest.raises(ValueError, match=r"works: \(13, 13, 1\)"):
        lenet5(dialect="caffe", input_shape=(12, 13, 1))


@pytest.mark.parametrize(
    ("build", "arguments", "shape", "name"),
    [
        (lenet5, {}, (32, 32, 1), "lenet5_1998"),
        (lenet5, {"version": "modern"}, (32, 32, 1), "lenet5_modern"),
        (lenet5, {"dialect": "caffe"}, (28, 28, 1), "lenet_caffe"),
        (lenet1, {}, (28, 28, 1), "lenet1"),
    ],
)
def test_sizes_and_names_by_default(build, arguments, shape, name):
    model = build(**arguments)
    assert (model.input_shape[1:], model.name) == (shape, name)


@pytest.mark.parametrize(
    ("width", "a", "b", "c", "d"), [(1, 6, 16, 120, 84), (2, 12, 32, 240, 168), (0.25, 6, 8, 30, 21)]
)
def test_width_multiplies_the_modern_nets_layers(width, a, b, c, d):
    """a, b maps and c, d units; by arithmetic: 5x5 kernels, 5x5 maps into fc1, biases."""
    model = lenet5("modern", width=width)
    expected = 26 * a + (25 * a + 1) * b + (25 * b + 1) * c + (c + 1) * d + (d + 1) * 10
    assert model.count_params() == expected
    assert model.name == {1: "lenet5_modern", 2: "lenet5_modern_w2", 0.25: "lenet5_modern_w0.25"}[width]
    assert [model.get_layer(name).output.shape[-1] for name in ("conv1", "pool2", "fc1", "fc2")] == [
        a,
        b,
        c,
        d,
    ]
    assert model(noise(1, 32, 32, 1)).shape == (1, 10)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"width": 2}, "width=2 contradicts version='1998', which has its own .* give version='modern'"),
        ({"dialect": "caffe", "width": 0.5}, "width=0.5 contradicts dialect='caffe'"),
        ({"version": "modern", "width": -1}, "width=-1 is not a number above 0"),
        ({"width": True}, "width=True is not a number above 0"),
        ({"width": "wide"}, "width='wide' is not a number above 0"),
        ({"dialect": "cafe"}, "dialect='cafe' is not known. Did you mean 'caffe'"),
        ({"dialect": "caffe", "version": "1998"}, "version='1998' contradicts dialect='caffe'"),
        ({"dialect": "caffe", "version": "modern"}, "version='modern' contradicts dialect='caffe'"),
        ({"dialect": "caffe", "pool": "max"}, "pool='max' contradicts dialect='caffe'"),
        ({"dialect": "caffe", "activation": "relu"}, "activation='relu' contradicts dialect='caffe'"),
        ({"version": "1989"}, "version='1989' is not known. Did you mean '1998'"),
        ({"activation": "relu"}, "activation='relu' contradicts version='1998'"),
        ({"pool": "max"}, "pool='max' contradicts version='1998'"),
        (
            {"classifier_activation": "sigmoid"},
            "classifier_activation='sigmoid' is not known. .*Known: None, softmax",
        ),
        (
            {"version": "modern", "activation": "rellu"},
            "activation='rellu' is not known. Did you mean 'relu'",
        ),
        ({"version": "modern", "pool": "avrage"}, "pool='avrage' is not known. Did you mean 'average'"),
    ],
)
def test_contradictions_and_misspellings_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        lenet5(**arguments)
