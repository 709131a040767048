"""What every network has around the paper's own part: the image at one end, the classifier at the other."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import keras
from keras import layers

from keras_cnns._blocks import fresh
from keras_cnns._checks import DEFAULT, check_input_shape, check_name, check_top, check_weights, pick
from keras_cnns.layers import require_channels_last, scaled_tanh, softmin

Arguments = ParamSpec("Arguments")


def builder(build: Callable[Arguments, keras.Model]) -> Callable[Arguments, keras.Model]:
    """Make all variables of a network together once its graph stands, then load its weights.

    A variable that is made inside its layer's name scope has a name of its own, for which TensorFlow prepares
    a kernel of its own. Made together they share their kernels, and the network stands sooner.

    The model's name is checked first, and Python's limit of recursion raised while the graph is made.
    """

    @wraps(build)
    def built(*args: Arguments.args, **kwargs: Arguments.kwargs) -> keras.Model:
        weights: Any = kwargs.get("weights")
        check_name(kwargs.get("name"))
        with keras.StatelessScope(), _room_for_deep_graphs():
            model = build(*args, **kwargs)
        if weights is not None:
            _load(model, weights)
        return model

    return built


def _load(model: keras.Model, weights: str | os.PathLike[str]) -> None:
    try:
        # Keras 3.15 also warns of layers that a file lacks before it refuses the file: that is said once.
        with warnings.catch_warnings(record=True) as remarks:
            warnings.simplefilter("always")
            model.load_weights(weights)
    except (OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"weights={str(weights)!r} do not fit the network {model.name!r}: {reason}"
        ) from None
    for remark in remarks:
        warnings.warn_explicit(remark.message, remark.category, remark.filename, remark.lineno)


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
    default_shape: tuple[int, int, int],
    smallest: int,
    fixed_size: bool = False,
    classes: int | None,
    default_classes: int,
    include_top: bool,
    pooling: str | None,
    classifier_activation: str | None,
    default_activation: str | None = "softmax",
    weights: str | os.PathLike[str] | None,
) -> Frame:
    """Check what the caller gave, then make the input; nothing is built before.

    Args:
        name: The model's name.
        input_shape: What the caller gave; None for the paper's.
        default_shape: The paper's (height, width, channels) in pixels.
        smallest: The smallest height and width that the network can take, in pixels.
        fixed_size: Whether the classifier needs a fixed size, as fully connected layers over maps do.
        classes: What the caller gave; None for the paper's.
        default_classes: The paper's number of classes.
        include_top: As in `Frame`.
        pooling: As in `Frame`.
        classifier_activation: As in `Frame`; "default" for the paper's.
        default_activation: The paper's.
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
        default_shape if input_shape is None else input_shape,
        network=name,
        example=default_shape,
        smallest=smallest,
        free_size=not (fixed_size and include_top),
    )
    check_weights(weights)
    what = default_activation if classifier_activation == DEFAULT else classifier_activation
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


def widened(name: str, width: float) -> str:
    """The name of a network whose maps are multiplied, such as resnet50_w0.5."""
    return name if width == 1 else f"{name}_w{width:g}"


def global_average(maps: Any, dropout: float = 0.0) -> Any:
    """Each map's mean, of which training drops a part: (batch, height, width, maps) becomes (batch, maps)."""
    x = layers.GlobalAveragePooling2D(name="avgpool")(maps)
    return layers.Dropout(dropout, name="dropout")(x) if dropout else x


def named_activation(argument: str, name: str) -> Any:
    """The activation function of a name: one of Keras's, or "scaled_tanh" or "softmin".

    Args:
        argument: The argument that gave the name, for the error.
        name: The name.

    Raises:
        ValueError: There is no such activation.
    """
    ours = {"scaled_tanh": scaled_tanh, "softmin": softmin}
    # A glu halves the classes, and threshold wants two numbers more.
    helpers = {"get", "serialize", "deserialize", "glu", "threshold"}
    names = [*ours, *(each for each in dir(keras.activations) if each[0] != "_" and each not in helpers)]
    name = pick(argument, name, names)
    return ours.get(name) or keras.activations.get(name)


def features_only(x: Any, pooling: str | None) -> Any:
    """The end of a network without its top, as in keras.applications.

    Args:
        x: Feature maps, (batch, height, width, maps).
        pooling: None keeps the maps, "avg" and "max" reduce each to one number.

    Returns:
        (batch, height, width, maps), or (batch, maps) with pooling.
    """
    if pooling is None:
        return x
    kind = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}[pooling]
    return kind(name=f"{pooling}_pool")(x)


def classifier(what: str, classes: int) -> Any:
    """The activation function of a classifier.

    Args:
        what: A name as of `named_activation`.
        classes: Number of classes.

    Raises:
        ValueError: There is no such activation, or it normalises over a single class.
    """
    if what in ("softmax", "softmin", "log_softmax", "sparsemax") and classes == 1:
        raise ValueError(
            f"classes=1 leaves a {what} nothing to choose from: it would always give the same. "
            "Give at least classes=2, or classifier_activation=None."
        )
    return named_activation("classifier_activation", what)


def classify(x: Any, what: str | None, name: str) -> Any:
    """The classifier's activation as a float32 layer of its own, so that the scores keep their name.

    Args:
        x: Scores, (batch, classes).
        what: A name as of `named_activation`; None leaves the scores as they are.
        name: The layer's name.

    Returns:
        (batch, classes).

    Raises:
        ValueError: As `classifier`.
    """
    if what is None:
        return x
    return layers.Activation(classifier(what, x.shape[-1]), dtype="float32", name=name)(x)
