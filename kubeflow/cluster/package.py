"""A compiled pipeline as a server gets it: its name, the hash of its content, and its parameters."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import store
from keras_cnns._checks import unknown
from tuning.errors import BadInput

STORE = "mlmd"  # the parameter that is the metadata store's address
LARGEST = 32 * 2**20  # bytes that the API server takes at once


@dataclass(frozen=True)
class Package:
    """What there is to know of a compiled pipeline before it is sent.

    Args:
        path: The file.
        name: The pipeline's own name.
        version: The name of this very content: "sha256-" and 16 hexadecimal digits.
        inputs: Each parameter's specification, as the file has it.
    """

    path: Path
    name: str
    version: str
    inputs: Mapping[str, Mapping[str, Any]]


def read(path: Path) -> Package:
    """Read a compiled pipeline.

    Args:
        path: What `compile.py` wrote; .yaml or .yml, which is how a server tells its kind.

    Returns:
        What it says of itself.

    Raises:
        BadInput: There is no such file, or it is no compiled pipeline for Kubeflow Pipelines.
    """
    import yaml

    if path.suffix not in (".yaml", ".yml"):
        raise BadInput(
            f"pipeline={str(path)!r} does not end in .yaml or .yml, by which a server knows its kind."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"pipeline={str(path)!r} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST:
        raise BadInput(f"pipeline={str(path)!r} has {len(content)} bytes; a server takes at most {LARGEST}.")
    try:
        first = next(iter(yaml.load_all(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))), None)
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadInput(
            f"pipeline={str(path)!r} is not YAML; `compile.py` writes what is meant here."
        ) from None
    document = first if isinstance(first, dict) else {}
    if "pipelineSpec" in document:
        raise BadInput(f"pipeline={str(path)!r} is compiled for Vertex AI; compile it with --target kfp.")
    name = _inside(document, "pipelineInfo").get("name")
    if not isinstance(name, str) or not name.strip() or "root" not in document:
        raise BadInput(
            f"pipeline={str(path)!r} is no compiled pipeline: it has no pipelineInfo.name or no root; "
            "`compile.py --target kfp` writes one."
        )
    inputs = _inside(_inside(_inside(document, "root"), "inputDefinitions"), "parameters")
    return Package(path, name, f"sha256-{hashlib.sha256(content).hexdigest()[:16]}", inputs)


def arguments(inputs: Mapping[str, Mapping[str, Any]], given: Sequence[str]) -> dict[str, Any]:
    """What was typed as NAME=VALUE, checked against what the pipeline takes, in its types.

    Args:
        inputs: The pipeline's parameters: `parameterType`, `defaultValue` and `isOptional` of each.
        given: The typed ones.

    Returns:
        The values by name, as JSON can hold them; what was not given is left to the pipeline's defaults.

    Raises:
        BadInput: A name is unknown, given twice or missing, a value has not the parameter's type, or the
            metadata store's address is none or has a password, which the text does not repeat.
    """
    values: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals:
            raise BadInput(f"--param={store.hidden(one)!r} is not NAME=VALUE.")
        if name in values:
            raise BadInput(f"--param {name!r} is given twice; leave one out.")
        if name not in inputs:
            if not inputs:
                raise BadInput(f"--param={name!r} is not known: the pipeline has no parameters.")
            raise BadInput(str(unknown("--param", name, inputs)))
        if name == STORE:  # what is sent, or kept with a run, is read by many
            store.parse(text, "/")
        values[name] = _value(name, text, inputs[name].get("parameterType", "STRING"))
    needed = (name for name, of in inputs.items() if "defaultValue" not in of and not of.get("isOptional"))
    missing = [name for name in needed if name not in values]
    if missing:
        raise BadInput(
            f"the pipeline needs {', '.join(missing)}, without a default; "
            f"give {' '.join(f'--param {name}=…' for name in missing)}."
        )
    return values


def _inside(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = document.get(key)
    return inner if isinstance(inner, dict) else {}


def _value(name: str, text: str, kind: str) -> Any:
    if kind not in _KINDS:
        raise BadInput(f"--param {name!r} is a {kind}, which the cluster itself fills in; leave it out.")
    parse, meant = _KINDS[kind]
    try:
        return parse(text)
    except ValueError:
        raise BadInput(f"--param {name}={text!r} is not {meant}.") from None


def _whole(text: str) -> int:
    if "_" in text:  # Python's own way of writing, and nobody else's
        raise ValueError
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if "_" in text or not math.isfinite(number):
        raise ValueError
    return number


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


def _json(kind: type) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = json.loads(text)
        if not isinstance(value, kind):
            raise ValueError
        return value

    return parse


_KINDS: dict[str, tuple[Callable[[str], Any], str]] = {
    "STRING": (str, "text"),
    "NUMBER_INTEGER": (_whole, "a whole number, such as 5"),
    "NUMBER_DOUBLE": (_number, "a number, such as 0.1"),
    "BOOLEAN": (_truth, "true or false"),
    "LIST": (_json(list), "a list in JSON, such as [1, 2]"),
    "STRUCT": (_json(dict), 'an object in JSON, such as {"a": 1}'),
}
