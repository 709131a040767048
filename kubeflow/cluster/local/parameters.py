"""Values of parameters: as typed, as files hold them, and as KFP's launcher writes them into a command."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from cluster import package
from tuning.errors import BadInput

_TRUE, _FALSE = {"1", "t", "T", "TRUE", "true", "True"}, {"0", "f", "F", "FALSE", "false", "False"}
_SAID = {
    "STRING": "text", "NUMBER_INTEGER": "a whole number", "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false", "LIST": "a list as JSON", "STRUCT": "an object as JSON",
}  # fmt: skip


def type_name(spec: Any) -> str:
    """The type of a parameter's spec, such as NUMBER_INTEGER."""
    from kfp.pipeline_spec import pipeline_spec_pb2

    return pipeline_spec_pb2.ParameterType.ParameterTypeEnum.Name(spec.parameter_type)


def from_text(text: str, kind: str) -> Any:
    """A value from its text, as KFP's launcher reads the file of an output parameter.

    Args:
        text: The text.
        kind: A type, as `type_name` gives it.

    Raises:
        ValueError: The text is no such value; its text says what was expected.
    """
    try:
        if kind == "STRING":
            return text
        if kind == "NUMBER_INTEGER":
            return int(text.strip())
        if kind == "NUMBER_DOUBLE" and math.isfinite(float(text)):
            return float(text)
        if kind == "BOOLEAN" and text.strip() in _TRUE | _FALSE:
            return text.strip() in _TRUE
        if kind in ("LIST", "STRUCT"):
            value = json.loads(text)
            if isinstance(value, list if kind == "LIST" else dict):
                return value
    except ValueError:
        pass  # said below, for all kinds alike
    raise ValueError(f"{text!r} is not {_SAID.get(kind, 'of a type that can be given')} ({kind})")


def to_text(value: Any) -> str:
    """A value as KFP's launcher writes it where a command has its placeholder.

    Raises:
        ValueError: The value is null, for which the launcher has no text.
    """
    if value is None:
        raise ValueError("the value is null")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        text = format(Decimal(repr(float(value))), "f")  # never with an exponent
        return text[:-2] if text.endswith(".0") else text
    return to_json(value, sort_keys=True).translate(
        {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}
    )


def to_json(value: Any, **options: Any) -> str:
    """JSON on one line, with whole numbers as such: a proto knows only one kind of number."""
    return json.dumps(_whole(value), ensure_ascii=False, separators=(",", ":"), **options)


def of_pipeline(spec: Any, given: Sequence[str]) -> dict[str, Any]:
    """The values of the pipeline's input parameters, its defaults among them.

    Args:
        spec: The PipelineSpec.
        given: NAME=VALUE, as typed.

    Raises:
        BadInput: One is unknown, missing, given twice or of another type.
    """
    from google.protobuf import json_format

    inputs = json_format.MessageToDict(spec.root.input_definitions)
    if "artifacts" in inputs:
        name = sorted(inputs["artifacts"])[0]
        raise BadInput(
            f"the pipeline has the input artifact {name!r}; only input parameters can be given here."
        )
    known = inputs.get("parameters", {})
    defaults = {name: one["defaultValue"] for name, one in known.items() if "defaultValue" in one}
    return {**defaults, **package.arguments(known, given)}


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _whole(one) for key, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list | tuple) else value
