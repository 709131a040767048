"""What differs between the lanes, all of it, and how TFX is imported in parts.

The lanes are Python 3.10 with TFX 1.16, and Python 3.11 to 3.13 with TFX 1.21.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["as_json", "complete_tfma", "components_one_by_one", "tomllib"]


def as_json(message: Any) -> dict[str, Any]:
    """A protobuf message as TensorFlow Serving prints it: fields that hold nothing are there, too."""
    from google.protobuf import json_format

    whole = "always_print_fields_with_no_presence"
    if sys.version_info < (3, 11):
        whole = "including_default_value_fields"
    return json_format.MessageToDict(message, preserving_proto_field_name=True, **{whole: True})


def complete_tfma() -> None:
    """Let `tfma.EvalConfig` and its kin be found where TFMA no longer exports them.

    TFMA 0.52 keeps its configuration messages in `proto.config_pb2` alone. TFX 1.21 puts most of them back as
    it imports all of its components at once, which `components_one_by_one` avoids.
    """
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    for name in config_pb2.DESCRIPTOR.message_types_by_name:
        if not hasattr(tfma, name):
            setattr(tfma, name, getattr(config_pb2, name))


def components_one_by_one() -> None:
    """Let `tfx.components.trainer` and others be imported without all the rest.

    The package's own `__init__` imports every component, among them clients of Kubernetes and of Google's
    AI Platform. This puts an empty package with the same path in its place.
    """
    if "tfx.components" not in sys.modules:
        package = types.ModuleType("tfx.components")
        spec = importlib.util.find_spec("tfx")
        if spec is None or not spec.submodule_search_locations:
            return
        package.__path__ = [f"{place}/components" for place in spec.submodule_search_locations]
        sys.modules["tfx.components"] = package
