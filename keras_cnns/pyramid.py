"""The maps inside a network, by the paper's names."""

from collections.abc import Sequence

import keras

from keras_cnns._checks import unknown
from keras_cnns.analysis.groups import Group, groups


def features(model: keras.Model, names: Sequence[str] | None = None) -> keras.Model:
    """A model that answers a network's inner maps, for detection, segmentation or a look inside.

    Of each resolution the last group with weights is given: conv1, conv2_x … conv5_x of a ResNet; conv1,
    conv2, inception3b, inception4e and inception5b of GoogLeNet. The last resolution's maps are those that
    the classifier reads: where batch normalisation and ReLU follow the last unit (pre-activation, DenseNet),
    they are behind them.

    Args:
        model: One of our networks, with or without its top, built or loaded; it shares its weights.
        names: Groups to give instead, such as ["conv3_x", "pool1"]; `python -m keras_cnns show` lists them.

    Returns:
        A functional Keras model from the same images to a dict, from the finest to the coarsest: group's name
        → its maps, (batch, height, width, maps).

    Raises:
        ValueError: No names are given, or one is no group that has maps; the text gives the nearest.
    """
    having_maps = [group for group in groups(model) if group.jump is not None]
    if names is None:
        outputs = _one_a_resolution(having_maps)
    elif isinstance(names, str) or not names:
        raise ValueError(
            f"names={names!r} is not a list of groups; give one, such as {[having_maps[-1].name]!r}."
        )
    else:
        by_name = {group.name: group.output for group in having_maps}
        for name in names:
            if name not in by_name:
                raise unknown("names", name, by_name)
        outputs = {name: by_name[name] for name in names}
    tensors = {name: model.get_layer(layer).output for name, layer in outputs.items()}
    return keras.Model(model.input, tensors, name=f"{model.name}_features")


def _one_a_resolution(having_maps: list[Group]) -> dict[str, str]:
    """Group's name → the layer that ends it."""
    chosen: dict[int | None, Group] = {}
    for group in having_maps:
        if group.parameters or group.jump not in chosen:
            chosen[group.jump] = group
    outputs = {group.name: group.output for group in chosen.values()}
    if "post" in outputs:  # the last unit's maps, normalised
        stage = having_maps[[group.name for group in having_maps].index("post") - 1]
        outputs[stage.name] = outputs.pop("post")
    return outputs
