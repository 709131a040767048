"""Every network against the one table, and what every network must be able to do."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from contract import CONTRACTS, FAMILIES

from keras_cnns import create_model, list_models
from keras_cnns.analysis import counts

GOLDEN = Path(__file__).parents[2] / "shared" / "golden.json"

every_network = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@pytest.fixture(scope="module")
def built():
    """Each network of the table once, with its published arguments."""
    models = {}

    def get(name):
        if name not in models:
            models[name] = create_model(name)
        return models[name]

    return get


@pytest.fixture
def mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def images(shape, count=4):
    return np.random.RandomState(0).uniform(-0.1, 1.175, (count, *shape)).astype("float32")


def outputs(model, batch):
    return keras.ops.convert_to_numpy(model(batch))


def test_every_name_has_a_contract():
    assert sorted(contract.name for contract in CONTRACTS) == list_models()


@every_network
def test_counts_and_shapes(contract, built):
    model = built(contract.name)
    assert model.name == contract.name
    assert model.input_shape == (None, *contract.input_shape)
    assert model.output_shape == (None, contract.classes)
    assert counts.parameters(model) == (contract.trainable, contract.total), contract.source
    assert model.count_params() == contract.total
    assert counts.macs(model) == contract.macs, contract.source


@every_network
def test_maps_and_receptive_fields(contract, built):
    model = built(contract.name)
    fields = counts.receptive_fields(model)
    assert contract.stages
    found = {name: (tuple(model.get_layer(name).output.shape[1:]), *fields[name]) for name in contract.stages}
    assert found == contract.stages
    assert set(fields) == set(contract.stages)


@pytest.mark.skipif(not GOLDEN.is_file(), reason="the table of facts, shared/golden.json, is not here")
@every_network
def test_table_agrees_with_the_facts(contract):
    facts = json.loads(GOLDEN.read_text())["models"]
    record = facts["lenet5_1998" if contract.name == "lenet5" else contract.name]
    mine = {
        "input_shape_hwc": list(contract.input_shape),
        "classes": contract.classes,
        "params_trainable": contract.trainable,
        "params_total": contract.total,
        "macs": contract.macs,
        "stages": {
            name: {"shape": list(shape), "rf": side, "jump": jump}
            for name, (shape, side, jump) in contract.stages.items()
        },
    }
    shared = mine.keys() & record.keys()
    assert {"input_shape_hwc", "classes"} <= shared
    assert {key: mine[key] for key in shared} == {key: record[key] for key in shared}


@every_family
def test_output_is_finite_and_alive(family, built):
    model = built(family.name)
    found = outputs(model, images(model.input_shape[1:]))
    assert np.isfinite(found).all()
    assert np.ptp(found, axis=0).min() > 0


@every_family
def test_every_weight_learns(family):
    """A step of plain gradient descent moves each trainable weight, and no other."""
    keras.utils.set_random_seed(1)
    model = create_model(family.name)
    model.compile(keras.optimizers.SGD(0.1), loss="mean_squared_error")
    before = model.get_weights()
    model.train_on_batch(images(model.input_shape[1:]), np.eye(10, dtype="float32")[:4])
    trainable = {weight.path for weight in model.trainable_weights}
    for weight, old, new in zip(model.weights, before, model.get_weights(), strict=True):
        moved = not np.array_equal(old, new)
        assert moved == (weight.path in trainable), weight.path


@every_family
@pytest.mark.parametrize("arguments", [{}, {"classifier_activation": None}], ids=["default", "scores"])
def test_mixed_precision_keeps_a_float32_head(family, arguments, mixed_precision):
    model = create_model(family.name, **arguments)
    features = model.get_layer(family.features)
    assert features.compute_dtype == "float16"
    found = model(images(model.input_shape[1:]))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert np.isfinite(keras.ops.convert_to_numpy(found)).all()


@every_family
def test_saved_and_loaded_it_gives_equal_outputs(family, tmp_path):
    model = create_model(family.name)
    batch = images(model.input_shape[1:])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(loaded, batch), outputs(model, batch))


@every_family
def test_weights_file_is_loaded_by_the_builder(family, tmp_path):
    model = create_model(family.name)
    batch = images(model.input_shape[1:])
    model.save_weights(tmp_path / "some.weights.h5")
    again = create_model(family.name, weights=tmp_path / "some.weights.h5")
    np.testing.assert_array_equal(outputs(again, batch), outputs(model, batch))


@every_family
def test_config_round_trip(family):
    model = create_model(family.name)
    again = keras.Model.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    batch = images(model.input_shape[1:])
    np.testing.assert_array_equal(outputs(again, batch), outputs(model, batch))


@every_family
@pytest.mark.parametrize("classes", [2, 50])
def test_other_numbers_of_classes(family, classes):
    model = create_model(family.name, classes=classes)
    assert outputs(model, images(model.input_shape[1:])).shape == (4, classes)


@every_family
def test_one_class_goes_without_a_softmax_only(family):
    assert create_model(family.name, classes=1, classifier_activation=None).output_shape == (None, 1)
    with pytest.raises(ValueError, match="classes=1 leaves a softmax nothing to choose from"):
        create_model(family.name, classes=1, classifier_activation="softmax")


@every_family
@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels_at_an_odd_size(family, channels):
    shape = (*family.odd, channels)
    found = outputs(create_model(family.name, input_shape=shape), images(shape))
    assert found.shape == (4, 10)
    assert np.isfinite(found).all()


@every_family
def test_smallest_size_works_and_one_less_says_so(family):
    side = family.smallest
    assert create_model(family.name, input_shape=(side, side, 1)).output_shape == (None, 10)
    for shape in [(side - 1, side, 1), (side, side - 1, 1)]:
        with pytest.raises(ValueError, match=rf"too small .* works: \({side}, {side}, 1\)"):
            create_model(family.name, input_shape=shape)


@every_family
def test_without_top_it_ends_in_its_features(family):
    whole = create_model(family.name)
    model = create_model(family.name, include_top=False)
    assert model.layers[-1].name == family.features
    assert model.output_shape == (None, *whole.get_layer(family.features).output.shape[1:])
    assert create_model(family.name, include_top=False, input_shape=(None, None, 1)).output_shape[1:3] == (
        None,
        None,
    )


@every_family
@pytest.mark.parametrize(("pooling", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_pooling_reduces_each_map(family, pooling, reduce):
    shape = (*family.odd, 1)
    model = create_model(family.name, include_top=False, pooling=pooling, input_shape=shape)
    maps = keras.Model(model.input, model.get_layer(family.features).output)
    batch = images(shape)
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
        ({"input_shape": (None, 32, 1)}, "leaves a size free"),
        ({"weights": "imagenet"}, "weights='imagenet' is neither None nor the path of a .weights.h5 file"),
    ],
)
def test_bad_arguments_get_a_clear_sentence(family, arguments, text):
    with pytest.raises(ValueError, match=text):
        create_model(family.name, **arguments)


@every_family
def test_missing_weights_file_is_named(family):
    with pytest.raises(FileNotFoundError, match=r"none\.weights\.h5"):
        create_model(family.name, weights="none.weights.h5")


@every_family
def test_channels_first_is_refused(family):
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match=r"channels_first.*not supported"):
            create_model(family.name)
    finally:
        keras.config.set_image_data_format("channels_last")
