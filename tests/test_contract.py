"""Every network against the one table, and what every network must be able to do."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from contract import CONTRACTS, FAMILIES

from keras_cnns import create_model, list_models
from keras_cnns.analysis import counts
from keras_cnns.analysis.groups import groups

GOLDEN = Path(__file__).parents[2] / "shared" / "golden.json"

every_network = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@pytest.fixture(scope="module")
def built():
    """Each family's network once, at its small size."""
    models = {}

    def get(family):
        if family.name not in models:
            models[family.name] = small(family)
        return models[family.name]

    return get


@pytest.fixture
def mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def small(family, **arguments):
    """The network on images that are small enough for a test, with ten classes."""
    top = {"classes": 10} if arguments.get("include_top", True) else {}
    return create_model(family.name, **{"input_shape": family.shape, **top, **arguments})


def images(shape, count=4):
    return np.random.RandomState(0).uniform(-0.1, 1.175, (count, *shape)).astype("float32")


def outputs(model, batch):
    return keras.ops.convert_to_numpy(model(batch))


def test_every_name_has_a_contract():
    assert sorted(contract.name for contract in CONTRACTS) == list_models()


@every_network
def test_counts_maps_and_receptive_fields(contract):
    with keras.StatelessScope(initialize_variables=False):  # counting needs no values
        model = create_model(contract.name)
    assert model.name == contract.name
    assert model.input_shape == (None, *contract.input_shape)
    assert {tuple(output.shape) for output in model.outputs} == {(None, contract.classes)}
    assert counts.parameters(model) == (contract.trainable, contract.total), contract.source
    assert model.count_params() == contract.total
    assert counts.macs(model) == contract.macs, contract.source
    found = {
        group.name: (group.shape, group.receptive_field, group.jump)
        for group in groups(model)
        if group.name in contract.stages
    }
    assert found == contract.stages
    assert contract.stages
    keras.backend.clear_session()


@pytest.mark.skipif(not GOLDEN.is_file(), reason="the table of facts, shared/golden.json, is not here")
@every_network
def test_table_agrees_with_the_facts(contract):
    facts = json.loads(GOLDEN.read_text())["models"]
    record = facts[{"lenet5": "lenet5_1998", "alexnet": "alexnet_grouped"}.get(contract.name, contract.name)]
    mine = {
        "input_shape_hwc": list(contract.input_shape),
        "classes": contract.classes,
        "params_trainable": contract.trainable,
        "params_total": contract.total,
        "macs": contract.macs,
        "stages": {
            as_the_facts_call(name, contract.name): {"shape": list(shape), "rf": side, "jump": jump}
            for name, (shape, side, jump) in contract.stages.items()
        },
    }  # fmt: skip
    shared = mine.keys() & record.keys()
    assert {"input_shape_hwc", "classes"} <= shared
    assert {key: mine[key] for key in shared} == {key: record[key] for key in shared}


def as_the_facts_call(group, network):
    """VGG's facts are those of a block's last convolution."""
    return group.replace("_x", "_last") if "vgg" in network else group


def test_all_facts_have_a_contract_save_those_left_out():
    """docs/fidelity.md says why each is left out."""
    if not GOLDEN.is_file():
        pytest.skip("the table of facts, shared/golden.json, is not here")
    left_out = {"lenet4", "bn_inception_576", *(f"densenet{d}_caffe_maps" for d in (121, 161, 169, 201))}
    assert set(json.loads(GOLDEN.read_text())["models"]) - set(list_models()) == left_out


@every_family
def test_output_is_finite_and_alive(family, built):
    found = outputs(built(family), images(family.shape))
    assert found.shape == (4, 10)
    assert np.isfinite(found).all()
    # A softmax may be sure of itself before training; the scores before it differ from image to image.
    scores = outputs(small(family, classifier_activation=None), images(family.shape))
    assert np.isfinite(scores).all()
    assert np.ptp(scores, axis=0).min() > 0


@every_family
def test_each_layer_draws_its_own_weights_and_the_seed_decides(family):
    """An initialiser that several layers share gives all of them the same numbers."""

    def kernels(seed):
        keras.utils.set_random_seed(seed)
        drawn = [weight for weight in small(family).trainable_weights if len(weight.shape) > 1]
        return [keras.ops.convert_to_numpy(weight) for weight in drawn]

    first, same, other = kernels(1), kernels(1), kernels(2)
    assert len({kernel.tobytes() for kernel in first}) == len(first)
    assert all(np.array_equal(one, two) for one, two in zip(first, same, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


@every_family
def test_every_weight_learns(family):
    """A step of plain gradient descent moves each trainable weight."""
    keras.utils.set_random_seed(1)
    model = small(family)
    # A rate so large that the smallest gradient shows: AlexNet's N(0, 0.01) leaves very little of it.
    model.compile(keras.optimizers.SGD(1e6), loss="mean_squared_error", run_eagerly=True)
    before = model.get_weights()
    model.train_on_batch(images(model.input_shape[1:]), np.eye(10, dtype="float32")[:4])
    trainable = {weight.path for weight in model.trainable_weights}
    for weight, old, new in zip(model.weights, before, model.get_weights(), strict=True):
        statistic = weight.path.endswith(("moving_mean", "moving_variance"))
        assert statistic or np.array_equal(old, new) == (weight.path not in trainable), weight.path


@every_family
def test_mixed_precision_keeps_a_float32_head(family, mixed_precision):
    for arguments in ({}, {"classifier_activation": None}):
        model = small(family, **arguments)
        assert model.get_layer(family.features).compute_dtype == "float16"
        found = model(images(model.input_shape[1:]))
        assert keras.backend.standardize_dtype(found.dtype) == "float32"
        assert np.isfinite(keras.ops.convert_to_numpy(found)).all()


@every_family
def test_saved_and_loaded_it_gives_equal_outputs(family, built, tmp_path):
    model = built(family)
    batch = images(model.input_shape[1:])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(loaded, batch), outputs(model, batch))


@every_family
def test_weights_file_is_loaded_by_the_builder(family, built, tmp_path):
    model = built(family)
    batch = images(model.input_shape[1:])
    model.save_weights(tmp_path / "some.weights.h5")
    again = small(family, weights=tmp_path / "some.weights.h5")
    np.testing.assert_array_equal(outputs(again, batch), outputs(model, batch))


@every_family
def test_config_round_trip(family, built):
    model = built(family)
    again = keras.Model.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    batch = images(model.input_shape[1:])
    np.testing.assert_array_equal(outputs(again, batch), outputs(model, batch))


@every_family
def test_one_class_goes_without_a_softmax_only(family):
    assert small(family, classes=1, classifier_activation=None).output_shape == (None, 1)
    with pytest.raises(ValueError, match="classes=1 leaves a softmax nothing to choose from"):
        small(family, classes=1, classifier_activation="softmax")


@every_family
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (4, 50)])
def test_other_channels_and_classes_at_an_odd_size(family, channels, classes):
    shape = (*family.odd, channels)
    found = outputs(small(family, input_shape=shape, classes=classes), images(shape, 2))
    assert found.shape == (2, classes)
    assert np.isfinite(found).all()


@every_family
def test_smallest_size_works_and_one_less_says_so(family):
    side = family.smallest
    model = small(family, input_shape=(side, side, 1))
    assert np.isfinite(outputs(model, images((side, side, 1)))).all()
    text = rf"too small .* works: \({side}, {side}, 1\)" if side > 1 else "sizes of at least 1"
    for shape in [(side - 1, side, 1), (side, side - 1, 1)]:
        with pytest.raises(ValueError, match=text):
            small(family, input_shape=shape)


@every_family
def test_without_top_it_ends_in_its_features(family, built):
    model = small(family, include_top=False)
    assert model.layers[-1].name == family.features
    assert model.output_shape == (None, *built(family).get_layer(family.features).output.shape[1:])
    free = small(family, include_top=False, input_shape=(None, None, 1))
    assert free.output_shape == (None, None, None, model.output_shape[-1])


@every_family
def test_free_sizes_go_with_the_top_where_nothing_is_fully_connected_to_maps(family):
    shape = (None, family.shape[1], 3)
    if family.fixed_size:
        with pytest.raises(ValueError, match="leaves a size free, but the fully connected layers"):
            small(family, input_shape=shape)
        return
    model = small(family, input_shape=shape)
    for height in (family.shape[0], family.shape[0] + 9):
        assert outputs(model, images((height, *shape[1:]), 1)).shape == (1, 10)


@every_family
@pytest.mark.parametrize(("pooling", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_pooling_reduces_each_map(family, pooling, reduce):
    model = small(family, include_top=False, pooling=pooling)
    maps = keras.Model(model.input, model.get_layer(family.features).output)
    batch = images(family.shape)
    np.testing.assert_allclose(
        outputs(model, batch), reduce(outputs(maps, batch), axis=(1, 2)), rtol=1e-5, atol=1e-6
    )


@every_family
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"pooling": "avg"}, "pooling='avg' contradicts include_top=True"),
        ({"pooling": "average", "include_top": False}, "pooling='average' is not known. Did you mean 'avg'"),
        ({"classes": 0}, "classes=0 is not a number of classes"),
        ({"classes": 2.5}, "classes=2.5 is not a number of classes"),
        ({"classes": 7, "include_top": False}, "classes=7 contradicts include_top=False"),
        ({"classifier_activation": None, "include_top": False}, "classifier_activation=None contradicts"),
        ({"classifier_activation": "softmaxx"}, "'softmaxx' is not known. Did you mean 'softmax'"),
        ({"input_shape": (32, 32)}, r"input_shape=\(32, 32\) is not \(height, width, channels\)"),
        ({"input_shape": (32, 32, None)}, "is not \\(height, width, channels\\)"),
        ({"input_shape": (32, 32, 0)}, "is not \\(height, width, channels\\)"),
        ({"input_shape": (32.0, 32, 1)}, "is not \\(height, width, channels\\)"),
        ({"input_shape": "32x32"}, "is not \\(height, width, channels\\)"),
        ({"input_shape": b"abc"}, "is not \\(height, width, channels\\)"),
        ({"input_shape": ()}, "is not \\(height, width, channels\\)"),
        ({"input_shape": (32, 32, True)}, "is not \\(height, width, channels\\)"),
        ({"input_shape": np.array([32, 32, 3])}, "is not \\(height, width, channels\\)"),
        ({"include_top": "no"}, "include_top='no' is not known. Known: True, False"),
        ({"include_top": None, "classes": None}, "include_top=None is not known"),
        ({"pooling": np.zeros(2), "include_top": False}, "pooling=array.* is not known"),
        (
            {"classifier_activation": np.zeros(2)},
            "classifier_activation=array.* is neither None nor the name",
        ),
        # It would halve the classes.
        ({"classifier_activation": "glu"}, "classifier_activation='glu' is not known. Did you mean 'gelu'"),
        ({"name": ""}, "name='' is no model's name"),
        ({"name": "a/b"}, "name='a/b' is no model's name"),
        ({"name": 5}, "name=5 is no model's name"),
        ({"weights": 5}, "weights=5 is neither None nor the path of a .weights.h5 file"),
        ({"weights": "imagenet"}, "weights='imagenet' is neither None nor the path of a .weights.h5 file"),
    ],
)
def test_bad_arguments_get_a_clear_sentence(family, arguments, text):
    with pytest.raises(ValueError, match=text):
        small(family, **arguments)


@every_family
def test_missing_weights_file_is_named(family):
    with pytest.raises(FileNotFoundError, match=r"none\.weights\.h5"):
        small(family, weights="none.weights.h5")


@every_family
def test_weights_that_do_not_fit_are_told_in_one_line(family, tmp_path):
    image = keras.Input((3,), name="image")
    other, broken = tmp_path / "other.weights.h5", tmp_path / "broken.weights.h5"
    keras.Model(image, keras.layers.Dense(2)(image)).save_weights(other)
    broken.write_text("no weights", encoding="utf-8")
    for path in (other, broken):
        with pytest.raises(ValueError, match=rf"{path.stem}.*do not fit the network '\w+': ") as error:
            small(family, weights=path)
        assert "\n" not in str(error.value)


@every_family
def test_channels_first_is_refused(family):
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match=r"channels_first.*not supported"):
            small(family)
    finally:
        keras.config.set_image_data_format("channels_last")
