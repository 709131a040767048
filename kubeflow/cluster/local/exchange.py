"""What a task is given and what it gives back: KFP's ExecutorInput and ExecutorOutput."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from cluster.local import placeholders
from cluster.local.parameters import from_text, type_name
from cluster.local.paths import RUN
from cluster.local.plan import Node

OUTPUTS = "outputs"
"""The folder of a task's outputs, below the task's own."""


class TaskFailed(Exception):
    """A task cannot start, or did not leave what it must; the text says why."""


@dataclass(frozen=True)
class Result:
    """What a task left, with paths as a pod sees them.

    Attributes:
        parameters: Values by name.
        artifacts: RuntimeArtifacts as dictionaries, by name.
    """

    parameters: Mapping[str, Any]
    artifacts: Mapping[str, Mapping[str, Any]]


def executor_input(
    node: Node, pipeline: str, run: str, parameters: Mapping[str, Any], results: Mapping[str, Result]
) -> dict[str, Any]:
    """The ExecutorInput of a task as a dictionary, checked by its proto; paths are a pod's.

    Args:
        node: The task.
        pipeline: The pipeline's name.
        run: The run's id.
        parameters: The pipeline's inputs.
        results: What the tasks before it left.

    Raises:
        TaskFailed: A task before it did not give what this one takes.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    folder = f"{RUN}/{node.name}/{OUTPUTS}"
    definitions = node.component.output_definitions
    outputs = {
        "parameters": {
            name: {"outputFile": f"{folder}/parameters/{name}"} for name in definitions.parameters
        },
        "artifacts": {
            name: {"artifacts": [_artifact(name, spec, folder)]}
            for name, spec in definitions.artifacts.items()
        },
        "outputFile": f"{folder}/executor_output.json",
    }
    inputs = {
        "parameterValues": _values(node, pipeline, run, parameters, results),
        "artifacts": {
            name: {"artifacts": [_taken(results, "artifacts", used.producer_task, used.output_artifact_key)]}
            for name, used in (
                (key, one.task_output_artifact) for key, one in node.task.inputs.artifacts.items()
            )
        },
    }
    message = json_format.ParseDict({"inputs": inputs, "outputs": outputs}, pipeline_spec_pb2.ExecutorInput())
    return json_format.MessageToDict(message)


def prepare(given: Mapping[str, Any]) -> None:
    """Make the folders that KFP's launcher makes: those above each output. Paths are this machine's."""
    outputs = given["outputs"]
    files = [one["outputFile"] for one in outputs.get("parameters", {}).values()]
    uris = [one["artifacts"][0]["uri"] for one in outputs.get("artifacts", {}).values()]
    for path in (outputs["outputFile"], *files, *uris):
        Path(path).parent.mkdir(parents=True, exist_ok=True)


def result(node: Node, given: Mapping[str, Any]) -> Result:
    """Read what a task left, as KFP's launcher does: its ExecutorOutput, then the files of its parameters.

    Args:
        node: The task.
        given: Its ExecutorInput, with this machine's paths; so are those of the result.

    Raises:
        TaskFailed: Something is missing or cannot be read.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    outputs = given["outputs"]
    output = pipeline_spec_pb2.ExecutorOutput()
    path = Path(outputs["outputFile"])
    if path.exists():
        try:
            text = path.read_text(encoding="utf-8")
            json.loads(text, parse_constant=_no_json)
            json_format.Parse(text, output)
        except (json_format.ParseError, ValueError) as error:
            raise TaskFailed(f"its executor output is not KFP's: {' '.join(str(error).split())}") from None
    left = json_format.MessageToDict(output)
    parameters = dict(left.get("parameterValues", {}))
    for name, one in outputs.get("parameters", {}).items():
        if name not in parameters:
            parameters[name] = _from_file(name, Path(one["outputFile"]), node)
    artifacts = {}
    for name, several in outputs.get("artifacts", {}).items():
        artifact = several["artifacts"][0]
        changed = (left.get("artifacts", {}).get(name, {}).get("artifacts") or [{}])[0]
        metadata = {**artifact.get("metadata", {}), **changed.get("metadata", {})}
        artifacts[name] = {**artifact, "uri": changed.get("uri") or artifact["uri"], "metadata": metadata}
    return Result(parameters, artifacts)


def _no_json(word: str) -> NoReturn:
    """NaN and infinities, which Python's JSON has and the launcher's has not."""
    raise ValueError(f"{word} is not JSON")


def _artifact(name: str, spec: Any, folder: str) -> dict[str, Any]:
    from google.protobuf import json_format

    kind, metadata = json_format.MessageToDict(spec.artifact_type), json_format.MessageToDict(spec.metadata)
    return {"name": name, "uri": f"{folder}/{name}", "type": kind, "metadata": metadata}


def _values(
    node: Node, pipeline: str, run: str, parameters: Mapping[str, Any], results: Mapping[str, Result]
) -> dict[str, Any]:
    from google.protobuf import json_format

    job = {
        "{{$.pipeline_job_name}}": pipeline,
        "{{$.pipeline_job_resource_name}}": f"{pipeline}-{run}",
        "{{$.pipeline_job_uuid}}": run,
        "{{$.pipeline_task_name}}": node.name,
        "{{$.pipeline_task_uuid}}": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{pipeline}/{run}/{node.name}")),
    }
    values: dict[str, Any] = {}
    for name, one in node.task.inputs.parameters.items():
        kind = one.WhichOneof("kind")
        if kind == "task_output_parameter":
            used = one.task_output_parameter
            values[name] = _taken(results, "parameters", used.producer_task, used.output_parameter_key)
        elif kind == "component_input_parameter":
            if one.component_input_parameter in parameters:
                values[name] = parameters[one.component_input_parameter]
        else:
            constant = json_format.MessageToDict(one.runtime_value.constant)
            values[name] = job.get(constant, constant) if isinstance(constant, str) else constant
    for name, one in node.task.inputs.parameters.items():
        if one.WhichOneof("kind") == "runtime_value":
            values[name] = placeholders.fill_channels(values[name], values)
    for name, spec in node.component.input_definitions.parameters.items():
        if name not in values and spec.HasField("default_value"):
            values[name] = json_format.MessageToDict(spec.default_value)
    return values


def _taken(results: Mapping[str, Result], kind: str, producer: str, key: str) -> Any:
    found = getattr(results[producer], kind)
    if key not in found:
        raise TaskFailed(f"{producer} left no {key!r}")
    return found[key]


def _from_file(name: str, path: Path, node: Node) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return from_text(text, type_name(node.component.output_definitions.parameters[name]))
    except FileNotFoundError:
        raise TaskFailed(f"it did not write its output parameter {name!r}") from None
    except ValueError as error:
        raise TaskFailed(f"its output parameter {name!r}: {error}") from None
