"""The gate: stops the line when validation found errors. The validator alone only writes them down."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.orchestration import data_types
from tfx.types import artifact_utils, component_spec, standard_artifacts

from pipeline import changes
from pipeline.components import validator
from pipeline.components.artifacts import Artifacts
from pipeline.stopped import Stopped


def judged(found: list[changes.Finding], accept: str) -> list[dict[str, str]]:
    """Each finding for people: name, feature, severity ("accepted" where `--accept` names it), what."""
    names = changes.accepted(accept)
    return [
        {
            "name": one.name, "feature": one.feature,
            "severity": changes.ACCEPTED if one.name in names else one.severity, "what": one.what,
        }
        for one in found
    ]  # fmt: skip


class Executor(base_executor.BaseExecutor):
    """Passes when no finding is an error, or all that are were accepted."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Read the findings.

        Raises:
            Stopped: Lists the errors, and how to let them through.
        """
        found = validator.findings_in(artifact_utils.get_single_instance(input_dict["anomalies"]))
        errors = [one for one in judged(found, exec_properties["accept"]) if one["severity"] == changes.ERROR]
        if errors:
            named = "".join(f"\n  {one['name']}: {one['what']}" for one in errors)
            names = [*changes.accepted(exec_properties["accept"]), *(one["name"] for one in errors)]
            wanted = ",".join(dict.fromkeys(names))
            raise Stopped(
                f"the data was refused, {len(errors)} error{'s' * (len(errors) > 1)}:{named}\n"
                f"if that is wanted: --accept {wanted}"
            )


class _Spec(component_spec.ComponentSpec):
    PARAMETERS = {
        "accept": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {"anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}
    OUTPUTS: dict[str, Any] = {}


class Gate(base_component.BaseComponent):
    """Fails the run on findings that are errors, with a list that a person can read.

    Args:
        anomalies: What the validator wrote.
        accept: The value of `--accept`, names of `changes.CHANGES` with commas between them; or a runtime
            parameter.
        code: Fingerprint of the code that judges.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, anomalies: types.BaseChannel, accept: str | data_types.RuntimeParameter, code: str
    ) -> None:
        super().__init__(_Spec(anomalies=anomalies, accept=accept, code=code))
