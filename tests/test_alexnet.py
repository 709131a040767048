"""What only the AlexNet paper says (Krizhevsky et al. 2012)."""

import keras
import numpy as np
import pytest

from keras_cnns import create_model
from keras_cnns.alexnet import LRN, alexnet
from keras_cnns.analysis import counts
from keras_cnns.layers import LocalResponseNormalization

# b_i = a_i / (k + alpha Σ a_j²)^beta over neighbouring maps (section 3.3), by arithmetic in double precision:
# k, window, alpha, beta → the outputs of SMALL and of LARGE.
SMALL = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
LARGE = [40.0, -80.0, 120.0, 10.0, 0.0, 60.0]
NORMALISED = {
    (2.0, 5, 1e-4, 0.75): (
        [0.59429158, 1.18787101, 1.78014039, 2.37041856, 2.95805523, 3.55085672, 4.14513794],
        [13.53741052, -27.02702787, 40.5405418, 3.2638485, 0.0, 31.41159511],
    ),
    (2.0, 5, 2e-5, 0.75): (
        [0.59454113, 1.18893961, 1.7830752, 2.37681006, 2.97001116, 3.56425366, 4.15879437],
        [20.43861351, -40.85219758, 61.27829637, 5.04487593, 0.0, 34.7171996],
    ),
    (1.0, 5, 2e-5, 0.75): (
        [0.99979005, 1.99910047, 2.99752738, 3.99460849, 4.98989886, 5.98868495, 6.98847219],
        [30.30285655, -60.54300672, 90.81451008, 7.41498537, 0.0, 56.87193952],
    ),
    (1.0, 11, 1.0, 0.5): (
        [0.10425721, 0.16843038, 0.25264558, 0.33686077, 0.42107596, 0.50529115, 0.59160798],
        [0.24758904, -0.49517808, 0.74276712, 0.06189726, 0.0, 0.37138356],
    ),
    (2.0, 11, 1e-4, 0.75): (
        [0.59258252, 1.18300177, 1.77450266, 2.36600355, 2.95750444, 3.54900532, 4.14066041],
        [12.71406119, -25.42812238, 38.14218357, 3.1785153, 0.0, 19.07109179],
    ),
    (2.0, 5, 0.1, 0.75): (
        [0.39938414, 0.59813951, 0.66195018, 0.6622401, 0.6400608, 0.80331635, 1.02244634],
        [0.12276746, -0.24471675, 0.36707513, 0.02869853, 0.0, 0.70834372],
    ),
    (2.0, 5, 0.02, 0.75): (
        [0.53895048, 0.97678726, 1.28410337, 1.46967834, 1.56637813, 1.93551893, 2.38594854],
        [0.40940261, -0.81608644, 1.22412966, 0.09572518, 0.0, 2.33099347],
    ),
}
READINGS = {
    "paper": (2.0, 5, 1e-4, 0.75),
    "tensorflow": (2.0, 11, 1e-4, 0.75),
    "caffe": (1.0, 5, 2e-5, 0.75),
    "torch": (2.0, 5, 2e-5, 0.75),
}
FEATURES = {"include_top": False, "input_shape": (67, 67, 3)}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def normalise(layer, maps):
    return numpy(layer(np.array(maps, "float32").reshape(1, 1, 1, -1))).ravel()


def noise(*shape):
    return np.random.RandomState(0).uniform(-1, 1, shape).astype("float32")


@pytest.fixture(scope="module")
def papers():
    """The paper's network at a small size, with all of its maps and a classifier."""
    keras.utils.set_random_seed(0)
    return alexnet(input_shape=(67, 67, 3), classes=10)


@pytest.mark.parametrize("constants", NORMALISED, ids=str)
def test_response_normalisation(constants):
    k, n, alpha, beta = constants
    layer = LocalResponseNormalization(n, k, alpha, beta)
    small, large = NORMALISED[constants]
    np.testing.assert_allclose(normalise(layer, SMALL), small, atol=2e-6)
    np.testing.assert_allclose(normalise(layer, LARGE), large, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("reading", READINGS)
def test_a_librarys_reading_of_the_four_numbers(reading):
    model = alexnet(lrn=reading, **FEATURES)
    small, large = NORMALISED[READINGS[reading]]
    for name in ("norm1", "norm2"):
        np.testing.assert_allclose(normalise(model.get_layer(name), LARGE), large, rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(normalise(model.get_layer(name), SMALL), small, atol=2e-6)
    assert set(READINGS) == set(LRN) - {None}


def test_the_layers_own_constants_are_the_papers():
    np.testing.assert_allclose(
        normalise(LocalResponseNormalization(), LARGE), NORMALISED[READINGS["paper"]][1], rtol=2e-6
    )


def test_each_pixel_is_normalised_alone():
    layer = LocalResponseNormalization(n=3, k=1.0, alpha=0.5)
    maps = noise(2, 3, 4, 6)
    found = numpy(layer(maps))
    for place in np.ndindex(2, 3, 4):
        np.testing.assert_allclose(found[place], normalise(layer, maps[place]), rtol=1e-5)


def test_squares_are_summed_in_float32_under_mixed_precision():
    """300² overflows float16, whose largest number is 65,504."""
    layer = LocalResponseNormalization(dtype="mixed_float16")
    found = layer(np.full((1, 1, 1, 5), 300.0, "float16"))
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    np.testing.assert_allclose(numpy(found)[0, 0, 0, 2], 300 / (2 + 1e-4 * 5 * 300**2) ** 0.75, rtol=1e-3)


def test_response_normalisation_says_all_of_it_in_its_config():
    layer = LocalResponseNormalization(3, 1.0, 0.5, 0.25)
    copy = LocalResponseNormalization.from_config(layer.get_config())
    np.testing.assert_array_equal(normalise(copy, SMALL), normalise(layer, SMALL))
    assert layer.compute_output_shape((None, 2, 3, 4)) == (None, 2, 3, 4)


@pytest.mark.parametrize(("n", "works"), [(4, 3), (0, 1), (2, 1)])
def test_an_even_window_is_refused(n, works):
    with pytest.raises(
        ValueError, match=f"n={n} is not an odd number of maps; the nearest that works: {works}"
    ):
        LocalResponseNormalization(n)


def reacting(layer, maps, changed, side=5):
    """The output maps that react to a change of the given input maps."""
    base = np.abs(noise(1, side, side, maps))
    other = base.copy()
    other[..., changed] += 1.0
    # Without the ReLU, which could hide a reaction.
    weights = [numpy(weight) for weight in (layer.kernel, layer.bias)]
    bare = keras.layers.Conv2D(layer.filters, layer.kernel_size, padding="same", groups=layer.groups)
    bare.build(base.shape)
    bare.set_weights(weights)
    return set(np.flatnonzero(np.abs(numpy(bare(other)) - numpy(bare(base))).max(axis=(0, 1, 2)) > 0))


@pytest.mark.parametrize(
    ("name", "seen", "made"), [("conv2", 96, 256), ("conv4", 384, 384), ("conv5", 384, 256)]
)
def test_each_gpu_sees_its_own_half_alone(papers, name, seen, made):
    layer = papers.get_layer(name)
    assert reacting(layer, seen, slice(seen // 2, None)) == set(range(made // 2, made))
    assert reacting(layer, seen, slice(seen // 2)) == set(range(made // 2))


def test_the_gpus_meet_in_conv3(papers):
    assert reacting(papers.get_layer("conv3"), 256, slice(128, None)) == set(range(384))


def test_without_groups_each_map_sees_all():
    model = alexnet(groups=1, **FEATURES)
    for name, seen, made in [("conv2", 96, 256), ("conv4", 384, 384), ("conv5", 384, 256)]:
        assert reacting(model.get_layer(name), seen, slice(seen // 2, None)) == set(range(made))


def test_first_biases_are_one_where_section_5_has_them(papers):
    first = {name: np.unique(numpy(papers.get_layer(name).bias)).tolist() for name in LAYERS}
    ones = ("conv2", "conv4", "conv5", "fc6", "fc7")
    assert first == {name: [1.0 if name in ones else 0.0] for name in LAYERS}


LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "logits")


@pytest.mark.parametrize("name", LAYERS)
def test_weights_start_from_a_normal_distribution_of_deviation_one_hundredth(papers, name):
    kernel = numpy(papers.get_layer(name).kernel)
    assert kernel.std() == pytest.approx(0.01, rel=0.02)
    assert abs(kernel.mean()) < 2e-4
    assert np.abs(kernel).max() > 0.035  # a truncated one would end at 0.02


def test_two_networks_start_differently():
    first, second = (numpy(alexnet(**FEATURES).get_layer("conv5").kernel) for _ in range(2))
    assert not np.array_equal(first, second)


def test_initial_values_follow_the_seed():
    def conv3(seed):
        keras.utils.set_random_seed(seed)
        return numpy(alexnet(**FEATURES).get_layer("conv3").kernel)

    np.testing.assert_array_equal(conv3(3), conv3(3))
    assert not np.array_equal(conv3(3), conv3(4))


def names(model):
    return [layer.name for layer in model.layers]


def test_order_is_convolution_normalisation_pooling(papers):
    """Sections 3.3 and 3.4; CaffeNet swaps the last two. Dropout follows fc6 and fc7 (section 4.2)."""
    assert names(papers) == [
        "image", "conv1", "norm1", "pool1", "conv2", "norm2", "pool2", "conv3", "conv4", "conv5", "pool5",
        "flatten", "fc6", "fc6_dropout", "fc7", "fc7_dropout", "logits", "predictions",
    ]  # fmt: skip
    rectified = [name for name in LAYERS if papers.get_layer(name).activation is keras.activations.relu]
    assert rectified == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
    assert [papers.get_layer(name).rate for name in ("fc6_dropout", "fc7_dropout")] == [0.5, 0.5]


def test_dropout_halves_what_reaches_fc7_and_the_classifier_in_training_only(papers):
    dropped = numpy(papers.get_layer("fc6_dropout")(np.ones((1, 4096), "float32"), training=True))
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert (dropped == 0).mean() == pytest.approx(0.5, abs=0.05)
    batch = noise(1, 67, 67, 3)
    np.testing.assert_array_equal(numpy(papers(batch)), numpy(papers(batch)))


def test_torchvisions_column():
    """Krizhevsky 2014; widths and dropout's place as in torchvision.models.alexnet."""
    model = alexnet(dialect="torchvision", classes=10, input_shape=(63, 63, 3))
    assert names(model) == [
        "image", "conv1_pad", "conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5",
        "flatten", "fc6_dropout", "fc6", "fc7_dropout", "fc7", "logits", "predictions",
    ]  # fmt: skip
    assert [model.get_layer(name).filters for name in LAYERS[:5]] == [64, 192, 384, 256, 256]
    assert [model.get_layer(name).groups for name in LAYERS[:5]] == [1] * 5
    fan_ins = [11 * 11 * 3, 5 * 5 * 64, 9 * 192, 9 * 384, 9 * 256, 256, 4096, 4096]
    for name, fan_in in zip(LAYERS, fan_ins, strict=True):
        kernel, bias = numpy(model.get_layer(name).kernel), numpy(model.get_layer(name).bias)
        assert 0.99 < np.abs(kernel).max() * fan_in**0.5 <= 1.000001
        assert 0.5 < np.abs(bias).max() * fan_in**0.5 <= 1.000001


def test_caffes_alexnet():
    """BVLC/caffe models/bvlc_alexnet/train_val.prototxt: fillers, and LRN's k, which is left at one."""
    model = alexnet(dialect="caffe", classes=10, input_shape=(67, 67, 3))
    tenths = ("conv2", "conv4", "conv5", "fc6", "fc7")
    for name in LAYERS:
        layer = model.get_layer(name)
        np.testing.assert_allclose(numpy(layer.bias), 0.1 if name in tenths else 0.0)
        deviation = 0.005 if name in ("fc6", "fc7") else 0.01
        assert numpy(layer.kernel).std() == pytest.approx(deviation, rel=0.02)
    np.testing.assert_allclose(
        normalise(model.get_layer("norm1"), LARGE), NORMALISED[READINGS["caffe"]][1], rtol=2e-6
    )


@pytest.mark.parametrize(("dialect", "side"), [("paper", 27), ("caffe", 28)])
def test_caffes_pooling_rounds_up(dialect, side):
    """231x231 gives 56x56 maps: 27x27 windows of 3x3 fit, and Caffe makes a 28th at the edge."""
    model = alexnet(dialect=dialect, include_top=False, input_shape=(231, 231, 3))
    assert model.get_layer("pool1").output.shape[1:] == (side, side, 96)


@pytest.mark.parametrize(
    ("arguments", "image", "conv1", "pool5"),
    [
        ({}, 227, 55, 6),
        ({"padding": 2}, 224, 55, 6),
        ({"input_shape": (224, 224, 3)}, 224, 54, 5),
        ({"dialect": "torchvision"}, 224, 55, 6),
        ({"dialect": "caffe"}, 227, 55, 6),
    ],
)
def test_55_maps_need_227_pixels_or_padding(arguments, image, conv1, pool5):
    model = alexnet(include_top=False, **arguments)
    assert model.input_shape[1] == image
    assert model.get_layer("conv1").output.shape[1] == conv1
    assert model.output_shape[1] == pool5


@pytest.mark.parametrize(
    ("arguments", "smallest"),
    [({}, 67), ({"padding": 2}, 63), ({"dialect": "torchvision"}, 63), ({"dialect": "caffe"}, 39)],
)
def test_smallest_size(arguments, smallest):
    def build(side):
        return alexnet(include_top=False, input_shape=(side, side, 1), **arguments)

    assert build(smallest).output_shape[1:3] == (1, 1)
    with pytest.raises(ValueError, match=f"works: \\({smallest}, {smallest}, 1\\)"):
        build(smallest - 1)


def test_most_parameters_are_fc6s():
    """Figure 2: 6x6x256 to 4096."""
    model = alexnet()
    assert model.get_layer("fc6").count_params() == 37_752_832
    assert counts.parameters(model) == (60_965_224, 60_965_224)


@pytest.mark.parametrize(
    ("width", "groups", "maps", "units"),
    [
        (0.25, 2, (24, 64, 96, 96, 64), 1024),
        (0.13, 2, (12, 34, 50, 50, 34), 532),
        (0.13, 1, (12, 33, 50, 50, 33), 532),
        (0.01, 2, (8, 8, 8, 8, 8), 41),
    ],
)
def test_width_multiplies_maps_of_both_gpus_alike(width, groups, maps, units):
    """Rounded to a multiple of the groups; by arithmetic on figure 2, with one pixel into fc6."""
    model = alexnet(width=width, groups=groups, input_shape=(67, 67, 3), classes=10)
    a, b, c, d, e = maps
    convolved = 121 * 3 * a + 25 * a * b // groups + 9 * b * c + 9 * c * d // groups + 9 * d * e // groups
    dense = (e + 1) * units + (units + 1) * units + (units + 1) * 10
    assert model.count_params() == convolved + sum(maps) + dense
    assert [model.get_layer(f"conv{i}").filters for i in (1, 2, 3, 4, 5)] == list(maps)
    assert model.name == f"alexnet_w{width}"
    assert model(np.ones((1, 67, 67, 3), "float32")).shape == (1, 10)


def test_dropout_can_be_chosen():
    how = {"input_shape": (67, 67, 3), "classes": 10, "width": 0.1}
    model = alexnet(dropout=0.3, **how)
    rates = [model.get_layer(name).rate for name in ("fc6_dropout", "fc7_dropout")]
    assert rates == [0.3, 0.3]
    assert not any("dropout" in name for name in names(alexnet(dropout=0.0, **how)))


def test_the_papers_width_and_dropout_change_nothing():
    with keras.StatelessScope(initialize_variables=False):
        assert alexnet(width=1, dropout=0.5).get_config() == alexnet().get_config()


def test_a_narrow_nets_weights_are_all_trained_and_come_back(tmp_path):
    keras.utils.set_random_seed(0)
    model = create_model("alexnet", width=0.125, dropout=0.2, input_shape=(67, 67, 3), classes=3)
    before = [numpy(weight) for weight in model.trainable_weights]
    images = np.random.RandomState(0).normal(size=(8, 67, 67, 3)).astype("float32")
    model.save(tmp_path / "narrow.keras")
    loaded = keras.models.load_model(tmp_path / "narrow.keras")
    np.testing.assert_array_equal(numpy(loaded(images)), numpy(model(images)))
    # A rate so large that the smallest gradient shows: N(0, 0.01) leaves very little of it.
    model.compile(keras.optimizers.SGD(1e6), "sparse_categorical_crossentropy")
    model.train_on_batch(images, np.arange(8) % 3)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert not np.array_equal(numpy(weight), old), weight.path


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"width": 0}, "width=0 is not a number above 0"),
        ({"width": "wide"}, "width='wide' is not a number above 0"),
        ({"width": 2, "dialect": "caffe"}, "width=2 contradicts dialect='caffe', which has 1 alone"),
        ({"dropout": 1.0}, "dropout=1.0 is not a number from 0 to below 1"),
        ({"dropout": -0.5}, "dropout=-0.5 is not a number from 0"),
        ({"groups": 3}, "groups=3 is not known. Did you mean 2"),
        ({"lrn": "pytorch"}, "lrn='pytorch' is not known. Did you mean 'torch'"),
        ({"padding": 1}, "padding=1 is not known"),
        ({"dialect": "keras"}, "dialect='keras' is not known"),
        (
            {"dialect": "torchvision", "groups": 2},
            "groups=2 contradicts dialect='torchvision', which has 1 alone",
        ),
        ({"dialect": "torchvision", "lrn": "torch"}, "lrn='torch' contradicts dialect='torchvision'"),
        ({"dialect": "torchvision", "padding": 0}, "padding=0 contradicts dialect='torchvision'"),
        ({"dialect": "caffe", "lrn": None}, "lrn=None contradicts dialect='caffe', which has 'caffe' alone"),
    ],
)
def test_contradictions_and_misspellings_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        alexnet(**arguments)


def test_a_dialects_own_value_may_be_said():
    model = alexnet(dialect="torchvision", groups=1, lrn=None, padding=2, include_top=False)
    assert "norm1" not in names(model)
