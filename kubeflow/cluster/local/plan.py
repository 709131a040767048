"""The graph of tasks, in an order in which they can run; what cannot run here is refused at once."""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.local import placeholders, pod
from cluster.local.compiled import Compiled, Executor
from cluster.local.parameters import type_name
from tuning.errors import BadInput

JOB_CONSTANTS = (
    "{{$.pipeline_job_name}}", "{{$.pipeline_job_resource_name}}", "{{$.pipeline_job_uuid}}",
    "{{$.pipeline_task_name}}", "{{$.pipeline_task_uuid}}",
)  # fmt: skip
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST_WINDOW = 3600.0  # what KFP's proto says where nothing is said


@dataclass(frozen=True)
class Retry:
    """How often and when a failed task is tried again.

    Attributes:
        count: Attempts after the first.
        wait: Seconds before the second attempt.
        factor: What each further wait is multiplied by.
        window: Seconds after the first start within which an attempt may still begin.
    """

    count: int
    wait: float
    factor: float
    window: float


@dataclass(frozen=True)
class Node:
    """A task that runs a container.

    Attributes:
        name: Its name in the graph.
        task: KFP's PipelineTaskSpec.
        component: KFP's ComponentSpec.
        executor: What it runs.
        pod: What it runs in.
        upstream: The tasks that it waits for.
        retry: What happens when it fails.
    """

    name: str
    task: Any
    component: Any
    executor: Executor
    pod: pod.Pod
    upstream: tuple[str, ...]
    retry: Retry


@dataclass(frozen=True)
class Plan:
    """A pipeline that can run here: its tasks come after those that they wait for."""

    name: str
    nodes: Mapping[str, Node]
    outputs: Mapping[str, tuple[str, str]]  # the pipeline's output parameters: task and key


def plan(compiled: Compiled, parameters: Mapping[str, Any]) -> Plan:
    """Put the tasks in order.

    Args:
        compiled: The pipeline.
        parameters: The values of its inputs.

    Raises:
        BadInput: A task does what cannot be done here, or lacks something; the sentence names it.
    """
    dag = compiled.spec.root.dag
    nodes = {name: _node(compiled, name, parameters) for name in dag.tasks}
    order = _order(nodes)
    for node in nodes.values():
        _check(node, nodes, parameters)
    selectors = {name: one.value_from_parameter for name, one in dag.outputs.parameters.items()}
    outputs = {name: (one.producer_subtask, one.output_parameter_key) for name, one in selectors.items()}
    return Plan(compiled.spec.pipeline_info.name, {name: nodes[name] for name in order}, outputs)


def _order(nodes: Mapping[str, Node]) -> list[str]:
    sorter = graphlib.TopologicalSorter({one.name: one.upstream for one in nodes.values()})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise BadInput(f"the tasks {' → '.join(error.args[1])} wait for each other.") from None
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())  # by name, so that two commands agree
        order += ready
        sorter.done(*ready)
    return order


def _node(compiled: Compiled, name: str, parameters: Mapping[str, Any]) -> Node:
    task = compiled.spec.root.dag.tasks[name]
    if not _NAME.fullmatch(name):
        raise _refused(
            name, "has a name that Kubernetes refuses; it has lower-case letters, digits and hyphens"
        )
    if task.HasField("trigger_policy"):
        raise _refused(
            name, "has a condition or an exit handler (triggerPolicy), which is not supported here"
        )
    if task.WhichOneof("iterator"):
        raise _refused(name, "is repeated by an iterator (ParallelFor), which is not supported here")
    if task.component_ref.name not in compiled.spec.components:
        raise _refused(name, f"is of the component {task.component_ref.name!r}, which the file does not have")
    component = compiled.spec.components[task.component_ref.name]
    if component.WhichOneof("implementation") != "executor_label":
        raise _refused(name, "is a pipeline within the pipeline, which is not supported here")
    label = component.executor_label
    if label in compiled.refused:
        raise _refused(name, compiled.refused[label])
    if label not in compiled.executors:
        raise _refused(name, f"is of the executor {label!r}, which the file does not have")
    executor = compiled.executors[label]
    try:
        around = pod.read(executor.kubernetes, parameters)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(
            name, f"lacks {error} in its platform document" if isinstance(error, KeyError) else str(error)
        ) from None
    upstream = sorted({*task.dependent_tasks, *(producer for producer, _, _ in _used(task))})
    missing = [one for one in upstream if one not in compiled.spec.root.dag.tasks]
    if missing:
        raise _refused(name, f"waits for {missing[0]!r}, which is no task of the pipeline")
    return Node(name, task, component, executor, around, tuple(upstream), _retry(task.retry_policy))


def _used(task: Any) -> Iterator[tuple[str, str, str]]:
    """The outputs of other tasks that a task uses: producer, kind and key."""
    for one in task.inputs.parameters.values():
        if one.WhichOneof("kind") == "task_output_parameter":
            used = one.task_output_parameter
            yield used.producer_task, "parameters", used.output_parameter_key
    for one in task.inputs.artifacts.values():
        if one.WhichOneof("kind") == "task_output_artifact":
            yield (
                one.task_output_artifact.producer_task,
                "artifacts",
                one.task_output_artifact.output_artifact_key,
            )


def _retry(policy: Any) -> Retry:
    return Retry(
        policy.max_retry_count,
        policy.backoff_duration.ToTimedelta().total_seconds(),
        policy.backoff_factor or 2.0,
        policy.backoff_max_duration.ToTimedelta().total_seconds() or _LONGEST_WINDOW,
    )


def _check(node: Node, nodes: Mapping[str, Node], parameters: Mapping[str, Any]) -> None:
    for producer, kind, key in _used(node.task):
        if key not in getattr(nodes[producer].component.output_definitions, kind):
            raise _refused(node.name, f"takes {key!r} from {producer!r}, which has no such output")
    _check_inputs(node, parameters)
    allowed = placeholders.known(node.component)
    absent = set(node.component.input_definitions.parameters) - _valued(node, parameters)
    for text in (*node.executor.container.command, *node.executor.container.args):
        why = placeholders.why_refused(text, allowed)
        empty = sorted(absent & set(placeholders.inputs_in(text)))
        if why or empty:
            raise _refused(
                node.name, why or f"uses its input {empty[0]!r} in its command, but gets no value for it"
            )
    for variable in node.executor.container.env:
        if placeholders.PATTERN.search(variable.value):
            raise _refused(
                node.name,
                f"has a placeholder in the environment variable {variable.name}, where KFP fills nothing in",
            )
    for name, one in node.component.output_definitions.artifacts.items():
        if one.is_artifact_list:
            raise _refused(
                node.name, f"has a list of artifacts as its output {name!r}, which is not supported here"
            )


def _check_inputs(node: Node, parameters: Mapping[str, Any]) -> None:
    given = node.task.inputs.parameters
    for name, one in given.items():
        kind = one.WhichOneof("kind")
        if one.parameter_expression_selector or kind not in (
            "task_output_parameter", "runtime_value", "component_input_parameter",
        ):  # fmt: skip
            raise _refused(
                node.name, f"takes its input {name!r} in a way that is not supported here ({kind})"
            )
        if kind == "runtime_value":
            _check_constant(node, name, one.runtime_value)
    for name, artifact in node.task.inputs.artifacts.items():
        if artifact.WhichOneof("kind") != "task_output_artifact":
            raise _refused(
                node.name, f"takes the artifact {name!r} from the pipeline's inputs, which have none here"
            )
    valued = _valued(node, parameters)
    for name, spec in node.component.input_definitions.parameters.items():
        if type_name(spec) in ("PARAMETER_TYPE_ENUM_UNSPECIFIED", "TASK_FINAL_STATUS"):
            raise _refused(
                node.name, f"has an input {name!r} of a type that is not supported ({type_name(spec)})"
            )
        if name not in valued and not spec.is_optional:
            raise _refused(node.name, f"gets no value for its input {name!r}")
    for name, artifact in node.component.input_definitions.artifacts.items():
        if name not in node.task.inputs.artifacts and not artifact.is_optional:
            raise _refused(node.name, f"gets no artifact for its input {name!r}")


def _check_constant(node: Node, name: str, value: Any) -> None:
    from google.protobuf import json_format

    if value.WhichOneof("value") != "constant":
        raise _refused(node.name, f"has no constant as its input {name!r}; recompile it with KFP 2")
    constant = json_format.MessageToDict(value.constant)
    if constant is None:
        raise _refused(node.name, f"has null as its input {name!r}, which KFP's launcher refuses")
    allowed = {f"{{{{$.inputs.parameters['{one}']}}}}" for one in node.task.inputs.parameters}
    for text in placeholders.texts(constant):
        why = "" if constant in JOB_CONSTANTS else placeholders.why_refused(text, allowed)
        if why:
            raise _refused(node.name, f"{why} (its input {name!r})")


def _valued(node: Node, parameters: Mapping[str, Any]) -> set[str]:
    """The input parameters that have a value when the task starts: given, or the component's default."""
    given = {
        name
        for name, one in node.task.inputs.parameters.items()
        if one.WhichOneof("kind") != "component_input_parameter"
        or one.component_input_parameter in parameters
    }
    inputs = node.component.input_definitions.parameters
    return given | {name for name, spec in inputs.items() if spec.HasField("default_value")}


def _refused(name: str, why: str) -> BadInput:
    return BadInput(f"task {name!r} {why}.")
