"""KerasTuner searches over the families of keras_cnns.

import tuning

result = tuning.search("resnet", "photos", trials=30, fix={"depth": 20})
tuner = keras_tuner.Hyperband(tuning.hypermodel("resnet", input_shape=(32, 32, 3), classes=10), ...)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuning.hyper import hypermodel
    from tuning.narrowing import narrow
    from tuning.searching import search
    from tuning.spaces import space

__all__ = ["hypermodel", "narrow", "search", "space"]

# Where each name lives; imported at its first use, so that a light command stays light.
_HOMES = {
    "hypermodel": "tuning.hyper",
    "narrow": "tuning.narrowing",
    "search": "tuning.searching",
    "space": "tuning.spaces",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tuning' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
