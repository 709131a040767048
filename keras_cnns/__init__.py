"""Classic image-classification networks as their papers print them, for Keras on any backend.

    import keras_cnns
    model = keras_cnns.lenet5()                        # LeCun et al. 1998, figure 2
    model = keras_cnns.create_model("lenet5_modern")   # any row of keras_cnns.list_models()

Importing the package imports nothing else: Keras is loaded when the first network is built.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_cnns.alexnet import alexnet
    from keras_cnns.densenet import densenet
    from keras_cnns.googlenet import bn_inception, googlenet
    from keras_cnns.heads import strip_auxiliary
    from keras_cnns.lenet import lenet1, lenet5
    from keras_cnns.pyramid import features
    from keras_cnns.registry import create_model, list_models
    from keras_cnns.resnet import resnet
    from keras_cnns.resnext import resnext
    from keras_cnns.senet import se_bn_inception, se_resnet, se_resnext, se_vgg, senet
    from keras_cnns.vgg import vgg

__all__ = [
    "__version__",
    "alexnet",
    "bn_inception",
    "create_model",
    "densenet",
    "features",
    "googlenet",
    "lenet1",
    "lenet5",
    "list_models",
    "resnet",
    "resnext",
    "se_bn_inception",
    "se_resnet",
    "se_resnext",
    "se_vgg",
    "senet",
    "strip_auxiliary",
    "vgg",
]

__version__ = "0.1.0"

_HOMES = {
    "alexnet": "keras_cnns.alexnet",
    "bn_inception": "keras_cnns.googlenet",
    "create_model": "keras_cnns.registry",
    "densenet": "keras_cnns.densenet",
    "features": "keras_cnns.pyramid",
    "googlenet": "keras_cnns.googlenet",
    "lenet1": "keras_cnns.lenet",
    "lenet5": "keras_cnns.lenet",
    "list_models": "keras_cnns.registry",
    "resnet": "keras_cnns.resnet",
    "resnext": "keras_cnns.resnext",
    "se_bn_inception": "keras_cnns.senet",
    "se_resnet": "keras_cnns.senet",
    "se_resnext": "keras_cnns.senet",
    "se_vgg": "keras_cnns.senet",
    "senet": "keras_cnns.senet",
    "strip_auxiliary": "keras_cnns.heads",
    "vgg": "keras_cnns.vgg",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # the next access is an ordinary one
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps `keras_cnns.resnet` the builder when Python imports the file keras_cnns/resnet.py."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in _HOMES):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
