"""Reading a compiled pipeline: KFP's PipelineSpec, and what a second document says about Kubernetes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.quantities import quantity
from tuning.errors import BadInput

_KINDS = {
    "importer": "imports an artifact",
    "resolver": "resolves artifacts",
    "custom_job": "is a job of Vertex AI",
}


@dataclass(frozen=True)
class Executor:
    """What one kind of task runs.

    Attributes:
        container: KFP's PipelineContainerSpec: image, command, args, env.
        memory: The limit in bytes, None for none.
        cpus: The limit in cores, None for none.
        accelerators: Such as "1 nvidia.com/gpu"; empty for none.
        kubernetes: What the platform document says of it, as written.
    """

    container: Any
    memory: int | None
    cpus: float | None
    accelerators: str
    kubernetes: Mapping[str, Any]


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline.

    Attributes:
        spec: KFP's PipelineSpec.
        executors: By their labels.
        refused: Why an executor cannot run here, by its label.
        digest: Tells one pipeline from another, whatever its file is called.
    """

    spec: Any
    executors: Mapping[str, Executor]
    refused: Mapping[str, str]
    digest: str


def read(path: Path) -> Compiled:
    """Read a compiled pipeline.

    Args:
        path: A YAML file of one document, or of two where the second says what Kubernetes shall do.

    Raises:
        BadInput: It is no such file; the sentence says what is in the way.
    """
    first, second = _documents(path)
    if "pipelineSpec" in first:
        raise BadInput(
            f"{path} is a PipelineJob of Vertex AI, which cannot run here; "
            "compile with --target kfp, which writes a PipelineSpec."
        )
    labels = _mapping(_mapping(first.get("deploymentSpec")).get("executors"))
    kubernetes = _mapping(_mapping(_mapping(second.get("platforms")).get("kubernetes")).get("deploymentSpec"))
    platform = _mapping(kubernetes.get("executors"))
    executors, refused = {}, {}
    for label, executor in labels.items():
        container = _container(path, label, executor)
        if isinstance(container, str):
            refused[label] = container
        else:
            resources = _mapping(_mapping(executor.get("container")).get("resources"))
            executors[label] = Executor(
                container,
                _limit(path, label, resources, "Memory"),
                _limit(path, label, resources, "Cpu"),
                _accelerators(_mapping(resources.get("accelerator"))),
                _mapping(platform.get(label)),
            )
    text = json.dumps([first, second], sort_keys=True, default=str)
    return Compiled(_spec(path, first), executors, refused, hashlib.sha256(text.encode()).hexdigest())


def _documents(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    import yaml

    if path.is_dir() or not path.exists():
        raise BadInput(
            f"{path} is {'a folder' if path.is_dir() else 'not there'}; give the file that compile.py wrote."
        )
    try:
        documents = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None]
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path} cannot be read as YAML: {' '.join(str(error).split())}.") from None
    if not documents or len(documents) > 2 or not all(isinstance(one, dict) for one in documents):
        raise BadInput(
            f"{path} has {len(documents)} YAML documents; a compiled pipeline has one, "
            "or two where the second is of `platforms`."
        )
    second = documents[1] if len(documents) == 2 else {}
    if second and "platforms" not in second:
        raise BadInput(
            f"{path}: its second document has no `platforms`, so it is no platform document of KFP."
        )
    return documents[0], second


def _spec(path: Path, document: dict[str, Any]) -> Any:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    # The executors are parsed one by one; newer compilers write fields in them that older protos do not have.
    rest = {key: value for key, value in document.items() if key != "deploymentSpec"}
    try:
        spec = json_format.ParseDict(rest, pipeline_spec_pb2.PipelineSpec())
    except (json_format.ParseError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no PipelineSpec of KFP: {' '.join(str(error).split())}") from None
    if not spec.root.dag.tasks:
        raise BadInput(f"{path} is no PipelineSpec of KFP with tasks: `root.dag.tasks` is empty.")
    return spec


def _container(path: Path, label: str, executor: Any) -> Any:
    """The container's proto, or why there is none that can run here."""
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    given = dict(_mapping(executor))
    inner = dict(_mapping(given.get("container")))
    inner.pop("resources", None)
    if "container" in given:
        given["container"] = inner
    try:
        parsed = json_format.ParseDict(given, pipeline_spec_pb2.PipelineDeploymentConfig.ExecutorSpec())
    except (json_format.ParseError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: executor {label!r} is not KFP's: {' '.join(str(error).split())}") from None
    kind = parsed.WhichOneof("spec")
    if kind != "container":
        return f"{_KINDS.get(kind or '', 'has no container')}, which has no command to run"
    if parsed.container.HasField("lifecycle"):
        return "has a lifecycle hook, which KFP's backend does not read"
    if not [*parsed.container.command, *parsed.container.args]:
        return "has neither command nor args, which KFP's launcher refuses"
    return parsed.container


def _limit(path: Path, label: str, resources: Mapping[str, Any], what: str) -> Any:
    text, number = resources.get(f"resource{what}Limit"), resources.get(f"{what.lower()}Limit")
    unit = 10**9 if what == "Memory" else 1  # the older field counts gigabytes
    try:
        value = quantity(str(text)) if text else float(number or 0) * unit
    except (ValueError, TypeError):
        raise BadInput(
            f"{path}: executor {label!r} has a {what} limit that is no quantity: {text or number!r}."
        ) from None
    return (int(value) if what == "Memory" else value) or None


def _accelerators(given: Mapping[str, Any]) -> str:
    kind = given.get("resourceType") or given.get("type") or ""
    return f"{given.get('resourceCount') or given.get('count') or 1} {kind}" if kind else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
