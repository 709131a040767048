"""Placeholders in commands, such as {{$.inputs.parameters['x']}}: what KFP's launcher fills in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cluster.local.parameters import to_json, to_text

PATTERN = re.compile(r"\{\{\$[^{}]*\}\}")
_CHANNEL = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")
_JOB = re.compile(r"\{\{\$\.pipeline_")


def known(component: Any) -> set[str]:
    """The placeholders that a component's command can have."""
    inputs, outputs = component.input_definitions, component.output_definitions
    return {
        "{{$}}",
        *(f"{{{{$.inputs.parameters['{name}']}}}}" for name in inputs.parameters),
        *(f"{{{{$.outputs.parameters['{name}'].output_file}}}}" for name in outputs.parameters),
        *(
            f"{{{{$.inputs.artifacts['{name}'].{part}}}}}"
            for name in inputs.artifacts
            for part in ("uri", "path")
        ),
        *(
            f"{{{{$.outputs.artifacts['{name}'].{part}}}}}"
            for name in outputs.artifacts
            for part in ("uri", "path")
        ),
    }


def why_refused(text: str, allowed: set[str]) -> str:
    """Why a part of a command would not reach its program as it is meant; "" where it would."""
    if text.startswith(('{"IfPresent"', '{"Concat"')):
        return "has an IfPresent or Concat placeholder, which is not supported here"
    for found in PATTERN.findall(text):
        if _JOB.match(found):
            return f"has {found}, which KFP fills in only where it is the whole value of a task's input"
        if found not in allowed:
            return f"has {found}, which KFP's launcher does not fill in for this component"
    return ""


def inputs_in(text: str) -> list[str]:
    """The names of the input parameters whose placeholders are in a text."""
    return _CHANNEL.findall(text)


def table(executor_input: Mapping[str, Any]) -> dict[str, str]:
    """What stands for each placeholder.

    Args:
        executor_input: The ExecutorInput as a dictionary, with all defaults.
    """
    inputs, outputs = executor_input.get("inputs", {}), executor_input.get("outputs", {})
    texts = {"{{$}}": to_json(executor_input)}
    for name, value in inputs.get("parameterValues", {}).items():
        if value is not None:
            texts[f"{{{{$.inputs.parameters['{name}']}}}}"] = to_text(value)
    for name, value in outputs.get("parameters", {}).items():
        texts[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = value["outputFile"]
    for side, artifacts in (
        ("inputs", inputs.get("artifacts", {})),
        ("outputs", outputs.get("artifacts", {})),
    ):
        for name, several in artifacts.items():
            uri = several["artifacts"][0].get("uri", "")
            texts[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
            if uri.startswith("/"):
                texts[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = uri
    return texts


def fill(text: str, texts: Mapping[str, str]) -> str:
    """A text with its placeholders filled in, once: what a value brings along stays as it is.

    Raises:
        ValueError: There is nothing to fill one in with.
    """

    def one(found: re.Match[str]) -> str:
        if found[0] not in texts:
            raise ValueError(f"{found[0]} has no value here")
        return texts[found[0]]

    return PATTERN.sub(one, text)


def fill_channels(value: Any, values: Mapping[str, Any]) -> Any:
    """A constant with the inputs filled in that kfp's compiler put into it, from a pipeline's f-string."""

    def one(found: re.Match[str]) -> str:
        return to_text(values[found[1]]) if found[1] in values else found[0]

    return everywhere(value, lambda text: _CHANNEL.sub(one, text))


def texts(value: Any) -> list[str]:
    """All strings in a value, however deep they lie."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [text for one in parts for text in texts(one)]


def everywhere(value: Any, change: Callable[[str], str]) -> Any:
    """The value with each of its strings changed, however deep it lies."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: everywhere(one, change) for key, one in value.items()}
    return [everywhere(one, change) for one in value] if isinstance(value, list) else value
