"""Auxiliary heads: classifiers half-way up a network that help training and are taken off afterwards."""

import keras


def strip_auxiliary(model: keras.Model) -> keras.Model:
    """The same network without its auxiliary heads.

    Args:
        model: A functional model, built or loaded, whose answer is a dict with "main" and the heads' scores.
            A model with a single output has no heads and comes back as it is.

    Returns:
        A model from the same input to the main output alone, which is equal to the last bit. It has the same
        name and shares layers and weights with `model`.

    Raises:
        ValueError: There are several outputs, but none is called "main".
    """
    outputs = model.output
    if isinstance(outputs, dict) and "main" in outputs:
        return keras.Model(model.input, outputs["main"], name=model.name)
    if isinstance(outputs, dict | list | tuple):
        named = isinstance(outputs, dict)
        has = ", ".join(map(repr, outputs)) if named else f"{len(outputs)} outputs without names"
        raise ValueError(
            f"model={model.name!r} has no output called 'main' to keep; it has {has}. "
            f"Build it to answer a dict such as {{'main': …, 'aux1': …}}."
        )
    return model
