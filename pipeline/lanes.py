"""What differs between the lanes, all of it: Python 3.10 with TFX 1.16, Python 3.11 to 3.13 with TFX 1.21."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["as_json", "complete_tfma", "tomllib"]


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
    it imports all of its components at once, which `pipeline.lean` avoids.
    """
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    for name in config_pb2.DESCRIPTOR.message_types_by_name:
        if not hasattr(tfma, name):
            setattr(tfma, name, getattr(config_pb2, name))
