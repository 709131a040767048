"""`keras_cnns.features`: the maps inside a network, by the paper's names."""

import keras
import numpy as np
import pytest

from keras_cnns import create_model, features

PYRAMIDS = {
    "lenet5_1998": ((32, 32, 1), {"C1": 28, "C3": 10, "C5": 1}),
    "alexnet": ((67, 67, 3), {"conv1": 15, "conv2": 7, "conv5": 3, "pool5": 1}),
    "vgg11_bn": (
        (32, 32, 3),
        {"conv1_x": 32, "conv2_x": 16, "conv3_x": 8, "conv4_x": 4, "conv5_x": 2, "pool5": 1},
    ),
    "googlenet": (
        (64, 64, 3),
        {"conv1": 32, "conv2": 16, "inception3b": 8, "inception4e": 4, "inception5b": 2},
    ),
    "bn_inception": (
        (64, 64, 3),
        {"conv1": 32, "conv2": 16, "inception3b": 8, "inception4d": 4, "inception5b": 2},
    ),
    "resnet18": ((64, 64, 3), {"conv1": 32, "conv2_x": 16, "conv3_x": 8, "conv4_x": 4, "conv5_x": 2}),
    "resnet18_v2": ((64, 64, 3), {"conv1": 32, "conv2_x": 16, "conv3_x": 8, "conv4_x": 4, "conv5_x": 2}),
    # Its stages halve in their last unit: conv2_x ends at an eighth, conv4_x and conv5_x share a size.
    "resnet50_v2_keras": ((64, 64, 3), {"conv1": 32, "pool1": 16, "conv2_x": 8, "conv3_x": 4, "conv5_x": 2}),
    "cifar_resnet20": ((32, 32, 3), {"stage1": 32, "stage2": 16, "stage3": 8}),
    "cifar_densenet_L40_k12": ((32, 32, 3), {"block1": 32, "block2": 16, "block3": 8}),
    "se_resnet50": ((64, 64, 3), {"conv1": 32, "conv2_x": 16, "conv3_x": 8, "conv4_x": 4, "conv5_x": 2}),
}


@pytest.mark.parametrize("name", PYRAMIDS)
def test_one_entry_a_resolution(name):
    shape, sides = PYRAMIDS[name]
    model = create_model(name, input_shape=shape)
    pyramid = features(model)
    assert {group: maps.shape[1] for group, maps in pyramid.output.items()} == sides
    assert list(pyramid.output) == list(sides)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("name", ["resnet18_v2", "cifar_densenet_L40_k12", "resnet18"])
def test_the_last_entry_is_what_the_classifier_reads(name):
    model = create_model(name, input_shape=(32, 32, 3), include_top=False)
    images = np.random.RandomState(0).normal(size=(2, 32, 32, 3)).astype("float32")
    found = features(model)(images)
    np.testing.assert_array_equal(numpy(list(found.values())[-1]), numpy(model(images)))


def test_chosen_groups_of_a_loaded_model(tmp_path):
    model = create_model("googlenet_aux", input_shape=(96, 96, 3), classes=3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = np.random.RandomState(0).normal(size=(1, 96, 96, 3)).astype("float32")
    found, expected = (features(each, ["inception4a", "pool1"])(images) for each in (loaded, model))
    assert list(found) == ["inception4a", "pool1"]
    for group in found:
        np.testing.assert_allclose(numpy(found[group]), numpy(expected[group]), rtol=1e-6)


def test_unknown_group_gives_the_nearest():
    model = create_model("cifar_resnet20")
    with pytest.raises(
        ValueError, match=r"names='stage4' is not known\. Did you mean 'stage3'\? Known: conv1, stage1"
    ):
        features(model, ["stage4"])
    with pytest.raises(ValueError, match="names='logits' is not known"):
        features(model, ["logits"])


@pytest.mark.parametrize("names", ["stage3", []])
def test_names_are_a_list(names):
    with pytest.raises(ValueError, match=r"names=.* is not a list of groups; give one, such as \['stage3'\]"):
        features(create_model("cifar_resnet20"), names)


def test_free_sizes_stay_free():
    pyramid = features(create_model("resnet18", include_top=False, input_shape=(None, None, 3)))
    assert pyramid.output["conv5_x"].shape == (None, None, None, 512)
