"""Classic image-classification networks as their papers print them, for Keras on any backend.

    import keras_cnns
    model = keras_cnns.lenet5()                        # LeCun et al. 1998, figure 2
    model = keras_cnns.create_model("lenet5_modern")   # any row of keras_cnns.list_models()

Importing the package imports nothing else: Keras is loaded when the first network is built.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_cnns.lenet import lenet1, lenet5
    from keras_cnns.registry import create_model, list_models

__all__ = ["__version__", "create_model", "lenet1", "lenet5", "list_models"]

__version__ = "0.1.0"

_HOMES = {
    "create_model": "keras_cnns.registry",
    "lenet1": "keras_cnns.lenet",
    "lenet5": "keras_cnns.lenet",
    "list_models": "keras_cnns.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # the next access is an ordinary one
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
