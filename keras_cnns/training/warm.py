"""Begin a training with the weights of a model that was trained before."""

from __future__ import annotations

from pathlib import Path

import keras


def start(scores: keras.Model, file: Path) -> None:
    """Copy a saved model's weights into a new one, layer by layer of the same name.

    Args:
        scores: The new network; auxiliary heads, which saved models lack, keep their random weights.
        file: A `.keras` file that an export wrote.

    Raises:
        ValueError: It is another network, or has other classes or another input; the text says where.
    """
    saved = {
        layer.name: layer for layer in keras.models.load_model(file, compile=False).layers if layer.weights
    }
    new = {layer.name: layer for layer in scores.layers if layer.weights}
    missing = [name for name in saved if name not in new]
    lacking = [name for name in new if name not in saved and not name.startswith("aux")]
    if missing or lacking:
        raise ValueError(f"{file} is another network: the layer {(missing or lacking)[0]} is not in both")
    for name, layer in saved.items():
        shapes = [[tuple(weight.shape) for weight in one.weights] for one in (layer, new[name])]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{file} does not fit: its layer {name} has weights of {shapes[0]}, not {shapes[1]}; "
                "another number of classes, or another input"
            )
    for name, layer in saved.items():
        new[name].set_weights(layer.get_weights())
