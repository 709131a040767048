"""What every network has around the paper's own part: the image at one end, the classifier at the other."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import keras
from keras import layers

from keras_cnns._blocks import fresh
from keras_cnns._checks import DEFAULT, check_input_shape, check_top, check_weights
from keras_cnns.layers import classifier, classify, features_only, require_channels_last

Arguments = ParamSpec("Arguments")


def builder(build: Callable[Arguments, keras.Model]) -> Callable[Arguments, keras.Model]:
    """Make all variables of a network together once its graph stands, then load its weights.

    A variable that is made inside its layer's name scope has a name of its own, for which TensorFlow prepares
    a kernel of its own. Made together they share their kernels, and the network stands sooner.
    """

    @wraps(build)
    def built(*args: Arguments.args, **kwargs: Arguments.kwargs) -> keras.Model:
        with keras.StatelessScope(), _room_for_deep_graphs():
            model = build(*args, **kwargs)
        if kwargs.get("weights") is not None:
            model.load_weights(kwargs["weights"])
        return model

    return built


@contextmanager
def _room_for_deep_graphs() -> Iterator[None]:
    """Keras walks a graph by recursion, and 1202 layers are too deep for Python's usual limit of 1,000."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 10_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


@dataclass(frozen=True)
class Frame:
    """The checked arguments that all builders share.

    Attributes:
        name: The model's name.
        image: The symbolic input, (batch, height, width, channels).
        classes: Number of classes.
        include_top: Whether the network keeps its classifier.
        pooling: What replaces the classifier: None, "avg" or "max".
        classifier_activation: What follows the scores; None for nothing.
    """

    name: str
    image: Any
    classes: int
    include_top: bool
    pooling: str | None
    classifier_activation: str | None


def open_frame(
    name: str,
    *,
    input_shape: Any,
    smallest: int,
    fixed_size: bool = False,
    classes: int | None,
    default_classes: int,
    include_top: bool,
    pooling: str | None,
    classifier_activation: str | None,
    weights: str | os.PathLike[str] | None,
) -> Frame:
    """Check what the caller gave, then make the input; nothing is built before.

    Args:
        name: The model's name.
        input_shape: (height, width, channels) in pixels.
        smallest: The smallest height and width that the network can take, in pixels.
        fixed_size: Whether the classifier needs a fixed size, as fully connected layers over maps do.
        classes: What the caller gave; None for the paper's.
        default_classes: The paper's number of classes.
        include_top: As in `Frame`.
        pooling: As in `Frame`.
        classifier_activation: As in `Frame`; "default" is softmax.
        weights: None, or the path of a .weights.h5 file, which `builder` loads.

    Raises:
        ValueError: An argument is not allowed or contradicts another one; the text says what works.
        FileNotFoundError: There are no such weights.
    """
    require_channels_last()
    check_top(
        include_top=include_top, pooling=pooling, classes=classes,
        classifier_activation=classifier_activation,
    )  # fmt: skip
    shape = check_input_shape(
        input_shape, network=name, smallest=smallest, free_size=not (fixed_size and include_top)
    )
    check_weights(weights)
    what = "softmax" if classifier_activation == DEFAULT else classifier_activation
    count = classes or default_classes
    if include_top and what is not None:
        classifier(what, count)
    image = keras.Input(shape, name="image")
    return Frame(name, image, count, include_top, pooling, what)


def close_frame(
    frame: Frame,
    maps: Any,
    head: Callable[[Any], Any],
    *,
    auxiliary: dict[str, Any] | None = None,
    **dense: Any,
) -> keras.Model:
    """End the network: in its classifier, or in its maps.

    Args:
        frame: What `open_frame` gave.
        maps: The last maps, (batch, height, width, maps).
        head: From the maps to the vector that is classified, (batch, features).
        auxiliary: Scores of auxiliary classifiers by name; the model then answers a dict with "main" first.
        **dense: Arguments of the layer that scores the classes, such as its initialisers.

    Returns:
        A functional model from `frame.image` to (batch, classes) in float32, or without the top to maps.
    """
    if not frame.include_top:
        return keras.Model(frame.image, features_only(maps, frame.pooling), name=frame.name)
    outputs = score(frame, head(maps), "logits", "predictions", **dense)
    answers = {"main": outputs, **auxiliary} if auxiliary else outputs
    return keras.Model(frame.image, answers, name=frame.name)


def score(frame: Frame, vector: Any, scores: str, predictions: str, **dense: Any) -> Any:
    """Class scores and what follows them, in float32 under mixed precision too.

    Args:
        frame: What `open_frame` gave.
        vector: (batch, features).
        scores: Name of the fully connected layer.
        predictions: Name of the activation.
        **dense: Arguments of the fully connected layer.

    Returns:
        (batch, classes).
    """
    own = {argument: fresh(value) for argument, value in dense.items()}
    x = layers.Dense(frame.classes, dtype="float32", name=scores, **own)(vector)
    return classify(x, frame.classifier_activation, predictions)


def global_average(maps: Any) -> Any:
    """Each map's mean: (batch, height, width, maps) becomes (batch, maps)."""
    return layers.GlobalAveragePooling2D(name="avgpool")(maps)
